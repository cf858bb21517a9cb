"""One run of a pipeline without a daemon: the same workers, in this process, for nothing but this run."""

import asyncio
from datetime import timedelta

from segwatch.app.generation import Generation
from segwatch.app.lasting import Lasting
from segwatch.app.meter import Meter
from segwatch.config import Settings
from segwatch.daemon.bus import Bus, News
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.commands import Commands
from segwatch.daemon.supervisor import Supervisor
from segwatch.daemon.timeline import Timeline
from segwatch.deliveries.model import Stage
from segwatch.kinds.base import load_kinds
from segwatch.pipelines.model import Run
from segwatch.store.base import Store
from segwatch.telemetry import logs
from segwatch.telemetry.health import Heartbeats
from segwatch.telemetry.metrics import Metrics
from segwatch.upstream.redaction import Redactor

_LOOK_S = 0.2
_TELLING = timedelta(seconds=10)  # how long the channels may take for what was told of the run


class Alone:
    """Whatever a run needs to go on while the store is ours. Opened and closed around it.

    Of the run's own jobs what becomes of them is written, and a failed export of its own is submitted again; channels
    are told of the run itself. All else in the sandbox and in the store is left to a daemon.
    """

    def __init__(self, settings: Settings, store: Store, run: Run) -> None:
        meter, clock = Meter(Metrics()), SystemClock()
        heartbeats = Heartbeats(monotonic=asyncio.get_running_loop().time)
        self._store = store
        self._clock = clock
        self._lasting = Lasting(
            store=store,
            clock=clock,
            bus=Bus(),
            meter=meter,
            heartbeats=heartbeats,
            supervisor=Supervisor(clock, heartbeats, on_restart=meter.restarted),
            kinds=load_kinds(),
            redactor=Redactor(),
            timeline=Timeline(clock.now(), clock.ran_s()),
            commands=Commands(),
        )
        logs.hide(self._lasting.redactor.line)
        narrowed = settings.model_copy(
            update={
                "sandboxes": tuple(one for one in settings.sandboxes if one.name == run.sandbox),
                "pipelines": tuple(one for one in settings.pipelines if one.name == run.pipeline),
            }
        )
        self._generation = Generation(narrowed, self._lasting, began=clock.now(), only=run)
        self._stream = run.stream
        self._lasting.bus.listen(self._hear)

    async def __aenter__(self) -> "Alone":
        try:
            await self._generation.start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        await self._generation.drain()
        await self._lasting.supervisor.stop()
        await self._lasting.commands.close()

    def has_command(self) -> bool:
        """True while the run's local command is under way, or being ended."""
        return self._lasting.commands.at_work

    async def told(self) -> None:
        """Return when the channels have taken all that was to be told of the run, or have had enough time for it."""
        until = self._clock.now() + _TELLING
        while self._clock.now() < until:
            pending = await self._store.deliveries(stages=(Stage.PENDING,))
            if not any(one.event.stream == self._stream for one in pending):
                return
            await asyncio.sleep(_LOOK_S)

    def _hear(self, news: News) -> None:
        self._generation.wake()
