"""Silences as the daemon lives by them: which there are, and what is told when one ends."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from segwatch.alerts import silences
from segwatch.alerts.inhibition import may_be_explained
from segwatch.alerts.labels import labels_of_alert
from segwatch.alerts.model import Labels
from segwatch.alerts.silences import Silence
from segwatch.daemon.clock import Clock
from segwatch.deliveries import silence_end
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.model import Delivery
from segwatch.deliveries.routing import Route, promises
from segwatch.deliveries.silence_end import Wrong
from segwatch.errors import SegwatchError
from segwatch.jobs.events import Event
from segwatch.store.base import Change, Conflict, Store, StoreError

log = structlog.get_logger()

LOOK_EVERY_S = 2.0  # a command in another process may have added one, and tells nobody here
_CONFLICTS_MAX = 3


class NothingWrong(SegwatchError):
    """A silence until all is resolved would end at once: nothing that it matches is wrong."""


class Silencer:
    """Knows the silences, and ends those whose time has come.

    open_alerts: returns what is wrong now. told: hears of the events that were just recorded. knowledge: what
    is known by now beside events.
    """

    def __init__(
        self, store: Store, clock: Clock, routes: Sequence[Route], open_alerts: Callable[[], Awaitable[Wrong]],
        told: Callable[[tuple[Event, ...]], None], knowledge: Callable[[], Knowledge] = lambda: NOTHING,
        *, waits: Callable[[Event], bool] = may_be_explained,
    ) -> None:  # fmt: skip
        """waits: what is not promised when it is recorded, but by whoever knows what explains it."""
        self._store = store
        self._clock = clock
        self._routes = routes
        self._waits = waits
        self._open_alerts = open_alerts
        self._told = told
        self._knowledge = knowledge
        self._silences: tuple[Silence, ...] = ()

    def promise(self, events: Sequence[Event], now: datetime) -> tuple[Delivery, ...]:
        """Return what is promised of events that are recorded now: nothing of those that are silenced."""
        return promises([one for one in events if not self._waits(one)], self._routes, now, self.silenced)

    def silenced(self, labels: Labels, now: datetime) -> bool:
        """Return whether a silence holds for what has these labels."""
        return bool(silences.silenced_by(labels, self._silences, now))

    def held_back(self, labels: Labels, now: datetime) -> bool:
        """Return whether groups are not told yet of what has these labels: until the end of its silence is."""
        return bool(silences.held_back_by(labels, self._silences, now))

    async def load(self) -> None:
        """Read which silences there are. Raises StoreError."""
        self._silences = tuple(await self._store.silences(untold=True))

    async def run(self, beat: Callable[[], None]) -> None:
        """Look for new silences and for those that end, for ever."""
        while True:
            beat()
            try:
                await self.turn()
            except StoreError as error:
                log.warning("silences_not_read", error=str(error))
            await self._clock.sleep(LOOK_EVERY_S)

    async def turn(self) -> None:
        """Look once. Raises StoreError."""
        await self.load()
        now = self._clock.now()
        ending = [one for one in self._silences if one.until_resolved or silences.must_be_told(one, now)]
        if not ending:
            return
        wrong = await self._open_alerts()
        labels = {subject: labels_of_alert(subject, event) for subject, event in wrong.items()}
        for silence in ending:
            after = silences.resolved(silence, labels, now)
            if after is not silence:
                await self._commit(Change(silence=after, silence_before=silence))
            elif silences.must_be_told(silence, now):
                await self._tell(silence, wrong, now)
        await self.load()

    async def all(self) -> list[Silence]:
        """Return every silence, oldest first, also those that have ended; the others are in force by then."""
        every = await self._store.silences()
        self._silences = tuple(one for one in every if one.told_at is None)
        return every

    async def add(self, silence: Silence) -> Silence:
        """Keep a new silence, in force from now on. Raises NothingWrong, StoreError."""
        if silence.until_resolved and not silence_end.matched(silence, await self._open_alerts()):
            raise NothingWrong(f"nothing that {silence.what} matches is wrong, so until_resolved would end at once")
        await self._store.commit([Change(silence=silence)])
        await self.load()
        return silence

    async def expire(self, id_: str) -> Silence | None:
        """End a silence now, if it has not ended, and return it; None when there is no such one. Raises StoreError."""
        ended = await expire(self._store, id_, self._clock.now())
        await self.load()
        return ended

    async def _tell(self, silence: Silence, wrong: Wrong, now: datetime) -> None:
        ended, event, deliveries = silence_end.told(
            silence, wrong, self._silences, self._routes, now, self._knowledge()
        )
        change = Change(silence=ended, silence_before=silence, events=(event,), deliveries=deliveries)
        if await self._commit(change):
            # before anybody hears of it: what it held back is told in one message with its end
            self._silences = tuple(one for one in self._silences if one.id != silence.id)
            log.info("silence_ended", silence=silence.id, reason=event.reason, open=event.details["open"])
            self._told((event,))

    async def _commit(self, change: Change) -> bool:
        try:
            await self._store.commit([change])
        except Conflict:  # a command was faster: the next look sees what it did
            return False
        return True


async def expire(store: Store, id_: str, now: datetime) -> Silence | None:
    """End a silence now, if it has not ended, and return it; None when there is no such one. Raises StoreError.

    The daemon tells what is still wrong, as soon as it looks.
    """
    for _ in range(_CONFLICTS_MAX):
        before = await store.silence(id_)
        if before is None:
            return None
        after = silences.expired(before, now)
        try:
            if after is not before:
                await store.commit([Change(silence=after, silence_before=before)])
        except Conflict:
            continue
        return after
    raise Conflict(f"silence {id_} changes all the time. Try again.")
