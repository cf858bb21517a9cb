"""What is noticed beside the jobs, on a real store: exports without a batch, jobs that take too long, odd replies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeClock
from raw_platform import GET, client_of, raw_platform, reply
from store_builders import at

from segwatch.alerts.book import Book
from segwatch.daemon.alerter import words_of
from segwatch.daemon.bus import Bus
from segwatch.daemon.detectors import Detection, Detectors
from segwatch.daemon.history import History
from segwatch.daemon.inspector import Inspector, Oddities
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.source import Source
from segwatch.decision import Policy
from segwatch.deliveries.message import message_of
from segwatch.jobs.events import Event
from segwatch.jobs.model import Facts, JobKey, Missing, Observation, Status
from segwatch.jobs.reading import Position
from segwatch.jobs.subject import SubjectState
from segwatch.jobs.tracker import Watch
from segwatch.kinds.export_job import KIND as EXPORT
from segwatch.store.base import Change
from segwatch.store.filters import EventFilter
from segwatch.store.sqlite import SqliteStore
from segwatch.upstream.budget import Budget
from segwatch.upstream.errors import Fate, Unavailable

KIND = "export_job"
POSITION = Position(sandbox="prod", kind=KIND, began_at=at(-60), frontier=at(-60), swept_at=at(-1))
INTERVAL = timedelta(seconds=15)
DOWN = Unavailable("503", fate=Fate.ANSWERED, reason="http_503", status=503)


@dataclass
class Records:
    """The platform's answers for one export after the other, the last one again and again."""

    answers: list[object] = field(default_factory=list)
    asked: int = 0

    async def one(self, job_id: str) -> Observation | Missing:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Token:
    expires_at = None
    renews = True
    trouble = ""


@dataclass
class House:
    store: SqliteStore
    clock: FakeClock = field(default_factory=lambda: FakeClock(at(0)))
    records: Records = field(default_factory=Records)
    told: list[Event] = field(default_factory=list)
    oddities: Oddities = field(default_factory=Oddities)

    def begin(self) -> None:
        """Start as a new process would."""
        bus, history = Bus(), History("prod", self.store, self.clock)
        bus.listen(lambda news: self.told.append(news.event))
        policy = Policy(
            watch=Watch(path=(Status.NEW, Status.PROCESSING), since=at(-60), overdue_after=timedelta(hours=9))
        )
        self.recorder = Recorder(
            "prod", self.store, self.clock, bus, lambda events, now: (), policies={KIND: policy},
            remember=timedelta(hours=48),
            follow=Detectors("prod", self.store, self.clock, history, Detection()).follow,
        )  # fmt: skip
        self.inspector = Inspector(
            self.recorder, self.store, self.clock, history, Detection(), exports=self.records, tokens=Token(),
            oddities=self.oddities, interval=INTERVAL, began=at(-60),
        )  # fmt: skip
        bus.listen(self.inspector.heard)

    async def seen(self, job_id: str, status: Status, minute: float, **facts) -> Observation:
        sighting = Observation(
            key=JobKey(sandbox="prod", kind=KIND, id=job_id), status=status, word=status.value,
            asked_at=self.clock.now(), created_at=at(minute), ended_at=at(minute + 5) if status.is_final else None,
            facts=Facts(**({"fingerprint": "f", "exported": 100} | facts)),
        )  # fmt: skip
        await self.recorder.load()
        await self.recorder.record(KIND, [sighting], POSITION)
        return sighting

    async def look(self, *, times: int = 1) -> list[str]:
        """Let the worker look so often, an interval apart, and return what is told."""
        before = len(self.told)
        for _ in range(times):
            await self.inspector._look(lambda: None)
            await self.clock.advance(seconds=30)
        return [f"{event.type.value} {event.reason}".strip() for event in self.told[before:]]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()
    house = House(store)
    house.begin()
    await house.seen("1", Status.SUCCEEDED, -9, batches=("b1",))
    await house.look()
    yield house
    await store.close()


async def test_an_export_without_a_batch_is_told_when_its_record_names_none_three_times(house):
    house.records.answers = [await house.seen("2", Status.SUCCEEDED, -6)]
    assert await house.look(times=3) == []
    assert await house.look() == ["export.implausible no_batch"]
    assert (house.records.asked, await house.look(times=3)) == (3, [])
    house.begin()
    await house.recorder.load()
    for job in house.recorder.known(KIND):
        assert (job.judged_at is not None) == (job.key.id == "2")


