"""Looks after the process: can we still write, does the loop turn in time, what is old enough to be forgotten."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from segwatch.daemon.clock import Clock
from segwatch.deliveries.model import Stage
from segwatch.store.base import Store, StoreError, StoreGone
from segwatch.telemetry.health import Readiness
from segwatch.telemetry.metrics import Metrics

log = structlog.get_logger()

NO_RESTART = "free space, or make it writable; no restart is needed"
_FILE_GONE = "nothing is recorded, submitted or told until the same file is back, or segwatch is restarted"
_PROBE_S = 2.0
_FORGET_EVERY = timedelta(hours=1)
_ORPHAN_AGE = timedelta(hours=24)  # a channel that comes back within a day finds what was promised to it


class Caretaker:
    """The worker that nobody notices while all is well. retention: how long finished jobs are kept.

    channels: those that have a worker.
    """

    def __init__(
        self, store: Store, clock: Clock, readiness: Readiness, metrics: Metrics, *, retention: Callable[[], timedelta],
        channels: Callable[[], Sequence[str]],
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._readiness = readiness
        self._metrics = metrics
        self._retention = retention
        self._channels = channels

    async def run(self, beat: Callable[[], None]) -> None:
        """Probe, measure and tidy up, for ever."""
        forget_at = self._clock.now()
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
                hint = _FILE_GONE if isinstance(error, StoreGone) else NO_RESTART
                log.error("store_unavailable", error=str(error), hint=hint)
        else:
            if self._readiness.ok("store"):
                log.info("store_available")

    async def _bury_orphans(self) -> None:
        """Give up what was promised to channels that are gone from the settings: nobody will ever send it."""
        now = self._clock.now()
        for depth in await self._store.outbox_depth():
            if depth.pending and depth.channel not in self._channels():
                waiting = await self._store.deliveries(channel=depth.channel, stages=(Stage.PENDING,))
                old = [one for one in waiting if now - one.promised_at >= _ORPHAN_AGE]
                await self._store.settle([replace(one, stage=Stage.DEAD, reason="channel_removed") for one in old])

    async def _forget(self) -> None:
        try:
            await self._bury_orphans()
            jobs = await self._store.forget(self._clock.now() - self._retention())
        except StoreError as error:
            log.warning("old_jobs_not_forgotten", error=str(error))
        else:
            log.info("old_jobs_forgotten", jobs=jobs)
