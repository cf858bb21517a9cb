"""Looks after the process: can we still write, does the loop turn in time, what is old enough to be forgotten."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from segwatch.daemon.clock import Clock
from segwatch.daemon.steadiness import STEP, Steadiness
from segwatch.deliveries.model import Stage
from segwatch.store.base import Store, StoreError, StoreGone
from segwatch.telemetry.health import Readiness
from segwatch.telemetry.metrics import Metrics

log = structlog.get_logger()

NO_RESTART = "free space, or make it writable; no restart is needed"
_FILE_GONE = "nothing is recorded, submitted or told until the same file is back, or segwatch is restarted"
_PROBE_S = 2.0
_TIDY_EVERY_S = 3600.0
_FORGET_AT_MOST = 5000  # jobs in one round: ten times what a busy day brings in an hour, and no whole store at once
_FAR_AHEAD = "ages are told by a time that comes a day nearer to the clock each hour; check the clock"
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
        steadiness: Steadiness | None = None
        tidy_at = 0.0
        while True:
            beat()
            await self._probe()
            now, ran_s = self._clock.now(), self._clock.ran_s()
            if steadiness is None:
                steadiness = await self._began(now, ran_s)
            elif jumped := steadiness.look(now, ran_s):
                log.warning(
                    "clock_jumped", seconds=round(jumped.total_seconds(), 1), now=now.isoformat(),
                    believed=steadiness.believed.isoformat(), hint="nothing is deleted by age until it is steady",
                )  # fmt: skip
            if steadiness and steadiness.is_steady and ran_s >= tidy_at:
                tidy_at = ran_s + _TIDY_EVERY_S
                await self._tidy(steadiness.settled())
            expected = asyncio.get_running_loop().time() + _PROBE_S
            await self._clock.sleep(_PROBE_S)
            self._metrics.loop_lag.set(max(0.0, asyncio.get_running_loop().time() - expected))

    async def _began(self, now: datetime, ran_s: float) -> Steadiness | None:
        """Return how far the clock is believed at first: as far as the last process believed it. None: ask again."""
        try:
            believed = await self._store.believed()
        except StoreError:
            return None
        if believed is not None and now - believed > STEP:
            log.warning("clock_far_ahead", now=now.isoformat(), believed=believed.isoformat(), hint=_FAR_AHEAD)
        return Steadiness(believed=min(now, believed or now), now=now, ran_s=ran_s)

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

    async def _bury_orphans(self, now: datetime) -> None:
        """Give up what was promised to channels that are gone from the settings: nobody will ever send it."""
        for depth in await self._store.outbox_depth():
            if depth.pending and depth.channel not in self._channels():
                waiting = await self._store.deliveries(channel=depth.channel, stages=(Stage.PENDING,))
                old = [one for one in waiting if now - one.promised_at >= _ORPHAN_AGE]
                await self._store.settle([replace(one, stage=Stage.DEAD, reason="channel_removed") for one in old])

    async def _tidy(self, now: datetime) -> None:
        """Delete what is too old at `now`, which is not always what the clock says; at most so much in one round."""
        try:
            await self._store.believe(now)
            await self._bury_orphans(now)
            jobs = await self._store.forget(now - self._retention(), at_most=_FORGET_AT_MOST)
        except StoreError as error:
            log.warning("old_jobs_not_forgotten", error=str(error))
        else:
            log.info("old_jobs_forgotten", jobs=jobs, as_of=now.isoformat())