async def test_an_export_is_told_to_look_right_where_the_one_before_it_could_not_be(house):
    house.records.answers = [await house.seen("2", Status.SUCCEEDED, -6)]
    assert await house.look(times=4) == ["export.implausible no_batch"]
    book = Book((), ())
    for one in house.told:
        book.take(one, words=words_of(one), ways=())
    await house.store.commit([Change(alerting=book.changed())])
    await house.seen("3", Status.SUCCEEDED, 6, batches=("b3",))
    assert await house.look() == ["export.plausible"]
    book.take(house.told[-1], words=words_of(house.told[-1]), ways=())
    assert not book.open
    house.begin()
    await house.recorder.load()
    assert await house.look() == []
    await house.store.commit([Change(alerting=book.changed())])
    await house.seen("4", Status.SUCCEEDED, 7, batches=("b4",))
    assert await house.look() == []


async def test_a_record_that_tells_its_batch_later_leaves_no_doubt(house):
    seen = await house.seen("2", Status.SUCCEEDED, -6)
    house.records.answers = [DOWN, seen, replace(seen, facts=replace(seen.facts, batches=("b2",)))]
    assert await house.look(times=6) == []
    assert house.records.asked == 3


async def test_an_export_that_is_gone_is_not_judged(house):
    seen = await house.seen("2", Status.SUCCEEDED, -6)
    house.records.answers = [Missing(key=seen.key, asked_at=at(1))]
    assert await house.look(times=4) == []
    assert house.records.asked == 1


async def test_a_job_that_takes_longer_than_those_before_is_told_once_and_not_while_nobody_sees_it(house):
    for number in range(3, 12):
        await house.seen(str(number), Status.SUCCEEDED, -60 + number, batches=("b",))
    await house.seen("20", Status.PROCESSING, -6)
    assert await house.look() == []
    await house.clock.advance(minutes=9)
    assert await house.look() == []  # not seen for nine minutes
    await house.seen("20", Status.PROCESSING, -6)
    assert await house.look(times=2) == ["job.overdue usual"]
    overdue = house.told[-1]
    assert (overdue.details["longer"], overdue.details["longest_s"]) == (0, 300)
    assert message_of(overdue).action == (
        "Still watching it. ETA 02:34:41 UTC if it is only slow: none of the last 10 took so long;"
        " the longest took 5 m."
    )
    house.begin()
    await house.seen("20", Status.PROCESSING, -6)
    assert await house.look(times=2) == []


async def test_a_job_that_is_older_than_its_limit_is_told_with_how_long_such_jobs_take(house):
    for number, took in enumerate([30, 30, 30, 30, 30, 30, 40, 60, 700], start=3):
        seen = await house.seen(str(number), Status.PROCESSING, -900 + number)
        ended = replace(seen, status=Status.SUCCEEDED, word="SUCCEEDED", ended_at=at(-900 + number + took))
        await house.recorder.record(KIND, [ended], POSITION)
    await house.seen("20", Status.PROCESSING, -541)
    overdue = house.told[-1]
    assert (overdue.type.value, overdue.reason) == ("job.overdue", "limit")
    assert (overdue.details["usual_s"], overdue.details["p95_s"], overdue.details["runs"]) == (1800, 42000, 10)
    assert overdue.details["eta_s"] == (700 - 541) * 60 - 30
    assert message_of(overdue).summary.endswith(
        "longer than its limit of 9 h; such jobs take 30 m, and nearly all less than 11 h 40 m."
    )
    assert message_of(overdue).action == (
        "Still watching it. ETA 04:59:00 UTC: those that took longer went on for about 2 h 38 m more."
    )  # fmt: skip
    (logged,) = await house.store.events(EventFilter(job_id="20", types=("job.overdue",)))
    assert logged.event.details == overdue.details


async def test_the_end_of_a_job_says_how_long_such_jobs_take_by_those_before_it(house):
    for number in range(3, 12):
        await house.seen(str(number), Status.SUCCEEDED, -60 + number, batches=("b",))
    house.begin()
    for status in (Status.FAILED, Status.SUCCEEDED):
        await house.seen(f"20-{status}", Status.PROCESSING, -6)
        await house.seen(f"20-{status}", status, -6, batches=("b",))
        told = house.told[-1]
        assert told.type.value == f"job.{status.value.lower()}"
        figures = {name: told.details[name] for name in ("usual_s", "p95_s", "runs")}
        assert figures == {"usual_s": 300.0, "p95_s": 300.0, "runs": 10}


