"""When a stream is read, and how far it is believed to have been read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from segwatch.daemon.demand import Demand
from segwatch.daemon.reader import Reader
from segwatch.jobs.cadence import Cadence
from segwatch.jobs.model import JobKey, Observation, Status
from segwatch.jobs.reading import Position
from segwatch.kinds.base import Page, Request
from segwatch.kinds.export_job import KIND
from segwatch.store.base import StoreUnavailable
from segwatch.upstream.errors import Fate, Unavailable

T0 = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
CADENCE = Cadence(interval=timedelta(seconds=30), idle=timedelta(seconds=30), reconcile=timedelta(hours=1))
DOWN = Unavailable("503 Service Unavailable", fate=Fate.ANSWERED, reason="http_503", status=503)
FULL = StoreUnavailable("the disk is full")
MORE = Request(method="GET", path="/more", endpoint="/more")


def row(job_id: int, *, minute: float) -> Observation:
    created = T0 + timedelta(minutes=minute)
    return Observation(
        key=JobKey(sandbox="prod", kind=KIND.name, id=str(job_id)), status=Status.FAILED, word="FAILED",
        asked_at=T0, created_at=created, ended_at=created,
    )  # fmt: skip


def full_page(*, next: Request | None, minute: float = -1) -> Page:
    """The newest page of many exports; more follow, whether or not the answer says so."""
    return Page(rows=tuple(row(number, minute=minute) for number in range(1000)), next=next)


class Clock:
    """Tells the real seconds since it was made, moved by hand; nobody waits for it."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._loop = asyncio.get_running_loop()
        self._made = self._loop.time()

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self._loop.time() - self._made) + self.ahead

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a reader waits to be rung")


@dataclass
class Answers:
    """A Source that gives these pages, then the last one again and again, and counts."""

    pages: list[Page | Exception]
    calls: int = 0
    kind = KIND
    sandbox = "prod"
    calls_per_second = 50.0
    swept: asyncio.Event = field(default_factory=asyncio.Event)

    async def page(self, request: Request) -> Page:
        self.calls += 1
        await asyncio.sleep(0)  # as any call does: a reader that spins shall fail its test, not hang it
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        if isinstance(page, Exception):
            raise page
        return page


@dataclass
class Records:
    """A Recorder that knows no job, and keeps what it is told."""

    position_: Position
    seen: set[str] = field(default_factory=set)
    saved: list[Position] = field(default_factory=list)
    full_for: int = 0  # so many calls meet a full disk

    async def load(self) -> None:
        self._write()

    async def tick(self, kind: str) -> None: ...
    def forget_old(self) -> None: ...

    def _write(self) -> None:
        if self.full_for:
            self.full_for -= 1
            raise FULL

    async def position(self, kind: str, began_at: datetime) -> Position:
        return self.position_

    async def save_position(self, position: Position) -> None:
        self.saved.append(position)

    async def record(self, kind: str, seen: list[Observation], position: Position) -> None:
        self._write()
        self.seen |= {one.key.id for one in seen}

    def active(self, kind: str) -> list:
        return []

    def created(self, kind: str) -> list[datetime]:
        return []

    def job(self, key: JobKey) -> None:
        return None


class Health:
    """Lets a test wait for the end of sweeps."""

    def __init__(self) -> None:
        self.sweeps: asyncio.Queue[datetime] = asyncio.Queue()
        self.failures: asyncio.Queue[Exception] = asyncio.Queue()

    async def answered(self, kind: str, at: datetime) -> None:
        self.sweeps.put_nowait(at)

    async def failed(self, kind: str, error: Exception, at: datetime) -> None:
        self.failures.put_nowait(error)


@dataclass
class House:
    reader: Reader
    clock: Clock
    source: Answers
    records: Records
    health: Health
    recoveries: list[datetime]

    async def sweep(self) -> None:
        async with asyncio.timeout(5):
            await self.health.sweeps.get()

    async def failure(self) -> None:
        async with asyncio.timeout(5):
            await self.health.failures.get()

    def later(self, seconds: float) -> None:
        """Let time pass, and the reader look at its clock."""
        self.clock.ahead += timedelta(seconds=seconds)
        self.reader._rung.set()


