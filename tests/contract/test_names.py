"""Names of segments and datasets, learned over a real socket from the local platform, kept on a real store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from emulator_fixtures import DATASET, DATASETS, DEFINITIONS, OTHER_SEGMENT, SEGMENT, Platform, until
from fakes import FakeClock
from store_builders import at
from structlog.testing import capture_logs
from watching import watched

from segwatch.daemon.bus import Bus, News
from segwatch.daemon.names import NameBook, NameReader
from segwatch.daemon.recorder import Recorder
from segwatch.decision import Policy
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.names import NameKey, Naming, Resource
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.jobs.model import Facts, JobKey, Observation, Status
from segwatch.jobs.reading import Position
from segwatch.jobs.tracker import Watch
from segwatch.store.sqlite import SqliteStore

KIND = "export_job"
POSITION = Position(sandbox="prod", kind=KIND, began_at=at(-60), frontier=at(-60), swept_at=at(-1))


def segment(id_: str = SEGMENT) -> NameKey:
    return NameKey(sandbox="prod", resource=Resource.SEGMENT, id=id_)


def dataset(id_: str = DATASET) -> NameKey:
    return NameKey(sandbox="prod", resource=Resource.DATASET, id=id_)


class House:
    """A reader of names beside a recorder, as one process has them."""

    def __init__(self, store: SqliteStore, platform: Platform, client) -> None:
        self.store, self.platform, self.client = store, platform, client
        self.clock = FakeClock(at(0))
        self.begin()

    def begin(self) -> None:
        """Start as a new process would."""
        policy = Policy(
            watch=Watch(path=(Status.NEW, Status.PROCESSING), since=at(-60), overdue_after=timedelta(hours=9))
        )
        self.recorder = Recorder(
            "prod", self.store, self.clock, Bus(), lambda events, now: (), policies={KIND: policy},
            remember=timedelta(hours=48),
        )  # fmt: skip
        self.book = NameBook(self.store, Knowledge())
        self.reader = NameReader(self.client, self.recorder, self.book, self.clock)

    def heard(self, *segments: str, dataset: str = "", sandbox: str = "prod") -> None:
        details = {"segments": list(segments), "dataset": dataset}
        event = Event(
            type=EventType.JOB_DISCOVERED, stream="s", sequence=1, at=at(0), severity=Severity.INFO, sandbox=sandbox,
            details=details,
        )  # fmt: skip
        self.reader.heard(News(event=event))

    async def calls(self) -> int:
        """Return how many calls for names the platform has had."""
        requests = (await self.platform.ledger())["requests"]
        return sum(count for what, count in requests.items() if "bulk-get" in what or "/dataSets/" in what)

    async def turns(self, most: int = 20) -> None:
        for _ in range(most):
            if not await self.reader.turn():
                return
        raise AssertionError("it asks on and on")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()
    async with watched() as (platform, client):
        yield House(store, platform, client)
    await store.close()


async def test_names_are_learned_with_one_call_for_all_segments_and_survive_a_restart(house):
    house.heard(SEGMENT, OTHER_SEGMENT, "*", "nobody-knows", dataset=DATASET)
    house.heard(SEGMENT, sandbox="elsewhere")
    await house.turns()
    learned = house.book.knowledge().names
    assert set(learned) == {segment(), segment(OTHER_SEGMENT), dataset()}
    assert learned[dataset()] == "Segment Export"
    assert await house.calls() == 2
    house.begin()
    await house.book.load()
    assert house.book.knowledge().names == learned
    house.heard(SEGMENT, "nobody-knows", dataset=DATASET)
    await house.turns()
    assert await house.calls() == 2


async def test_a_name_is_asked_for_again_after_a_day_and_an_unknown_id_after_six_hours(house):
    house.heard(SEGMENT, dataset="nobody-knows")
    await house.turns()
    before = await house.calls()
    await house.clock.advance(hours=5)
    await house.turns()
    assert await house.calls() == before
    await house.clock.advance(hours=2)
    await house.turns()
    assert await house.calls() == before + 1
    await house.clock.advance(hours=18)
    await house.turns()
    assert await house.calls() == before + 3


async def test_a_deleted_segment_keeps_the_name_it_had(house):
    house.heard(SEGMENT)
    await house.turns()
    name = house.book.knowledge().names[segment()]
    await house.platform.call("DELETE", f"{DEFINITIONS}/{SEGMENT}")
    await house.clock.advance(hours=25)
    await house.turns()
    assert house.book.knowledge().names[segment()] == name
    assert [one.at for one in await house.store.names()] == [house.clock.now()]


@pytest.mark.parametrize("status", [401, 403])
async def test_without_the_permission_it_is_said_once_and_other_names_are_learned(house, status):
    await house.platform.control("faults", {"path": f"{DEFINITIONS}/bulk-get", "fault": {"status": status}})
    house.heard(SEGMENT, dataset=DATASET)
    with capture_logs() as lines:
        for _ in range(3):
            await house.turns()
            await house.clock.advance(minutes=61)
        await house.platform.control("faults", method="DELETE")
        await house.turns()
    told = [line for line in lines if line["event"].startswith("names_")]
    assert [(line["event"], line["names_of"]) for line in told] == [("names_not_permitted", "segment")]
    assert "polling.names" in told[0]["hint"]
    assert set(house.book.knowledge().names) == {segment(), dataset()}


async def test_while_the_permission_is_missing_it_is_asked_for_once_an_hour(house):
    await house.platform.control("faults", {"path": f"{DEFINITIONS}/bulk-get", "fault": {"status": 403}})
    house.heard(SEGMENT)
    for _ in range(10):
        await house.turns()
        await house.clock.advance(minutes=1)
    assert await house.calls() == 1


@pytest.mark.parametrize("fault", [{"garbage": True}, {"status": 503}, {"status": 404}, {"reset": True}])
async def test_trouble_costs_a_call_now_and_then_and_no_name_is_made_up(house, fault):
    await house.platform.control("faults", {"path": f"{DEFINITIONS}/bulk-get", "fault": fault})
    house.heard(SEGMENT)
    with capture_logs() as lines:
        await house.turns()
        await house.clock.advance(seconds=30)
        await house.turns()
        await house.clock.advance(minutes=2)
        await house.turns()
    assert [line["event"] for line in lines if line["event"].startswith("names_")] == ["names_not_read"]
    assert house.book.knowledge().names == {}
    assert await house.store.names() == []
    await house.platform.control("faults", method="DELETE")
    await house.clock.advance(minutes=10)
    await house.turns()
    assert segment() in house.book.knowledge().names


async def test_one_dataset_that_cannot_be_read_does_not_keep_the_others_waiting(house):
    await house.platform.control("faults", {"path": f"{DATASETS}/odd", "fault": {"garbage": True}})
    house.heard(dataset="odd")
    house.heard(dataset=DATASET)
    await house.turns()
    await house.clock.advance(minutes=2)
    await house.turns()
    assert set(house.book.knowledge().names) == {dataset()}


async def test_many_datasets_are_asked_for_a_few_at_a_time(house):
    for number in range(12):
        house.heard(dataset=f"d{number}")
    await house.reader.turn()
    assert await house.calls() == 5
    await house.turns()
    assert await house.calls() == 12


async def test_a_refusal_is_followed_by_fewer_ids_until_it_is_known_which_is_refused(house):
    order = {"path": f"{DEFINITIONS}/bulk-get", "fault": {"status": 400}, "times": 3}
    await house.platform.control("faults", order)
    house.heard("refused", SEGMENT, OTHER_SEGMENT, "nobody-knows")  # by 4, by 2, by itself; then the others
    await house.turns()
    assert set(house.book.knowledge().names) == {segment(), segment(OTHER_SEGMENT)}
    assert len(await house.store.names()) == 4


async def test_a_bulk_answer_with_some_missing_is_taken_for_what_it_says(house):
    await house.platform.control("quirks", {"partial_bulk_get": True})
    house.heard(SEGMENT, OTHER_SEGMENT, "nobody-knows")
    await house.turns()
    known = {one.key.id: bool(one.name) for one in await house.store.names()}
    assert known.keys() == {SEGMENT, OTHER_SEGMENT, "nobody-knows"}
    assert not known["nobody-knows"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a\x1b[2J\u202e\nb", "a [2J b"), (7, "7"), (None, None), ({}, None)],
    ids=["as-a-name-is-shown", "number", "null", "object"],
)
async def test_odd_names_are_made_fit_or_passed_over(house, given, kept):
    patch = {"results": {SEGMENT: {"name": given}}}
    await house.platform.control("faults", {"path": f"{DEFINITIONS}/bulk-get", "fault": {"rewrite": patch}})
    house.heard(SEGMENT)
    await house.turns()
    assert house.book.knowledge().names.get(segment()) == kept


async def test_the_worker_learns_of_what_is_watched_and_of_what_comes(house):
    seen = Observation(
        key=JobKey(sandbox="prod", kind=KIND, id="1"), status=Status.NEW, word="NEW", asked_at=at(0),
        created_at=at(-1), facts=Facts(segments=(SEGMENT,), dataset=DATASET),
    )  # fmt: skip
    await house.recorder.load()
    await house.recorder.record(KIND, [seen], POSITION)
    house.clock = FakeClock(at(0), runs=True)
    reader = NameReader(house.client, house.recorder, house.book, house.clock)
    beats: list[None] = []
    worker = asyncio.create_task(reader.run(lambda: beats.append(None)))

    async def knows(*keys: NameKey) -> bool:
        return set(keys) <= set(house.book.knowledge().names)

    await until(lambda: knows(segment(), dataset()))
    about = Event(
        type=EventType.AUDIENCE_ANOMALY, stream="s", sequence=1, at=at(0), severity=Severity.WARNING, sandbox="prod",
        details={"segment": OTHER_SEGMENT},
    )  # fmt: skip
    reader.heard(News(event=about))
    await until(lambda: knows(segment(OTHER_SEGMENT)))
    worker.cancel()
    assert beats


async def test_names_that_nobody_asks_for_any_more_are_forgotten(house):
    old = Naming(key=segment("old"), name="Old", at=at(-1000))
    await house.store.keep_names([old, Naming(key=segment("new"), name="New", at=at(0))])
    await house.store.forget(at(-60))
    assert [one.key.id for one in await house.store.names()] == ["new"]