async def test_of_work_hardly_known_the_end_of_a_job_compares_with_nothing(house):
    await house.seen("2", Status.PROCESSING, -6)
    await house.seen("2", Status.FAILED, -6)
    assert house.told[-1].type.value == "job.failed"
    assert "usual_s" not in house.told[-1].details


async def test_the_history_is_not_read_again_for_each_end(house, monkeypatch):
    reads: list[str] = []
    jobs = house.store.jobs

    async def counted(wanted, *, limit=None):
        reads.append(wanted.kind)
        return await jobs(wanted, limit=limit)

    monkeypatch.setattr(house.store, "jobs", counted)
    house.begin()
    for number in range(30, 40):
        await house.seen(str(number), Status.PROCESSING, -6)
        await house.seen(str(number), Status.FAILED, -6)
    assert reads.count(KIND) == 1
    await house.clock.advance(minutes=11)
    await house.seen("40", Status.PROCESSING, -6)
    await house.seen("40", Status.FAILED, -6)
    assert reads.count(KIND) == 2


async def test_odd_replies_are_told_once_a_day_also_by_the_next_process(house):
    for _ in range(2):
        house.oddities.note("export_job_row", "a row with no status")
        house.oddities.note("export_job", "The answer is an empty body")
        told = await house.look()
        house.begin()
    assert told == []
    assert [event.details["part"] for event in house.told if event.type.value == "sandbox.unknown_reply"] == [
        "export_job_row", "export_job",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "text", "why"),
    [
        pytest.param(rb'"Summer \ud83c"', "Summer \ufffd", "half of a character in a text", id="half-an-emoji"),
        pytest.param(
            b'"Z\xfcrich \tis full"', "Z\ufffdrich \tis full", "text that is not UTF-8", id="latin-1-and-a-tab"
        ),
        pytest.param(b'"full", "rate": -Infinity', "full", "a number that is none", id="infinity"),
    ],
)
async def test_a_failure_whose_text_was_cut_in_a_character_is_told_and_so_is_its_neighbour(house, broken, text, why):
    def page(status: bytes, words: bytes) -> bytes:
        row = b'{"id": %d, "status": "%s", "errors": [{"code": "1", "msg": %s}]}'
        rows = row % (8, status, words), row % (9, status, b'"Job aborted."')
        return reply(body=b'{"records": [' + b", ".join(rows) + b"]}")

    house.begin()
    await house.recorder.load()
    counted: list[tuple[str, int]] = []
    failures = [page(b"FAILED", broken)] * 2
    async with raw_platform(page(b"PROCESSING", b'""'), *failures) as platform, client_of(platform.url) as client:
        share, places = Budget(requests_per_second=50, burst=9).share(requests_per_second=50, burst=9), asyncio.Lock()
        source = Source(
            EXPORT, client, share, house.clock,
            unreadable=lambda *count: counted.append(count), odd=house.oddities.note, places=places,
        )  # fmt: skip
        for _ in range(3):
            seen = (await source.page(GET)).rows
            await house.recorder.record(KIND, seen, POSITION)
            await house.clock.advance(seconds=1)
            told = await house.look()
    failed = {event.job_id: event for event in house.told if event.type.value == "job.failed"}
    assert [failed[job].details["errors"][0]["message"] for job in ("8", "9")] == [text, "Job aborted."]
    odd = [event.details for event in house.told if event.type.value == "sandbox.unknown_reply"]
    assert told == [], "once a day"
    assert {one["part"] for one in odd} == {KIND}
    assert any(why in one["why"] for one in odd)
    assert counted == [(KIND, 1)] * 2


async def test_what_a_subject_remembers_is_kept_and_found_by_its_prefix(house):
    states = [
        SubjectState(stream=f"{name}/prod/1", condition="ok", since=at(n), memory={"n": [n, "x", None]})
        for n, name in enumerate(("audience", "schedule", "schedules"))
    ]
    await house.store.commit([Change(subject=state) for state in states])
    assert await house.store.subjects("schedule/") == [states[1]]
    assert await house.store.subject("schedules/prod/1") == states[2]
    await house.store.forget(at(2))
    assert await house.store.subjects("audience/") + await house.store.subjects("schedule") == [states[2]]
