"""When a stream is read, how far it is believed to have been read, and what becomes of its jobs meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes import T0, FakeClock, at
from store_builders import job, key, row

from segwatch.daemon import reader as reader_module
from segwatch.daemon.bus import Bus
from segwatch.daemon.demand import Demand
from segwatch.daemon.reader import Reader
from segwatch.daemon.recorder import Recorder
from segwatch.decision import Policy
from segwatch.jobs.cadence import Cadence
from segwatch.jobs.model import JobState, Observation, Status
from segwatch.jobs.reading import Position
from segwatch.jobs.tracker import Watch
from segwatch.kinds.base import JobKind, Page, Request
from segwatch.kinds.export_job import KIND as EXPORTS
from segwatch.kinds.segment_job import KIND as SEGMENTS
from segwatch.store.base import Change, StoreError, StoreUnavailable
from segwatch.store.filters import EventFilter
from segwatch.store.sqlite import SqliteStore
from segwatch.upstream.errors import Fate, Unavailable, UpstreamError

CADENCE = Cadence(interval=timedelta(seconds=30), idle=timedelta(seconds=30), reconcile=timedelta(hours=12))
DOWN = Unavailable("503 Service Unavailable", fate=Fate.ANSWERED, reason="http_503", status=503)
MORE = Request(method="GET", path="/more", endpoint="/more")


def export(job_id: int, *, minute: float) -> Observation:
    """An export that was created and failed in this minute."""
    return row(str(job_id), status=Status.FAILED, created_at=at(minute), ended_at=at(minute))


def full_page(*, next: Request | None, minute: float = -1) -> Page:
    """The newest page of many exports; more follow, whether or not the answer says so."""
    return Page(rows=tuple(export(number, minute=minute) for number in range(1000)), next=next)


@dataclass
class Answers:
    """A Source that gives these pages or errors, then the last one again and again, and counts."""

    clock: FakeClock
    pages: list[Page | UpstreamError]
    calls: int = 0
    calls_per_second = 50.0
    kind: JobKind = EXPORTS
    sandbox = "prod"
    clock_behind = timedelta()

    async def page(self, request: Request) -> Page:
        self.calls += 1
        await asyncio.sleep(0)  # as any call does: a reader that spins shall fail its test, not hang it
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        if isinstance(page, UpstreamError):
            raise page
        return replace(page, rows=tuple(replace(row, asked_at=self.clock.now()) for row in page.rows))

    async def one(self, job_id: str) -> Observation:
        raise AssertionError("the list shows every job")


@dataclass
class Evaluations:
    """A Source of segment jobs that exist, by their ids.

    unlisted: those that the list by last change leaves out. disordered: it comes the wrong way round. is_away: no call
    is answered. asked: the lists by status that somebody asked for, of late.
    """

    clock: FakeClock
    jobs: dict[str, Observation] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    disordered: bool = False
    is_away: bool = False
    asked: list[str] = field(default_factory=list)
    calls: int = 0
    calls_per_second = 50.0
    kind: JobKind = SEGMENTS
    sandbox = "prod"
    clock_behind = timedelta()

    def put(self, job_id: str, status: Status, *, changed: datetime | None = None) -> None:
        """Let the job have this status, since now or since another time, which need not be true."""
        self.jobs[job_id] = row(
            job_id, kind=SEGMENTS.name, status=status, created_at=T0, updated_at=changed or self.clock.now(),
            ended_at=self.clock.now() if status.is_final else None,
        )  # fmt: skip

    async def page(self, request: Request) -> Page:
        status = dict(request.params).get("status")
        if status is not None:
            self.asked.append(status)
            return await self._answer(one for one in self.jobs.values() if one.word == status)
        listed = [one for job_id, one in self.jobs.items() if job_id not in self.unlisted]
        return await self._answer(sorted(listed, key=lambda one: one.updated_at, reverse=not self.disordered))

    async def bulk(self, ids: Sequence[str]) -> Page:
        return await self._answer(self.jobs[job_id] for job_id in ids)

    async def _answer(self, rows) -> Page:
        self.calls += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("no answer", fate=Fate.LOST, reason="timeout")
        return Page(rows=tuple(replace(row, asked_at=self.clock.now()) for row in rows))


class Health:
    """Lets a test wait for the end of sweeps."""

    def __init__(self) -> None:
        self.sweeps: asyncio.Queue[datetime] = asyncio.Queue()
        self.failures: asyncio.Queue[UpstreamError | StoreError] = asyncio.Queue()

    async def answered(self, kind: str, at: datetime) -> None:
        self.sweeps.put_nowait(at)

    async def failed(self, kind: str, error: UpstreamError | StoreError, *more: datetime) -> None:
        self.failures.put_nowait(error)


@dataclass
class House:
    """A reader at work on a real store, by a clock that is moved by hand."""

    reader: Reader
    clock: FakeClock
    source: Answers | Evaluations
    store: SqliteStore
    health: Health
    demand: Demand
    task: asyncio.Task[None]
    beats: list[None]
    recoveries: list[datetime]

    async def sweep(self, *, after_s: float = 0) -> None:
        """Return at the end of the next sweep, which falls due after so many seconds."""
        await self.clock.advance(seconds=after_s)
        async with asyncio.timeout(5):
            await self.health.sweeps.get()

    async def failure(self) -> None:
        """Return when the sweep that is due has failed."""
        async with asyncio.timeout(5):
            await self.health.failures.get()

    async def looks_at_the_clock(self, times: int = 3) -> None:
        """Return when the reader has seen what time it is, and has begun what is due."""
        before = len(self.beats)
        await self.until(lambda: len(self.beats) >= before + times)

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not true():
                assert not self.task.done()
                await asyncio.sleep(0.001)

    async def swept_at(self) -> datetime | None:
        return (await self.store.position("prod", self.source.kind.name)).swept_at

    async def status(self, job_id: str) -> Status | None:
        known = await self.store.job(key(job_id, kind=self.source.kind.name))
        return known and known.status


Reading = Callable[..., "asynccontextmanager[House]"]


@pytest.fixture
async def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reading]:
    """What makes a house whose reader stood at T0, on a store that knows these jobs."""
    monkeypatch.setattr(reader_module, "_BEAT_EVERY_S", 0.005)  # so soon it sees that somebody moved the clock
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()

    @asynccontextmanager
    async def made(source: Answers | Evaluations, *jobs: JobState, cadence: Cadence = CADENCE) -> AsyncIterator[House]:
        kind, clock = source.kind, source.clock
        stand = Position(sandbox="prod", kind=kind.name, began_at=T0, watermark=T0, frontier=T0, swept_at=T0)
        await store.commit([Change(position=stand), *(Change(job=one) for one in jobs)])
        watch = Watch(path=kind.path, since=T0, overdue_after=timedelta(hours=2))
        recorder = Recorder(
            "prod", store, clock, Bus(), lambda events, now: (), policies={kind.name: Policy(watch=watch)},
            remember=timedelta(hours=48),
        )  # fmt: skip
        health, demand, beats, recoveries = Health(), Demand(), [], []
        reader = Reader(
            source, recorder, clock, cadence, health,
            demand=demand, began_at=T0, lookback=timedelta(days=1), on_active=lambda job: None,
            on_recovery=lambda: recoveries.append(clock.now()),
        )  # fmt: skip
        task = asyncio.create_task(reader.run(lambda: beats.append(None)))
        try:
            yield House(reader, clock, source, store, health, demand, task, beats, recoveries)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    yield made
    await store.close()


def exports(*pages: Page | UpstreamError) -> Answers:
    return Answers(FakeClock(T0), list(pages))


async def test_a_list_that_lacks_its_next_link_once_is_read_again_from_where_we_stood(reading):
    lost = Page(rows=(export(5000, minute=-2), export(5001, minute=-9)))
    async with reading(exports(full_page(next=None), full_page(next=MORE), lost)) as house:
        await house.sweep(after_s=2)
        assert await house.swept_at() == T0
        await house.sweep(after_s=30)
        assert await house.status("5000") is Status.FAILED
        assert await house.swept_at() == house.clock.now()


async def test_a_list_that_ends_twice_where_it_seems_too_soon_is_believed(reading):
    async with reading(exports(full_page(next=None))) as house:
        await house.sweep(after_s=2)
        assert await house.swept_at() == T0
        await house.sweep(after_s=30)
        assert await house.swept_at() == house.clock.now()


async def test_a_clock_that_is_set_back_delays_no_sweep(reading):
    async with reading(exports(Page(rows=(export(1, minute=-5),)))) as house:
        await house.sweep(after_s=2)
        for _ in range(3):
            house.clock.set(house.clock.now() - timedelta(hours=1))
            await house.sweep()


async def test_a_look_at_a_job_that_nobody_knows_does_not_make_the_reader_spin(reading):
    async with reading(exports(Page(rows=(export(1, minute=-5),)))) as house:
        look = asyncio.create_task(house.reader.look(key("gone"), house.clock.now(), lambda: None))
        await house.sweep()
        calls = house.source.calls
        await house.looks_at_the_clock()
        assert house.source.calls == calls
        assert not look.done()
        look.cancel()


async def test_new_jobs_are_sought_as_seldom_as_the_call_budget_demands(reading):
    source = Evaluations(FakeClock(T0))
    source.put("1", Status.PROCESSING)
    async with reading(source) as house:
        busy = 4 * 0.9 * source.calls_per_second  # four times what the budget allows
        house.demand.note("prod/export_job", busy, timedelta(seconds=1))
        await house.sweep(after_s=2)
        began, calls = house.clock.now(), source.calls
        await house.clock.advance(seconds=115)
        await house.looks_at_the_clock()
        assert source.calls == calls
        await house.sweep(after_s=10)
        assert house.clock.now() - began > 4 * CADENCE.interval


async def test_a_job_is_told_as_overdue_when_the_platform_shows_it_past_its_limit_and_not_while_it_is_silent(reading):
    source = Evaluations(FakeClock(T0), is_away=True)
    long_ago = T0 - timedelta(minutes=119)
    running = job("1", asked_at=T0, created_at=long_ago, discovered_at=long_ago)
    running = replace(running, key=replace(running.key, kind=SEGMENTS.name))
    async with reading(source, running) as house:
        await house.clock.advance(seconds=2)
        await house.failure()
        assert await house.store.events(EventFilter()) == []
        await house.clock.advance(minutes=2)
        await house.failure()
        assert await house.store.events(EventFilter()) == []
        source.put("1", Status.PROCESSING, changed=long_ago)
        source.is_away = False
        await house.sweep(after_s=60)
        told = await house.store.events(EventFilter(job_id="1", types=("job.overdue",)))
        assert len(told) == 1


def hides_a_change(source: Evaluations) -> None:
    """Let a job change without a place in the list by last change, and with an old time."""
    source.unlisted.add("2")
    source.put("2", Status.PROCESSING, changed=T0 - timedelta(hours=1))


def comes_in_disorder(source: Evaluations) -> None:
    source.disordered = True


@pytest.mark.parametrize("misleads", [hides_a_change, comes_in_disorder])
async def test_a_list_that_misled_us_is_not_trusted_for_an_hour(reading, misleads):
    source = Evaluations(FakeClock(T0))
    for job_id in ("1", "2"):
        source.put(job_id, Status.QUEUED)
    cadence = replace(CADENCE, reconcile=timedelta(hours=3))
    async with reading(source, cadence=cadence) as house:
        await house.sweep(after_s=2)
        source.asked.clear()
        await house.sweep(after_s=30)
        assert source.asked == []  # it is trusted: one list, by last change, tells of all jobs

        await house.clock.advance(hours=3)
        source.put("1", Status.PROCESSING)
        misleads(source)
        await house.sweep()
        source.unlisted.add("1")
        source.disordered = False
        source.put("1", Status.SUCCEEDED)
        source.asked.clear()
        await house.sweep(after_s=30)
        assert (await house.status("1"), source.asked != []) == (Status.SUCCEEDED, True)

        await house.clock.advance(minutes=58)
        await house.sweep()
        source.asked.clear()
        await house.sweep(after_s=30)
        assert source.asked != []
        await house.clock.advance(minutes=1)
        await house.sweep()
        source.asked.clear()
        await house.sweep(after_s=30)
        assert source.asked == []


NOTHING_NEW = Page(rows=(export(1, minute=-5),))


async def test_however_long_an_outage_lasts_its_end_is_seen_within_ten_seconds(reading):
    cadence = replace(CADENCE, interval=timedelta(seconds=1), idle=timedelta(seconds=1))
    async with reading(exports(*[DOWN] * 12, NOTHING_NEW), cadence=cadence) as house:
        for _ in range(12):
            await house.clock.advance(seconds=10)
            await house.failure()
        await house.sweep(after_s=10)
        assert len(house.recoveries) == 1


async def test_who_hears_that_the_platform_answers_another_stream_tries_at_once(reading):
    async with reading(exports(DOWN, NOTHING_NEW)) as house:
        await house.clock.advance(seconds=2)
        await house.failure()
        house.reader.retry_now()
        await house.sweep()


async def test_who_was_answered_last_has_nothing_to_try_at_once(reading):
    async with reading(exports(NOTHING_NEW)) as house:
        await house.sweep(after_s=2)
        house.reader.retry_now()
        await house.looks_at_the_clock()
        assert (house.source.calls, house.recoveries) == (1, [])


class FullDisk:
    """Lets the next commits to a store fail."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures = 0
        commit = store.commit

        async def failing(changes: Sequence[Change]) -> None:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable("the disk is full")
            await commit(changes)

        monkeypatch.setattr(store, "commit", failing)


async def test_trouble_of_our_own_store_is_tried_again_within_five_seconds_and_blames_no_platform(reading, monkeypatch):
    async with reading(exports(NOTHING_NEW)) as house:  # 30 s are its interval
        await house.sweep(after_s=2)
        FullDisk(house.store, monkeypatch).failures = 9
        await house.clock.advance(seconds=30)
        for _ in range(9):
            await house.failure()
            await house.clock.advance(seconds=5)
        await house.sweep()
        assert house.recoveries == []
