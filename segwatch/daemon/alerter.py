"""From the event log to alerts: what is wrong, and who is told of it in groups. One worker for the process."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from segwatch.alerts.book import Book, Silenced
from segwatch.alerts.effects import effects_of
from segwatch.alerts.grouping import Way
from segwatch.alerts.inhibition import may_be_explained
from segwatch.alerts.labels import labels_of
from segwatch.alerts.model import Alert
from segwatch.alerts.rerouting import Leads
from segwatch.backoff import Backoff
from segwatch.daemon.clock import Clock
from segwatch.daemon.retelling import retelling
from segwatch.deliveries.alert_words import words_of
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.model import Delivery, promised
from segwatch.jobs.events import Event
from segwatch.store.base import Change, Conflict, Store, StoreUnavailable
from segwatch.store.filters import AlertFilter, EventFilter

log = structlog.get_logger(__name__)

TURN_S = 1.0  # waits of groups are told to the second
_EVENTS_AT_ONCE = 500
_UNWRITTEN_MAX = timedelta(seconds=30)  # for so long the cursor alone need not be written: taking in twice does no harm
_STORE_BACKOFF = Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=30))


class Routing(Protocol):
    """Who is told of an event, as the settings have it."""

    @property
    def ways(self) -> Sequence[Way]:
        """All ways in which channels are told of alerts."""

    def ways_for(self, event: Event) -> Sequence[Way]:
        """Return those that are told of this one, each channel once."""

    def leads(self, alert: Alert) -> Leads:
        """Return who is told of an open alert."""

    def promised(self, event: Event) -> Sequence[str]:
        """Return the channels that are told of the event itself, but for a silence."""


@dataclass(slots=True)
class _Read:
    """What was read of the store, and how far. written_at: when the cursor was last on disk.

    is_behind: the log was not taken in to its end yet, and may hold what was promised by other routes.
    """

    book: Book
    cursor: int
    written: int
    written_at: datetime
    is_behind: bool = True


class Alerter:
    """Takes in the event log behind a durable cursor; what it tells is written in the transaction that knows of it.

    silenced: whether a silence holds for what has these labels. held_back: whether one keeps an alert with these labels
    from its groups, also while its end is still to be told. told: hears the messages that were just written.
    knowledge: what is known by now beside the events.
    """

    def __init__(
        self, store: Store, clock: Clock, routing: Routing,
        *, silenced: Silenced = lambda labels, now: False, held_back: Silenced = lambda labels, now: False,
        told: Callable[[tuple[Event, ...]], None],
        knowledge: Callable[[], Knowledge] = lambda: NOTHING,
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._routing = routing
        self._silenced = silenced
        self._held_back = held_back
        self._told = told
        self._knowledge = knowledge
        self._read: _Read | None = None
        self._failures = 0
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at the log now: something was committed."""
        self._wake.set()

    async def run(self, beat: Callable[[], None]) -> None:
        """Work until cancelled. What is not written by then, the next start takes in again."""
        while True:
            beat()
            self._wake.clear()
            await self._rest(await self._turn())

    async def _turn(self) -> float:
        """Take in what is new, tell what is due, and return how many seconds nothing else needs to be done."""
        try:
            read = self._read or await self._begin()
            self._read = None  # whatever goes wrong from here, the book is ahead of the disk, and is read again
            more = await self._take(read)
            if not more and read.is_behind:
                await self._adopt(read)
                read.is_behind = False
            if not more:  # what is behind us may be over in what is still to come
                await self._tell(read)
        except Conflict:
            return 0.0  # another process has told it: read what is there now
        except StoreUnavailable as error:
            self._failures += 1
            if self._failures == 1:
                log.warning("alerts_unavailable", error=str(error))
            return _STORE_BACKOFF.delay(self._failures, random.random()).total_seconds()  # noqa: S311 - jitter
        if self._failures:
            log.info("alerts_available_again", after_failures=self._failures)
            self._failures = 0
        self._read = read
        return 0.0 if more else TURN_S

    async def _begin(self) -> _Read:
        """Read where we stand."""
        store, now = self._store, self._clock.now()
        cursor = await store.alert_cursor()
        groups = await store.alert_groups()
        alerts = await store.alerts(AlertFilter(open_only=True))
        wanted = {id_ for group in groups for id_ in group.members} - {alert.id for alert in alerts}
        alerts += await store.alerts(AlertFilter(ids=tuple(sorted(wanted))))
        read = _Read(book=Book(alerts, groups), cursor=cursor, written=cursor, written_at=now)
        await self._adopt(read)
        return read

    async def _adopt(self, read: _Read) -> None:
        """Let all that is open go the ways of the routes as they are now."""
        now = self._clock.now()
        owed = read.book.adopt(self._routing.ways, self._routing.leads, now, self._held_back)
        await self._write(read, (), await self._owed(owed, now), read.cursor)

    async def _owed(self, owed: Sequence[tuple[str, str]], now: datetime) -> list[Delivery]:
        """Return the promises to tell these channels of these events of long ago."""
        ids = tuple({id_ for _, id_ in owed})
        events = await self._store.events(EventFilter(ids=ids)) if ids else []
        by_id = {one.event.id: one.event for one in events}
        return [promised(by_id[id_], channel, now) for channel, id_ in owed if id_ in by_id]

    async def _take(self, read: _Read) -> bool:
        """Take in the next events of the log; return whether there are more."""
        # behind position 0 a limit would mean the newest
        limit = _EVENTS_AT_ONCE if read.cursor else None
        logged = await self._store.events(EventFilter(), after=read.cursor, limit=limit)
        weighty = [one.event for one in logged if effects_of(one.event)]
        told_of = await self._store.channels_told([event.id for event in weighty]) if weighty else {}
        deliveries: list[Delivery] = []
        now = self._clock.now()
        for event in (one.event for one in logged):
            told = told_of.get(event.id, ())
            silenced = self._silenced(labels_of(event), event.at)
            waits = may_be_explained(event)
            owed = [one for one in self._routing.promised(event) if one not in told] if silenced or waits else []
            hearing = read.book.take(
                event,
                words=words_of(event, self._knowledge()),
                ways=self._routing.ways_for(event),
                told=told,
                withheld=owed if silenced else (),
                at_once=owed if waits and not silenced else (),
                silenced=silenced,
            )
            deliveries += [promised(event, channel, now) for channel in hearing]
        if logged:
            cursor = logged[-1].position
            await self._write(read, (), deliveries, cursor)
            read.cursor = cursor
        return limit is not None and len(logged) == limit

    async def _tell(self, read: _Read) -> None:
        """Write and tell what is due."""
        now = self._clock.now()
        deliveries = await self._owed(read.book.released(now, self._held_back), now)
        due = read.book.tick(now, self._held_back)
        alerts = {alert.id: alert for one in due for alert in one.alerts}
        as_of_now, about = await retelling(self._store, list(alerts.values()), self._knowledge(), now)
        events = tuple(one.event(as_of_now, about) for one in due)
        deliveries += [promised(event, one.channel, now) for one, event in zip(due, events, strict=True)]
        await self._write(read, events, deliveries, read.cursor)

    async def _write(
        self, read: _Read, notices: tuple[Event, ...], deliveries: Sequence[Delivery], cursor: int
    ) -> None:
        now = self._clock.now()
        alerting = read.book.changed(cursor, read.written)
        is_soon_enough = abs(now - read.written_at) < _UNWRITTEN_MAX
        if alerting.is_empty and not deliveries and (cursor == read.written or is_soon_enough):
            return
        await self._store.commit([Change(alerting=alerting, events=notices, deliveries=tuple(deliveries))])
        read.written, read.written_at = cursor, now
        for event in notices:
            counts = {name: event.details[name] for name in ("channel", "firing", "resolved", "notes")}
            log.info("alerts_told", group=event.details["group"], type=event.type.value, **counts)
        if notices or deliveries:
            self._told(notices)

    async def _rest(self, seconds: float) -> None:
        """Return when the time is over; when somebody wakes us, if we only wait for what is due."""
        if seconds != TURN_S:
            await self._clock.sleep(seconds)
            return
        alarm = asyncio.create_task(self._clock.sleep(seconds), name="rest:alerts")
        woken = asyncio.create_task(self._wake.wait(), name="wake:alerts")
        try:
            await asyncio.wait({alarm, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            woken.cancel()
