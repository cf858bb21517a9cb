"""Looks after the process: can we still write, does the loop turn in time, what is old enough to be forgotten."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from segwatch.daemon.clock import Clock
from segwatch.store.base import Store, StoreError
from segwatch.telemetry.health import Readiness
from segwatch.telemetry.metrics import Metrics

log = structlog.get_logger()

_PROBE_S = 2.0
_FORGET_EVERY = timedelta(hours=1)


class Caretaker:
    """The worker that nobody notices while all is well. retention: how long finished jobs are kept."""

    def __init__(
        self, store: Store, clock: Clock, readiness: Readiness, metrics: Metrics, *, retention: Callable[[], timedelta]
    ) -> None:
        self._store = store
        self._clock = clock
        self._readiness = readiness
        self._metrics = metrics
        self._retention = retention

    async def run(self, beat: Callable[[], None]) -> None:
        """Probe, measure and tidy up, for ever."""
        forget_at = self._clock.now() + _FORGET_EVERY
        while True:
            beat()
            await self._probe()
            if self._clock.now() >= forget_at:
                forget_at = self._clock.now() + _FORGET_EVERY
                await self._forget()
            expected = asyncio.get_running_loop().time() + _PROBE_S
            await self._clock.sleep(_PROBE_S)
            self._metrics.loop_lag.set(max(0.0, asyncio.get_running_loop().time() - expected))

    async def _probe(self) -> None:
        """Write something: a disk that only reads is no store. Nothing is lost meanwhile: nothing is announced."""
        try:
            await self._store.writable()
        except StoreError as error:
            if self._readiness.problem("store", str(error)):
                log.error(
                    "store_unavailable", error=str(error), hint="free space or make it writable; no restart needed"
                )
        else:
            if self._readiness.ok("store"):
                log.info("store_available")

    async def _forget(self) -> None:
        try:
            jobs = await self._store.forget(self._clock.now() - self._retention())
        except StoreError as error:
            log.warning("old_jobs_not_forgotten", error=str(error))
        else:
            log.info("old_jobs_forgotten", jobs=jobs)