@asynccontextmanager
async def reading(*pages: Page | Exception, cadence: Cadence = CADENCE, full_for: int = 0) -> AsyncIterator[House]:
    """A reader at work that stood at T0."""
    stand = Position(sandbox="prod", kind=KIND.name, began_at=T0, frontier=T0, swept_at=T0)
    clock, source, records, health = Clock(), Answers(list(pages)), Records(stand, full_for=full_for), Health()
    on_active: Callable = lambda job: None  # noqa: E731
    recoveries: list[datetime] = []
    reader = Reader(
        source, records, clock, cadence, health,
        demand=Demand(), began_at=T0, lookback=timedelta(days=1), on_active=on_active,
        on_recovery=lambda: recoveries.append(clock.now()),
    )  # fmt: skip
    task = asyncio.create_task(reader.run(lambda: None))
    try:
        yield House(reader, clock, source, records, health, recoveries)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


SOON = Cadence(interval=timedelta(seconds=0.05), idle=timedelta(seconds=0.05), reconcile=timedelta(hours=1))


async def test_a_list_that_lacks_its_next_link_once_is_read_again_from_where_we_stood():
    lost = Page(rows=(row(5000, minute=-2), row(5001, minute=-9)))
    async with reading(full_page(next=None), full_page(next=MORE), lost, cadence=SOON) as house:
        await house.sweep()
        assert house.records.saved == []
        await house.sweep()
        assert "5000" in house.records.seen
        assert house.records.saved[0].frontier == T0


async def test_a_list_that_ends_twice_where_it_seems_too_soon_is_believed():
    async with reading(full_page(next=None), cadence=SOON) as house:
        await house.sweep()
        assert house.records.saved == []
        await house.sweep()
        assert len(house.records.saved) == 1


async def test_a_clock_that_is_set_back_delays_no_sweep():
    async with reading(Page(rows=(row(1, minute=-5),)), cadence=SOON) as house:
        await house.sweep()
        for _ in range(3):
            house.clock.ahead -= timedelta(hours=1)
            await house.sweep()


async def test_a_look_at_a_job_that_nobody_knows_does_not_make_the_reader_spin():
    async with reading(Page(rows=(row(1, minute=-5),))) as house:
        key = JobKey(sandbox="prod", kind=KIND.name, id="gone")
        look = asyncio.create_task(house.reader.look(key, house.clock.now(), lambda: None))
        await house.sweep()
        calls = house.source.calls
        for _ in range(200):  # turns of the loop, in which a reader without a wait would call and call
            await asyncio.sleep(0)
        assert house.source.calls == calls
        assert not look.done()
        look.cancel()


NOTHING_NEW = Page(rows=(row(1, minute=-5),))


async def test_however_long_an_outage_lasts_its_end_is_seen_within_ten_seconds():
    cadence = Cadence(interval=timedelta(seconds=1), idle=timedelta(seconds=1), reconcile=timedelta(hours=1))
    async with reading(*[DOWN] * 12, NOTHING_NEW, cadence=cadence) as house:
        for _ in range(12):
            await house.failure()
            house.later(10)
        await house.sweep()
        assert len(house.recoveries) == 1


async def test_who_hears_that_the_platform_answers_another_stream_tries_at_once():
    async with reading(DOWN, NOTHING_NEW) as house:
        await house.failure()
        house.reader.retry_now()
        await house.sweep()


async def test_who_was_answered_last_has_nothing_to_try_at_once():
    async with reading(NOTHING_NEW) as house:
        await house.sweep()
        house.reader.retry_now()
        for _ in range(200):
            await asyncio.sleep(0)
        assert (house.source.calls, house.recoveries) == (1, [])


async def test_trouble_of_our_own_store_is_tried_again_within_five_seconds_and_blames_no_platform():
    async with reading(NOTHING_NEW) as house:  # 30 s are its interval
        await house.sweep()
        house.records.full_for = 9
        house.later(30)
        for _ in range(9):
            await house.failure()
            house.later(5)
        await house.sweep()
        assert house.recoveries == []


async def test_a_reader_that_starts_on_a_full_disk_begins_as_soon_as_it_can():
    async with reading(NOTHING_NEW, full_for=3) as house, asyncio.timeout(5):
        while house.records.full_for:
            house.later(5)
            await asyncio.sleep(0.01)
        house.later(5)
        await house.sweep()
