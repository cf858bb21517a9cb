"""Learns what segments and datasets are called, beside everything else: a message never waits for a name."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import structlog

from segwatch.backoff import Backoff
from segwatch.daemon.bus import News
from segwatch.daemon.clock import Clock
from segwatch.daemon.recorder import Recorder
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.names import NameKey, Naming, Resource, as_name, mentioned
from segwatch.jobs.model import JobState
from segwatch.store.base import Store, StoreError
from segwatch.upstream import datasets, definitions
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import NotFound, Refused, Unauthorized, UpstreamError
from segwatch.upstream.records import is_id

log = structlog.get_logger()

_STEP_S = 10.0
_GATHER_S = 1.0  # what is found together is asked for together
_SEGMENTS_AT_ONCE = 100  # one call
_DATASETS_AT_ONCE = 5  # a call each
_GOOD_FOR = timedelta(days=1)
_UNKNOWN_FOR = timedelta(hours=6)
_AGAIN = Backoff(first=timedelta(minutes=1), cap=timedelta(hours=1))
_FORBIDDEN_FOR = timedelta(hours=1)
_HELD_MAX = 20_000  # ids of one sandbox
_HINT = "Messages show ids instead; give the credential the permission to view this, or set polling.names = false"


class NameBook:
    """All names that are known in this process, together with what the settings tell.

    It is filled from the store once and by the readers of the sandboxes from then on.
    """

    def __init__(self, store: Store, knowledge: Knowledge = NOTHING) -> None:
        self._store = store
        self._at: dict[NameKey, datetime] = {}
        self._is_loaded = False
        self._knowledge = knowledge

    async def load(self) -> None:
        """Read what the store knows, the first time. Raises StoreError."""
        if not self._is_loaded:
            self._take(await self._store.names())
            self._is_loaded = True

    async def learn(self, found: Sequence[Naming]) -> None:
        """Keep what the platform has just told. Raises StoreError, and knows it all the same."""
        self._take(found)
        await self._store.keep_names(found)

    def knowledge(self) -> Knowledge:
        """Return what is known by now."""
        return self._knowledge

    def name(self, key: NameKey) -> str:
        """Return the name; "" where none is known."""
        return self._knowledge.names.get(key, "")

    def is_fresh(self, key: NameKey, now: datetime) -> bool:
        """True when the platform was asked of late; a time that lies ahead was noted by a clock that was wrong."""
        at = self._at.get(key)
        return at is not None and timedelta() <= now - at < (_GOOD_FOR if self.name(key) else _UNKNOWN_FOR)

    def _take(self, found: Sequence[Naming]) -> None:
        self._at |= {one.key: one.at for one in found}
        # another one: whoever composes a message may be reading the old
        self._knowledge = self._knowledge.with_names(found)


@dataclass(slots=True)
class _Trouble:
    """What stands in the way of the names of one resource. told: the trouble that the log tells of already."""

    failures: int = 0
    until: datetime | None = None
    told: str = ""


class NameReader:
    """The worker that learns the names of one sandbox.

    Asked for is what jobs are about that are watched or were seen of late, once a day; of what the platform does not
    know, again after six hours. Its calls are few, and within the sandbox's budget.
    """

    def __init__(self, client: PlatformClient, recorder: Recorder, book: NameBook, clock: Clock) -> None:
        self._client = client
        self._recorder = recorder
        self._sandbox = recorder.sandbox
        self._book = book
        self._clock = clock
        self._wanted: dict[NameKey, None] = {}
        self._trouble = {resource: _Trouble() for resource in Resource}
        self._segments_at_once = _SEGMENTS_AT_ONCE
        self._wake = asyncio.Event()

    def heard(self, news: News) -> None:
        """Note what an event is about."""
        if news.event.sandbox == self._sandbox:
            self._want(mentioned(news.event))

    async def run(self, beat: Callable[[], None]) -> None:
        """Learn, for ever."""
        is_loaded = False
        while True:
            beat()
            more = False
            try:
                if not is_loaded:
                    await self._book.load()
                    await self._recorder.load()
                    for kind in self._recorder.policies:
                        for job in self._recorder.known(kind):
                            self._want(_about(job))
                    is_loaded = True
                self._wake.clear()
                more = await self.turn(beat)
            except StoreError as error:
                log.warning("names_not_kept", sandbox=self._sandbox, error=str(error))
            await self._rest(_GATHER_S if more else _STEP_S)

    async def turn(self, beat: Callable[[], None] = lambda: None) -> bool:
        """Ask for some of what is not known; return whether there may be more. Raises StoreError."""
        more = False
        for resource, at_once in ((Resource.SEGMENT, self._segments_at_once), (Resource.DATASET, _DATASETS_AT_ONCE)):
            now, trouble = self._clock.now(), self._trouble[resource]
            if trouble.until and now < trouble.until <= now + max(_FORBIDDEN_FOR, _AGAIN.cap):
                continue  # an end that lies further ahead was set by a clock that was wrong
            due = (key for key in self._wanted if key.resource is resource and not self._book.is_fresh(key, now))
            if not (asked := list(islice(due, at_once))):
                continue
            more = await self._ask(resource, asked, beat) or more
        return more

    async def _ask(self, resource: Resource, keys: Sequence[NameKey], beat: Callable[[], None]) -> bool:
        """Ask for these; return whether the next may be asked for at once. Raises StoreError."""
        found: dict[NameKey, str] = {}
        try:
            beat()
            if resource is Resource.SEGMENT:
                found |= await self._segments(keys)
            for key in keys if resource is Resource.DATASET else ():
                self._wanted[key] = self._wanted.pop(key)  # one that always fails must not keep the others waiting
                beat()
                found[key] = await self._dataset(key)
        except UpstreamError as error:
            self._failed(resource, error)
            goes_on = False
        else:
            self._trouble[resource] = _Trouble()
            goes_on = True
        now = self._clock.now()
        # what had a name and is gone keeps it: its jobs are still told of
        told = [Naming(key=key, name=as_name(name) or self._book.name(key), at=now) for key, name in found.items()]
        if told:
            await self._book.learn(told)
        return goes_on

    async def _segments(self, keys: Sequence[NameKey]) -> dict[NameKey, str]:
        try:
            there = await definitions.bulk_get(self._client, [key.id for key in keys])
        except Refused:  # maybe for one id among them: the half of it is asked for next
            self._segments_at_once = max(1, len(keys) // 2)
            return {} if len(keys) > 1 else dict.fromkeys(keys, "")
        self._segments_at_once = min(_SEGMENTS_AT_ONCE, 2 * self._segments_at_once)
        return {key: there[key.id].name if key.id in there else "" for key in keys}

    async def _dataset(self, key: NameKey) -> str:
        try:
            return (await datasets.get(self._client, key.id)).name
        except (NotFound, Refused):
            return ""

    def _failed(self, resource: Resource, error: UpstreamError) -> None:
        trouble, now = self._trouble[resource], self._clock.now()
        trouble.failures += 1
        about = {"sandbox": self._sandbox, "names_of": resource.value, "error": str(error)}
        if isinstance(error, Unauthorized):
            trouble.until, event = now + _FORBIDDEN_FOR, "names_not_permitted"
            if trouble.told != event:
                log.warning(event, **about, hint=_HINT)
        else:
            trouble.until, event = now + _AGAIN.ceiling(trouble.failures), "names_not_read"
            if trouble.told != event:
                log.info(event, **about)
        trouble.told = event

    def _want(self, ids: Iterable[tuple[Resource, str]]) -> None:
        for resource, id_ in ids:
            key = NameKey(sandbox=self._sandbox, resource=resource, id=id_)
            if key not in self._wanted and is_id(id_) and id_ != "*":
                if len(self._wanted) >= _HELD_MAX:
                    del self._wanted[next(iter(self._wanted))]
                self._wanted[key] = None
                self._wake.set()

    async def _rest(self, seconds: float) -> None:
        """Return when the time is over, or a little after something was heard of that has no name yet."""
        alarm = asyncio.create_task(self._clock.sleep(seconds), name=f"rest:names:{self._sandbox}")
        woken = asyncio.create_task(self._wake.wait(), name=f"wake:names:{self._sandbox}")
        try:
            await asyncio.wait({alarm, woken}, return_when=asyncio.FIRST_COMPLETED)
            if not alarm.done():
                await self._clock.sleep(min(_GATHER_S, seconds))
        finally:
            alarm.cancel()
            woken.cancel()


def _about(job: JobState) -> Iterable[tuple[Resource, str]]:
    yield from ((Resource.SEGMENT, one) for one in job.facts.segments)
    if job.facts.dataset:
        yield Resource.DATASET, job.facts.dataset
