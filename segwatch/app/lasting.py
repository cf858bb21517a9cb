"""What lives as long as the process does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from segwatch.app.meter import Meter
from segwatch.daemon.bus import Bus
from segwatch.daemon.clock import Clock
from segwatch.daemon.commands import Commands
from segwatch.daemon.supervisor import BEAT_WITHIN_S, Run, Supervisor, Worker
from segwatch.daemon.timeline import Timeline
from segwatch.kinds.base import JobKind
from segwatch.store.base import Store
from segwatch.telemetry.health import Heartbeats, Readiness
from segwatch.upstream.redaction import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """What no reload replaces."""

    store: Store
    clock: Clock
    bus: Bus
    meter: Meter
    heartbeats: Heartbeats
    supervisor: Supervisor
    kinds: Mapping[str, JobKind]
    redactor: Redactor
    timeline: Timeline
    commands: Commands
    readiness: Readiness = field(default_factory=Readiness)

    def keep(self, name: str, run: Run, *, patience: timedelta = timedelta()) -> None:
        """Keep a worker running. patience: how long it may wait for somebody else's answer without a heartbeat."""
        self.meter.kept(name)
        within_s = BEAT_WITHIN_S + patience.total_seconds()
        self.supervisor.start(Worker(name=name, run=run, within_s=within_s))
