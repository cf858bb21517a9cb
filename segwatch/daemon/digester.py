"""Tells each channel, once a day, what the day was like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from segwatch.daemon.clock import Clock
from segwatch.daemon.digest_reading import figures, stretch_behind, watched_since
from segwatch.deliveries import digest_times
from segwatch.deliveries.digest import event_of
from segwatch.deliveries.digest_times import Daily
from segwatch.deliveries.model import promised
from segwatch.deliveries.scope import Scope
from segwatch.jobs.events import Event
from segwatch.jobs.subject import SubjectState
from segwatch.store.base import Change, Conflict, Store, StoreError

log = structlog.get_logger()

_LOOK_EVERY_S = 15.0  # clocks are set
_AGAIN_S = 1.0
_SOONEST_S = 0.05
_SWEEPS_WITHIN = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A channel's digest. scope: what it may tell of."""

    channel: str
    daily: Daily
    scope: Scope


class Digester:
    """Promises each channel its digest, in one transaction with the mark that says up to when it was told.

    told: hears of the events that were just recorded.
    """

    def __init__(
        self, store: Store, clock: Clock, plans: Sequence[Plan], told: Callable[[tuple[Event, ...]], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._plans = {digest_times.stream_of(plan.channel): plan for plan in plans}
        self._told = told
        self._began = clock.now()

    async def run(self, beat: Callable[[], None]) -> None:
        """Tell what falls due, for ever."""
        while True:
            beat()
            await self._clock.sleep(await self._look(beat))

    async def _look(self, beat: Callable[[], None]) -> float:
        """Tell what is due; return how long to wait, in seconds."""
        try:
            return await self.turn(beat)
        except Conflict:  # somebody else was faster: the next look sees what they did
            return _AGAIN_S
        except StoreError as error:
            log.warning("digests_not_told", error=str(error))
            return _LOOK_EVERY_S

    async def turn(self, beat: Callable[[], None] = lambda: None) -> float:
        """Look once; return how long to wait for the next look, in seconds. Raises StoreError."""
        marks = {mark.stream: mark for mark in await self._store.subjects(digest_times.PREFIX)}
        for stream, mark in marks.items():
            if stream not in self._plans and (ended := digest_times.off(mark, self._clock.now())):
                await self._store.commit([Change(subject=ended, subject_before=mark)])
        waits = [_LOOK_EVERY_S]
        for stream, plan in self._plans.items():
            now, before = self._clock.now(), marks.get(stream)
            armed = digest_times.armed(before, plan.channel, now)
            if armed != before:
                await self._store.commit([Change(subject=armed, subject_before=before)])
            waits.append(await self._tell(plan, armed, now, beat))
        return max(_SOONEST_S, min(waits))

    async def _tell(self, plan: Plan, mark: SubjectState, now: datetime, beat: Callable[[], None]) -> float:
        """Tell one channel if it is time; return how long there is nothing to do for it, in seconds."""
        due = digest_times.due(mark, plan.daily, now)
        if due is None:
            return (plan.daily.next(now).at - now).total_seconds()
        if now - max(self._began, due.slot.at) < _SWEEPS_WITHIN and not await self._has_looked(plan.scope):
            return _AGAIN_S
        watched = await watched_since(self._store, plan.scope)
        since = max(due.since, watched or due.since)
        stretch = await stretch_behind(self._store, since, due.position)
        counted = await figures(self._store, plan.scope, stretch, now, on_page=beat)
        after = digest_times.told(mark, due, plan.daily, now, stretch.upto)
        event = event_of(
            mark.stream, after.sequence, plan.channel, counted,
            since=since, until=now, zone=plan.daily.zone, now=now, slot=due.slot.at,
        )  # fmt: skip
        delivery = promised(event, plan.channel, now)
        change = Change(subject=after, subject_before=mark, events=(event,), deliveries=(delivery,))
        await self._store.commit([change])
        log.info("digest_told", channel=plan.channel, runs=counted["runs"], failed=counted["failed"])
        self._told((event,))
        return _SOONEST_S

    async def _has_looked(self, scope: Scope) -> bool:
        """Return whether all that it tells of was read since we began: what happened while we were down is known."""
        for sandbox, kind in scope.streams:
            swept_at = (await self._store.position(sandbox, kind)).swept_at
            if swept_at is None or swept_at < self._began:
                return False
        return True
