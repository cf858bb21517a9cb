"""The whole process: how it starts, reloads and stops."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import structlog

from segwatch.app.generation import Generation
from segwatch.app.lasting import Lasting
from segwatch.app.meter import Meter
from segwatch.backoff import Backoff
from segwatch.config import ConfigError, Settings, parse_duration
from segwatch.daemon.bus import Bus, News
from segwatch.daemon.caretaker import NO_RESTART, Caretaker
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.commands import Commands
from segwatch.daemon.supervisor import Supervisor
from segwatch.daemon.timeline import Timeline
from segwatch.kinds.base import load_kinds
from segwatch.store.base import StoreUnavailable
from segwatch.store.factory import store_of
from segwatch.telemetry import logs
from segwatch.telemetry.health import Heartbeats
from segwatch.telemetry.metrics import Exposition, Metrics
from segwatch.upstream.redaction import Redactor
from segwatch.web.server import Server
from segwatch.web.silences import SilenceApi

log = structlog.get_logger()

_OPEN_AGAIN = Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=5))
_MARGIN = timedelta(hours=1)
_SHUTTING_DOWN = ("segwatch is shutting down; the settings were not read again",)


class Daemon:
    """What `segwatch run` runs. reread: returns the settings as they are on disk now, or raises ConfigError."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self._reread = reread
        self._metrics = Metrics()
        meter, clock = Meter(self._metrics), SystemClock()
        heartbeats = Heartbeats(monotonic=asyncio.get_running_loop().time)
        self._lasting = Lasting(
            store=store_of(settings.store.url, on_commit=meter.committed),
            clock=clock,
            bus=Bus(),
            meter=meter,
            heartbeats=heartbeats,
            supervisor=Supervisor(clock, heartbeats, on_restart=meter.restarted),
            kinds=load_kinds(),
            redactor=Redactor(),  # what was a secret before a reload is one still: others may repeat it for a day
            timeline=Timeline(clock.now(), clock.ran_s()),
            commands=Commands(),
        )
        logs.hide(self._lasting.redactor.line)
        self._readiness = self._lasting.readiness
        self._server = Server(
            Exposition(self._metrics, self._measure), heartbeats, self._readiness, self.reload,
            token=lambda: self._generation.settings.http.token,
            silences=SilenceApi(lambda: self._generation.silencer, clock.now, parse_duration),
        )  # fmt: skip
        self._generation = Generation(settings, self._lasting, began=self._lasting.clock.now())
        self._changing = asyncio.Lock()  # held by whoever starts, reloads or drains: each begins when the last is done
        self._stopping = asyncio.Event()
        self._lasting.bus.listen(self._hear)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then drain and return.

        A disk that cannot be written is waited for. Raises StoreError when the store is another daemon's or none of
        ours, OSError when the address is taken.
        """
        settings, lasting = self._generation.settings, self._lasting
        async with AsyncExitStack() as starting:
            await starting.enter_async_context(self._changing)  # a reload would start what we have not opened yet
            # before anybody can take us for a daemon at work; a disk that does not let us yet is waited for below
            with suppress(StoreUnavailable):
                await lasting.store.claim()
            await self._run(settings, stop, started=starting.aclose)

    async def _run(self, settings: Settings, stop: asyncio.Event, *, started: Callable[[], Awaitable[None]]) -> None:
        lasting = self._lasting
        try:
            url = await self._server.start(settings.http.listen.host, settings.http.listen.port)
            log.info("listening", url=url)
            if not await self._opened(stop):
                return
            await self._generation.start()
            await started()
            caretaker = Caretaker(
                lasting.store, lasting.clock, self._readiness, self._metrics,
                retention=self._retention,
                channels=lambda: [channel.name for channel in self._generation.settings.channels],
            )  # fmt: skip
            lasting.keep("caretaker", caretaker.run)
            self._readiness.ok("start")
            log.info("started", sandboxes=[one.name for one in settings.sandboxes])
            await stop.wait()
            self._readiness.problem("stop", "shutting down")
            log.info("stopping")
            self._stopping.set()
            async with self._changing:
                await self._generation.drain()
        finally:
            self._stopping.set()
            await started()  # or nobody will be: a request to reload that waits is answered, before the server stops
            await lasting.supervisor.stop()
            await lasting.commands.close()
            await self._server.stop()
            await lasting.store.close()
            log.info("stopped")

    async def _opened(self, stop: asyncio.Event) -> bool:
        """Open the store, as soon as the disk lets us; False when we are told to stop before."""
        failures = 0
        while not stop.is_set():
            try:
                await self._lasting.store.open()
            except StoreUnavailable as error:
                failures += 1
                if self._readiness.problem("store", str(error)):
                    log.error("store_unavailable", error=str(error), hint=NO_RESTART)
            else:
                self._readiness.ok("store")
                return True
            wait = _OPEN_AGAIN.ceiling(failures)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait.total_seconds()):
                    await stop.wait()
        return False

    async def reload(self) -> Sequence[str]:
        """Read the settings again and work by them; return what is wrong with them, and then change nothing."""
        async with self._changing:
            if self._stopping.is_set():
                return _SHUTTING_DOWN
            try:
                settings = self._reread()
            except ConfigError as error:
                return self._refused(error.problems)
            if fixed := self._fixed(settings):
                return self._refused(fixed)
            await self._generation.drain()
            if self._stopping.is_set():
                # whoever stops us waits for its turn to drain, and nothing must have begun by then
                return _SHUTTING_DOWN
            self._generation = Generation(settings, self._lasting, began=self._lasting.clock.now())
            logs.configure(level=settings.log.level, format_=settings.log.format)
            await self._generation.start()
            self._metrics.reload_ok.set(1)
            log.info("reloaded", sandboxes=[one.name for one in settings.sandboxes])
            return ()

    def _fixed(self, settings: Settings) -> list[str]:
        """Return what has changed that cannot change while we run."""
        before = self._generation.settings
        pairs = (
            ("store.url", before.store.url, settings.store.url),
            ("http.listen", before.http.listen, settings.http.listen),
        )
        return [
            f"{name}: cannot change while running; restart segwatch to apply it"
            for name, old, new in pairs
            if old != new
        ]

    def _refused(self, problems: Sequence[str]) -> Sequence[str]:
        self._metrics.reload_ok.set(0)
        log.error("reload_refused", problems=problems)
        return problems

    def _retention(self) -> timedelta:
        """Return how long finished jobs are kept: never so short that a list still shows one that is forgotten."""
        settings = self._generation.settings
        return max(settings.store.retention, settings.polling.lookback + _MARGIN)

    def _hear(self, news: News) -> None:
        event = news.event
        self._lasting.meter.heard(news)
        log.info(
            "event", type=event.type.value, stream=event.stream, sequence=event.sequence, status=event.status,
            previous=event.previous, reason=event.reason, late=event.late,
        )  # fmt: skip
        self._generation.heard(news)
        self._generation.wake()

    async def _measure(self) -> None:
        await self._generation.measure()
