"""The worker of pipelines on a real store: which runs it begins, in which order, and what it writes of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock
from store_builders import at, order

from segwatch.daemon import pipeliner
from segwatch.daemon.bus import Bus
from segwatch.daemon.pipeline_words import order_id
from segwatch.daemon.pipeliner import Pipeline, Pipeliner
from segwatch.daemon.recorder import Recorder
from segwatch.decision import Policy
from segwatch.jobs.model import Facts, JobKey, JobState, Status
from segwatch.jobs.order import Order, OrderStep
from segwatch.jobs.tracker import Watch
from segwatch.pipelines.advance import wished
from segwatch.pipelines.chain import Arrived
from segwatch.pipelines.model import Plan, Run, RunState, Step, person
from segwatch.pipelines.plausibility import BatchSeen, BatchState
from segwatch.pipelines.seen import (
    BatchesStand,
    CommandEnded,
    DatasetKnown,
    EvaluationStands,
    ExportFound,
    ExportStands,
    Impossible,
    Pending,
    Reason,
    Seen,
)
from segwatch.store.base import Change, StoreUnavailable
from segwatch.store.filters import EventFilter, RunFilter
from segwatch.store.sqlite import SqliteStore

# the clock leaps on while the disk is waited for, so that no deadline of hours may count
PLAN = Plan(segments=("s1",), dataset="d1", step_deadline=timedelta(days=100))
TRIGGERED = replace(PLAN, after="schedule")


def job(kind: str = "segment_job", id_: str = "seg-1", status: Status = Status.SUCCEEDED, **facts: Any) -> JobState:
    told = {"segments": ("s1",), "batches": ("b1",), "source": "scheduler"} | facts
    return JobState(
        key=JobKey(sandbox="prod", kind=kind, id=id_), status=status, word=status.value, asked_at=at(0),
        discovered_at=at(0), since=at(0), created_at=at(0), ended_at=at(1) if status.is_final else None,
        facts=Facts(**told), root=id_, sequence=1,
    )  # fmt: skip


def well(run: Run) -> Seen:
    """Return what lets the run come to its next step."""
    match run.step:
        case Step.EVALUATION:
            return EvaluationStands(job=job())
        case Step.DATASET:
            return DatasetKnown(id="d1")
        case Step.EXPORT:
            return ExportFound(job_id="1")
        case Step.EXPORTING:
            return ExportStands(at=Arrived(job=job("export_job", "1")))
        case _:
            return BatchesStand(batches=(BatchSeen(id="b1", state=BatchState.READY, word="success"),))


@dataclass
class Acts:
    """What runs see. seen: the steps that were looked at, by run."""

    sees: Callable[[Run], Seen] = well
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def see(self, run: Run, beat: Callable[[], None]) -> Seen:
        self.seen.append((run.id, run.step.value))
        return self.sees(run)

    async def stop(self, run: Run) -> None:
        """Nothing is left at work."""


@dataclass
class Orders:
    """An Orderer. withdrawn: the ids of orders that nobody wants any more."""

    withdrawn: list[str] = field(default_factory=list)

    async def withdraw(self, wanted: Order, why: str) -> Order:
        self.withdrawn.append(wanted.id)
        return wanted

    async def settle(self, beat: Callable[[], None]) -> None:
        """There are none that somebody has left."""


@dataclass
class House:
    store: SqliteStore
    clock: FakeClock
    acts: Acts = field(default_factory=Acts)
    orders: Orders = field(default_factory=Orders)
    behind: timedelta | None = timedelta()
    recorder: Recorder | None = None

    @asynccontextmanager
    async def working(
        self, *plans: Plan, channels: tuple[str, ...] = (), only: str = ""
    ) -> AsyncIterator[asyncio.Task[None]]:
        watch = Watch(path=(), since=at(-60), overdue_after=timedelta(hours=2))
        recorder = Recorder(
            "prod", self.store, self.clock, Bus(), lambda events, now: (),
            policies={kind: Policy(watch=watch) for kind in ("segment_job", "export_job")},
            remember=timedelta(hours=48),
        )  # fmt: skip
        self.recorder = recorder
        recorder.clock_behind = self.behind
        named = [Pipeline(name=f"p{number}", plan=plan, channels=channels) for number, plan in enumerate(plans)]
        worker = Pipeliner(
            recorder, self.store, self.clock, self.acts, self.orders, self.orders, named, only=only,  # type: ignore[arg-type]
        )  # fmt: skip
        task = asyncio.create_task(worker.run(lambda: None))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def wishes(self, name: str, plan: Plan = PLAN, *, minute: float = 0, step: Step = Step.EVALUATION) -> str:
        run = replace(wished("p0", "prod", plan, person(name), at(minute)), step=step)
        await self.store.commit([Change(run=run)])
        return run.id

    async def until(self, task: asyncio.Task[None], true: Callable[[list[Run]], bool]) -> list[Run]:
        """Return all runs, the first begun first, once this is true of them."""
        async with asyncio.timeout(30):
            while True:
                runs = list(reversed(await self.store.runs(RunFilter())))
                if true(runs):
                    return runs
                assert not task.done(), task.exception()
                await asyncio.sleep(0.002)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()
    try:
        yield House(store, FakeClock(at(2), leaps=True))
    finally:
        await store.close()


def all_ended(runs: list[Run]) -> bool:
    return bool(runs) and not any(run.state.is_open for run in runs)


async def test_a_wish_is_driven_to_its_end_and_promised_to_its_channels(house: House) -> None:
    id_ = await house.wishes("w1")
    async with house.working(PLAN, channels=("events",)) as task:
        (run,) = await house.until(task, all_ended)
    assert (run.id, run.state.value) == (id_, "succeeded")
    told = [logged.event for logged in await house.store.events(EventFilter(stream=run.stream))]
    assert [event.sequence for event in told] == list(range(1, len(told) + 1))
    promised = await house.store.deliveries()
    assert [(one.channel, one.event.type.value) for one in promised] == [("events", "pipeline.succeeded")]


async def test_a_run_is_told_to_the_channels_that_it_began_with(house: House) -> None:
    kept = replace(PLAN, channels=("began-with",))
    await house.wishes("w1", kept)
    async with house.working(PLAN, channels=("of-now",)) as task:
        await house.until(task, all_ended)
    await house.wishes("w2", kept, minute=1)
    async with house.working() as task:  # and its pipeline is in the settings no more
        await house.until(task, all_ended)
    assert [one.channel for one in await house.store.deliveries()] == ["began-with", "began-with"]


async def test_runs_of_one_pipeline_come_one_after_the_other(house: House) -> None:
    first, second = await house.wishes("w1"), await house.wishes("w2", minute=1)
    async with house.working(PLAN) as task:
        await house.until(task, all_ended)
    assert [id_ for id_, _ in house.acts.seen] == [first] * 5 + [second] * 5


async def test_who_is_not_the_daemon_drives_one_run_and_begins_none(house: House) -> None:
    await house.store.followed_since("prod", "p1", at(0))
    first = await house.wishes("w1")
    other = replace(wished("p9", "prod", PLAN, person("w9"), at(0)), step=Step.EVALUATION)
    await house.store.commit([Change(run=other), Change(job=job(id_="seg-2"))])
    async with house.working(PLAN, TRIGGERED, only=first) as task:
        await house.until(task, lambda runs: any(run.id == first and not run.state.is_open for run in runs))
        for _ in range(200):
            await asyncio.sleep(0.002)
        assert not task.done()
    assert await house.store.run(other.id) == other
    assert {run.id for run in await house.store.runs(RunFilter())} == {first, other.id}


async def test_a_look_that_shows_nothing_is_not_written(house: House) -> None:
    await house.wishes("w1")
    looks = 0

    def waits(run: Run) -> Seen:
        nonlocal looks
        looks += 1
        return Pending(why="it runs") if looks < 50 else well(run)

    house.acts.sees = waits
    async with house.working(PLAN) as task:
        (run,) = await house.until(task, all_ended)
    assert len(house.acts.seen) == 54
    assert run.version == 1 + 1 + 5, "its beginning, why it waits, five steps"


async def test_an_error_of_our_own_is_tried_again_and_at_last_ends_the_run_only(house: House) -> None:
    house.acts.sees = lambda run: (_ for _ in ()).throw(OverflowError("date value out of range"))
    await house.wishes("w1")
    async with house.working(PLAN) as task:
        (run,) = await house.until(task, all_ended)
    assert run.reason == "internal"
    assert "OverflowError" in run.why
    assert len(house.acts.seen) == 5


async def test_what_a_run_that_is_over_had_ordered_is_withdrawn(house: House) -> None:
    id_ = await house.wishes("w1", step=Step.EXPORT)
    await house.store.commit([Change(order=order(f"{id_}/export"))])
    house.acts.sees = lambda run: Impossible(reason=Reason.SETTINGS, why="no")
    async with house.working(PLAN) as task:
        await house.until(task, all_ended)
        async with asyncio.timeout(10):
            while not house.orders.withdrawn:  # noqa: ASYNC110 - the worker does it behind the commit
                await asyncio.sleep(0.002)
    assert house.orders.withdrawn == [f"{id_}/export"]


async def test_a_command_that_ended_is_not_run_again_because_its_end_cannot_be_written(house: House) -> None:
    house.acts.sees = lambda run: CommandEnded(code=0, tail="") if run.step is Step.COMMAND else well(run)
    commit, failures = house.store.commit, 3

    async def full(changes: Sequence[Change]) -> None:
        nonlocal failures
        if failures and any(one.run_before and one.run_before.step is Step.COMMAND for one in changes):
            failures -= 1
            raise StoreUnavailable("the disk is full")
        await commit(changes)

    house.store.commit = full
    await house.wishes("w1", plan=replace(PLAN, command=("/bin/load",), has_command=True))
    async with house.working(PLAN) as task:
        (run,) = await house.until(task, all_ended)
    assert (run.state, failures) == (RunState.SUCCEEDED, 0)
    assert [step for _, step in house.acts.seen].count("command") == 1


async def test_each_evaluation_begins_one_run_of_each_pipeline_that_wants_it(house: House) -> None:
    await house.store.followed_since("prod", "p0", at(0))
    await house.store.followed_since("prod", "p1", at(0))
    jobs = [job(), job(id_="seg-2"), job(id_="on-demand", source="api")]
    await house.store.commit([Change(job=one) for one in jobs])
    for _ in range(2):  # whatever it has begun it begins no more in its next life
        async with house.working(TRIGGERED, replace(PLAN, after="segment_job")) as task:
            runs = await house.until(task, lambda runs: len(runs) >= 5 and all_ended(runs))
            await house.clock.sleep(5)
    causes = sorted((run.pipeline, run.cause) for run in runs)
    assert causes == [
        ("p0", "job/seg-1"), ("p0", "job/seg-2"), ("p1", "job/on-demand"), ("p1", "job/seg-1"), ("p1", "job/seg-2"),
    ]  # fmt: skip
    assert len(await house.store.runs(RunFilter())) == 5


async def test_what_ended_before_a_pipeline_was_followed_begins_nothing(house: House) -> None:
    await house.store.commit([Change(job=job())])
    async with house.working(TRIGGERED) as task:
        for _ in range(200):
            await asyncio.sleep(0.002)
        assert not task.done()
    assert await house.store.runs(RunFilter()) == []


@pytest.mark.parametrize("behind", [timedelta(hours=3), -timedelta(hours=3)], ids=["ahead", "behind"])
async def test_a_pipeline_is_followed_from_its_first_look_on_by_the_platforms_clock(
    house: House, behind: timedelta
) -> None:
    """The host's clock is wrong: an evaluation that ends after the start begins a run, one that ended before does not.

    Nothing is known of the platform's clock before it is heard.
    """
    began, house.behind = house.clock.now() - behind, None
    async with house.working(TRIGGERED) as task:
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert house.recorder is not None
        house.recorder.clock_behind = behind
        for id_, ended_s in (("before", -9), ("after", 1)):
            ended = began + timedelta(seconds=ended_s)
            over = replace(job(id_=id_), created_at=ended, ended_at=ended)
            await house.recorder.write(lambda over=over: _made(over))
        runs = await house.until(task, all_ended)
        assert [run.cause for run in runs] == ["job/after"]


async def _made(one: JobState) -> Sequence[Change]:
    return [Change(job=one)]


async def test_a_run_that_the_last_process_left_goes_on_where_it_was(house: House) -> None:
    id_ = await house.wishes("w1")
    house.acts.sees = lambda run: Pending(why="it runs") if run.step is Step.EXPORTING else well(run)
    async with house.working(PLAN) as task:
        await house.until(task, lambda runs: runs[0].step is Step.EXPORTING)
    house.acts.seen.clear()
    house.acts.sees = well
    async with house.working() as task:  # and its pipeline is in the settings no more
        await house.until(task, all_ended)
    # a look may be taken twice, when a commit of the process that died came between
    assert list(dict.fromkeys(house.acts.seen)) == [(id_, "exporting"), (id_, "check")]


@pytest.mark.parametrize("step", list(Step))
async def test_an_act_is_stopped_at_the_deadline_of_its_step(
    house: House, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeliner, "_LOOK_LEAST_S", 0.1)
    plan = replace(PLAN, dataset="d1", download="/out", has_command=True, step_deadline=timedelta(seconds=3))
    stopped: list[str] = []

    async def endless(run: Run, beat: Callable[[], None]) -> Seen:
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            stopped.append(run.step.value)

    house.acts.see = endless  # type: ignore[method-assign]
    house.clock = FakeClock(at(0), runs=True)
    await house.wishes("w1", plan, step=step)
    async with house.working(plan) as task:
        (run,) = await house.until(task, all_ended)
    assert (run.reason, stopped) == ("deadline", [step.value])
    assert run.why.startswith(f"{step.value} took too long")


async def test_a_job_whose_answer_comes_while_its_order_is_stopped_is_the_runs(house: House) -> None:
    plan = replace(PLAN, step_deadline=timedelta(seconds=3))

    async def late(run: Run, beat: Callable[[], None]) -> Seen:
        if run.step is not Step.EXPORT:
            return well(run)
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            answered = replace(order(order_id(run, Step.EXPORT)), step=OrderStep.PLACED, job_id="77")
            await house.store.commit([Change(order=answered)])

    house.acts.see = late  # type: ignore[method-assign]
    house.clock = FakeClock(at(0), runs=True)
    await house.wishes("w1", plan, step=Step.EXPORT)
    async with house.working(plan) as task:
        (run,) = await house.until(task, all_ended)
    assert (run.state, run.export_job) == (RunState.SUCCEEDED, "77"), run.why


async def test_a_look_behind_the_deadline_has_its_time_since_what_it_shows_counts(house: House) -> None:
    plan = replace(PLAN, step_deadline=timedelta(minutes=1))

    async def slow(run: Run, beat: Callable[[], None]) -> Seen:
        for _ in range(3):
            await asyncio.sleep(0)
        return well(run)

    house.acts.see = slow  # type: ignore[method-assign]
    wish = wished("p0", "prod", plan, person("w1"), at(-600))
    await house.store.commit([Change(run=replace(wish, state=RunState.RUNNING, step=Step.EVALUATION))])
    async with house.working(plan) as task:
        (run,) = await house.until(task, all_ended)
    assert run.state is RunState.SUCCEEDED, run.why
