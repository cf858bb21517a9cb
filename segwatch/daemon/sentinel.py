"""Watches over the watching itself: does each sandbox answer?"""

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from segwatch.daemon.clock import Clock
from segwatch.daemon.recorder import Recorder
from segwatch.jobs import reachability
from segwatch.jobs.reachability import FAILURES_IN_A_ROW, SandboxCondition
from segwatch.store.base import Change, Store, StoreError
from segwatch.telemetry.health import Readiness
from segwatch.telemetry.metrics import Metrics
from segwatch.upstream.errors import Unauthorized, UpstreamError

log = structlog.get_logger()

SWEEPS = "sweeps of "  # how parts of readiness begin that are told here


class Sentinel:
    """Hears of every sweep of one sandbox, and tells when it stops or begins again to answer."""

    def __init__(
        self, recorder: Recorder, store: Store, clock: Clock, metrics: Metrics, readiness: Readiness,
        *, looked: Callable[[str, str], None] = lambda sandbox, kind: None,
    ) -> None:  # fmt: skip
        """looked: hears of every complete sweep. readiness: hears of those that could not be recorded.

        Some bytes may have room where what a sweep saw has none.
        """
        self._recorder = recorder
        self._sandbox = recorder.sandbox
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._readiness = readiness
        self._looked = looked
        self._failures: dict[str, int] = {}
        self._failing_since: dict[str, datetime] = {}

    async def answered(self, kind: str, at: datetime) -> None:
        """Note a complete sweep, whose first call was made at `at`."""
        self._failures[kind] = 0
        self._readiness.ok(self._part(kind))
        self._failing_since.pop(kind, None)
        self._metrics.last_poll.labels(self._sandbox, kind).set(at.timestamp())
        self._looked(self._sandbox, kind)
        if not any(self._failures.values()):
            self._metrics.up.labels(self._sandbox).set(1)
            await self._turn(SandboxCondition.OK, "")

    async def failed(self, kind: str, error: UpstreamError | StoreError, at: datetime) -> None:
        """Note a sweep that began at `at` and was cut short."""
        if isinstance(error, StoreError):
            self._readiness.problem(self._part(kind), str(error))
            return  # no fault of the sandbox
        self._readiness.ok(self._part(kind))
        self._failures[kind] = self._failures.get(kind, 0) + 1
        self._failing_since.setdefault(kind, at)
        self._metrics.up.labels(self._sandbox).set(0)
        if isinstance(error, Unauthorized) and self._failures[kind] > 1:
            await self._turn(SandboxCondition.UNAUTHORIZED, str(error))
        elif self._failures[kind] >= FAILURES_IN_A_ROW and not isinstance(error, Unauthorized):
            await self._turn(SandboxCondition.UNREACHABLE, str(error))

    def _part(self, kind: str) -> str:
        return f"{SWEEPS}{self._sandbox}/{kind}"

    async def _turn(self, condition: SandboxCondition, why: str) -> None:
        async def changes() -> Sequence[Change]:
            before = await self._store.subject(reachability.stream_of(self._sandbox))
            turned = reachability.turned(
                before, self._sandbox, condition, why=why, now=self._clock.now(),
                failing_since=min(self._failing_since.values(), default=None),
            )  # fmt: skip
            return [Change(subject=turned[0], subject_before=before, events=(turned[1],))] if turned else []

        try:
            await self._recorder.write(changes)
        except StoreError as error:
            log.warning("sandbox_condition_not_recorded", sandbox=self._sandbox, condition=condition, error=str(error))
