"""Orders, the allowance of evaluations, and runs of pipelines, as every store engine must keep them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from store_builders import START, answer, at, delivery, job, key, order, run, run_event

from segwatch.deliveries.model import Stage
from segwatch.jobs.model import Facts, JobKey
from segwatch.jobs.order import OrderStep
from segwatch.jobs.quota import Allowance, Spend, Used
from segwatch.jobs.resubmission import Step
from segwatch.pipelines.model import RunState, StepDone
from segwatch.pipelines.model import Step as PipelineStep
from segwatch.store.base import Change, Conflict, Spent, StoreBlank, StoreHeld
from segwatch.store.factory import store_of
from segwatch.store.filters import EventFilter, RunFilter

BOUNDS = {"day": datetime(2026, 1, 5, tzinfo=UTC), "year": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.fixture
async def store(tmp_path):
    opened = store_of(f"sqlite://{tmp_path}/segwatch.db")
    await opened.open()
    yield opened
    assert await opened.check() == []
    await opened.close()


def posting(id_="cmd-1", **fields):
    """Return an order under way."""
    return order(id_, **({"step": OrderStep.POSTING, "posted_at": START} | fields))


def wish(*, force=False, per_day=2, per_year=50):
    return Spend.at(START, Allowance(per_day=per_day, per_year=per_year), force=force)


async def put(store, new, before=None, **rest):
    await store.commit([Change(order=new, order_before=before, **rest)])


async def test_an_order_is_there_after_a_restart_as_it_was_written(store, tmp_path):
    whole = posting(known=("1", "2"), job_id="", tries=2, declined=True, why="ßø", due_at=at(1.5))
    await put(store, whole)
    beside = store_of(f"sqlite://{tmp_path}/segwatch.db", exclusive=False, readonly=True)
    await beside.open()
    assert await beside.order("cmd-1") == whole
    assert await beside.order("cmd-2") is None
    await beside.close()


async def test_who_read_an_old_order_writes_nothing(store):
    await put(store, order())
    with pytest.raises(Conflict, match="has moved on"):
        await put(store, posting())
    with pytest.raises(Conflict, match="has moved on"):
        await put(store, posting(), order(due_at=at(1)))
    assert await store.order("cmd-1") == order()


async def test_of_equal_orders_one_is_posting_at_a_time(store):
    await put(store, posting())
    with pytest.raises(Conflict, match="cmd-1 is under way"):
        await put(store, posting("cmd-2"))
    await put(store, posting("cmd-3", fingerprint="other"))
    await put(store, posting("cmd-4", kind="export_job"))
    await put(store, posting("cmd-5", sandbox="dev"))
    await put(store, replace(posting(), step=OrderStep.PLACED, job_id="j"), posting())
    await put(store, posting("cmd-2"), reckoned=frozenset({posting().post}))


# clocks that were set back and forth between the look and the POST must not matter
CLOCKS = pytest.mark.parametrize("minute", [-500, 2, 500])


@CLOCKS
async def test_an_order_is_not_posted_when_an_equal_one_was_since_it_looked(store, minute):
    done = posting(step=OrderStep.PLACED, job_id="j", posted_at=at(minute))
    await put(store, done)
    with pytest.raises(Conflict, match="since the last look"):
        await put(store, posting("cmd-2"))
    await put(store, posting("cmd-2"), reckoned=frozenset({done.post}))
    again = answer(step=Step.SUBMITTED, posted_at=at(minute), since=at(minute), fingerprint="g")
    await store.commit([Change(resubmission=again)])
    with pytest.raises(Conflict, match="submitted again"):
        await put(store, posting("cmd-3", kind="export_job", fingerprint="g"))
    await put(store, posting("cmd-3", kind="export_job", fingerprint="g"), reckoned=frozenset({again.post}))


@CLOCKS
async def test_a_resubmission_is_not_posted_when_an_equal_order_was_since_it_looked(store, minute):
    done = posting(step=OrderStep.PLACED, job_id="j", kind="export_job", posted_at=at(minute))
    await put(store, done)
    again = answer(step=Step.POSTING, since=at(0.5), posted_at=at(0.5))
    with pytest.raises(Conflict, match="equal order cmd-1"):
        await store.commit([Change(resubmission=again)])
    await store.commit([Change(resubmission=again, reckoned=frozenset({done.post}))])


async def test_an_order_and_a_resubmission_are_equal_when_one_is_of_a_job_that_was_asked_for_as_the_other(store):
    """The platform may have filled in what the order had left out."""
    again = answer(step=Step.POSTING, posted_at=START, fingerprint="as recorded", aliases=("as asked",))
    await store.commit([Change(resubmission=again)])
    with pytest.raises(Conflict, match="submitted again"):
        await put(store, posting(kind="export_job", fingerprint="as asked"))
    waits = replace(again, step=Step.SCHEDULED)
    await store.commit([Change(resubmission=waits, resubmission_before=again)])
    await put(store, posting(kind="export_job", fingerprint="as asked"), reckoned=frozenset({again.post}))
    with pytest.raises(Conflict, match="equal order cmd-1"):
        await store.commit([Change(resubmission=again, resubmission_before=waits)])


async def test_whatever_was_posted_for_the_same_dataset_since_the_look_lets_it_look_again(store):
    """It may be equal in other words: what the platform fills in, one names and another does not."""
    facts = Facts(dataset="d1")
    failed = job("j1", facts=facts)
    again = answer(
        step=Step.POSTING, posted_at=START, tries=1, fingerprint="as recorded",
        request='{"destination":{"datasetId":"d1"},"mergePolicy":{"version":1}}',
    )  # fmt: skip
    await store.commit([Change(job=failed, resubmission=again)])
    other = posting(kind="export_job", fingerprint="as asked", dataset="d1")
    with pytest.raises(Conflict, match="for the same dataset is being submitted again"):
        await put(store, other)
    await put(store, replace(other, dataset="d2", id="cmd-2", fingerprint="elsewhere"))
    await put(store, other, reckoned=frozenset({again.post}))
    waits = replace(again, failed=key("j2"), step=Step.POSTING, fingerprint="another")
    with pytest.raises(Conflict, match="order for the same dataset, cmd-1"):
        await store.commit([
            Change(job=replace(failed, key=key("j2")), resubmission=waits, reckoned=frozenset({again.post}))
        ])  # fmt: skip


async def test_a_job_is_the_effect_of_an_order_or_of_a_resubmission_and_never_of_both(store):
    await put(store, order(step=OrderStep.PLACED, job_id="j9", kind="export_job"))
    with pytest.raises(Conflict, match="made by order cmd-1"):
        await store.commit([Change(job=job("j9"), resubmission=answer(step=Step.SUBMITTED, new_id="j9"))])
    await store.commit([Change(job=job("j9"), resubmission=answer(step=Step.ADOPTED, new_id="j9"))])
    await store.commit([Change(job=job("j8"), resubmission=answer("j2", step=Step.SUBMITTED, new_id="j8"))])
    with pytest.raises(Conflict, match="submitted for the failed j2"):
        await put(store, order("cmd-2", step=OrderStep.PLACED, job_id="j8", kind="export_job"))


async def test_an_order_and_a_resubmission_that_are_equal_are_not_posted_at_the_same_time(store):
    again = answer(step=Step.POSTING, posted_at=START)
    await store.commit([Change(resubmission=again)])
    with pytest.raises(Conflict, match="submitted again for prod/export_job/j1"):
        await put(store, posting(kind="export_job"))
    await put(store, posting(kind="export_job", fingerprint="other"))
    await store.commit([Change(resubmission=replace(again, step=Step.SCHEDULED), resubmission_before=again)])
    await put(store, posting("cmd-2", kind="export_job"), reckoned=frozenset({again.post}))
    with pytest.raises(Conflict, match="cmd-2 is under way"):
        await store.commit([Change(resubmission=again, resubmission_before=replace(again, step=Step.SCHEDULED))])


async def test_one_job_answers_one_placed_order(store):
    await put(store, order(step=OrderStep.PLACED, job_id="j9"))
    with pytest.raises(Conflict, match="already answers order cmd-1"):
        await put(store, order("cmd-2", step=OrderStep.PLACED, job_id="j9"))
    await put(store, order("cmd-3", step=OrderStep.ADOPTED, job_id="j9"))  # somebody's job may serve several


async def test_orders_are_found_by_what_they_are(store):
    first, second = order("a", since=at(1)), posting("b", sandbox="dev", since=at(2))
    third = order("c", since=at(0), owner="pipeline/nightly/r1", fingerprint="g", kind="export_job")
    for one in (first, second, third):
        await put(store, one)
    assert await store.orders() == [third, first, second]
    assert await store.orders("dev") == [second]
    assert await store.orders(steps=(OrderStep.INTENDED,)) == [third, first]
    assert await store.orders(owner="command") == [first, second]
    assert await store.orders("prod", kind="export_job") == [third]
    assert await store.orders(fingerprint="g") == [third]
    assert await store.orders(since=at(1.5)) == [second]


# how many evaluations are used


async def test_an_order_counts_from_its_posting_and_until_it_is_known_to_have_had_no_effect(store):
    counts = dict.fromkeys(OrderStep, 0) | {
        OrderStep.POSTING: 1, OrderStep.PLACED: 1, OrderStep.UNDECIDED: 1,
    }  # fmt: skip
    for number, step in enumerate(OrderStep):
        before = await store.used("prod", **BOUNDS)
        await put(store, posting(f"cmd-{number}", step=step, job_id=f"j{number}", fingerprint=f"{number}"))
        assert (await store.used("prod", **BOUNDS)).today - before.today == counts[step], step


def evaluation(id_, **fields):
    facts = Facts(**({"segments": ("s1",), "source": "api"} | fields.pop("facts", {})))
    return job(id_, key=JobKey(sandbox="prod", kind="segment_job", id=id_), root=id_, facts=facts, **fields)


async def test_evaluations_of_others_count_once_they_are_seen_and_those_of_a_schedule_never(store):
    for one in (
        evaluation("somebodys"),
        evaluation("scheduled", facts={"source": "scheduler"}),
        evaluation("of a schedule", facts={"schedule_id": "s"}),
        evaluation("of an old dialect", facts={"source": ""}),
        evaluation("last week's", created_at=START - timedelta(days=4)),
        evaluation("last year's", created_at=START - timedelta(days=9)),
        evaluation("not dated", created_at=None),
        job("an export"),
    ):
        await store.commit([Change(job=one)])
    assert await store.used("prod", **BOUNDS) == Used(today=3, this_year=4)
    assert await store.used("dev", **BOUNDS) == Used(today=0, this_year=0)


async def test_the_job_of_an_order_is_counted_once_and_an_adopted_one_too(store):
    await put(store, posting(step=OrderStep.PLACED, job_id="mine"))
    await store.commit([Change(job=evaluation("mine")), Change(job=evaluation("theirs"))])
    await put(store, order("cmd-2", step=OrderStep.ADOPTED, job_id="theirs"))
    assert await store.used("prod", **BOUNDS) == Used(today=2, this_year=2)


async def test_a_job_that_turns_out_to_be_a_schedules_is_no_longer_counted(store):
    sparse = evaluation("j", facts={"source": ""})
    await store.commit([Change(job=sparse)])
    assert (await store.used("prod", **BOUNDS)).today == 1
    told = replace(sparse, facts=replace(sparse.facts, source="scheduler"))
    await store.commit([Change(job=told, job_before=sparse)])
    assert (await store.used("prod", **BOUNDS)).today == 0


async def test_the_last_evaluation_is_not_spent_without_a_persons_word(store):
    await put(store, posting(), spend=wish())
    with pytest.raises(Spent, match="only one") as spent:
        await put(store, posting("cmd-2", fingerprint="g"), spend=wish())
    assert spent.value.used == Used(today=1, this_year=1)
    assert await store.order("cmd-2") is None
    await put(store, posting("cmd-2", fingerprint="g"), spend=wish(force=True))
    with pytest.raises(Spent, match="no evaluation is left"):
        await put(store, posting("cmd-3", fingerprint="h"), spend=wish())
    await put(store, posting("cmd-3", fingerprint="h"), spend=wish(force=True))  # the platform decides
    with pytest.raises(Spent):
        await put(store, posting("cmd-4", fingerprint="i"), spend=wish(per_day=99, per_year=3))


async def test_an_order_that_is_posted_again_does_not_count_against_itself(store):
    await put(store, posting(), spend=wish())
    await put(store, replace(posting(), tries=2), posting(), spend=wish())


async def test_two_processes_that_race_for_the_last_but_one_evaluation_do_not_both_get_it(store, tmp_path):
    others = [store_of(f"sqlite://{tmp_path}/segwatch.db", exclusive=False) for _ in range(4)]
    for other in others:
        await other.open()
    outcomes = await asyncio.gather(
        *(
            put(one, posting(f"cmd-{number}", fingerprint=f"{number}"), spend=wish())
            for number, one in enumerate([store, *others])
        ),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["NoneType", *["Spent"] * 4]
    for other in others:
        await other.close()


# runs


async def test_a_run_is_kept_with_its_events_and_compared_whole(store):
    begun = run(sequence=1)
    await store.commit([Change(run=begun, events=(run_event(begun),))])
    done = replace(
        begun, step=PipelineStep.CHECK, members={"s1": 12}, version=1, batches=("b",), due_at=at(3),
        done=(StepDone(step=PipelineStep.EVALUATION, at=at(2), took_s=1.5),),
    )  # fmt: skip
    await store.commit([Change(run=done, run_before=begun)])
    assert await store.run("r1") == done
    with pytest.raises(Conflict, match="has moved on"):
        await store.commit([Change(run=replace(done, step=PipelineStep.DOWNLOAD), run_before=begun)])
    assert await store.run("r2") is None


async def test_one_cause_begins_one_run(store):
    await store.commit([Change(run=run())])
    with pytest.raises(Conflict, match="has the cause job/r1"):
        await store.commit([Change(run=run("r2", cause="job/r1"))])
    await store.commit([Change(run=run("r3", cause="job/r1", pipeline="weekly"))])


async def test_runs_are_found_by_what_they_are_the_last_begun_first(store):
    first = run("a", began_at=at(1), state=RunState.FAILED, ended_at=at(2))
    second, third = run("b", began_at=at(2)), run("c", began_at=at(3), pipeline="weekly", sandbox="dev")
    for one in (third, first, second):
        await store.commit([Change(run=one)])
    assert await store.runs(RunFilter()) == [third, second, first]
    assert await store.runs(RunFilter(), limit=1) == [third]
    assert await store.runs(RunFilter(sandbox="prod", open_only=True)) == [second]
    assert await store.runs(RunFilter(pipeline="weekly")) == [third]
    assert await store.runs(RunFilter(cause="job/a")) == [first]


async def test_a_pipeline_is_followed_from_the_first_time_that_somebody_asks(store):
    assert await store.followed_since("prod", "nightly", at(1)) == at(1)
    assert await store.followed_since("prod", "nightly", at(9)) == at(1)
    assert await store.followed_since("dev", "nightly", at(9)) == at(9)


# forgetting


async def test_old_runs_are_forgotten_with_their_events_unless_somebody_is_still_to_be_told(store):
    ended = {"state": RunState.SUCCEEDED, "ended_at": at(10), "sequence": 1}
    old, untold = run("old", **ended), run("untold", **ended)
    young, open_ = run("young", **ended | {"ended_at": at(90)}), run("open", sequence=1)
    for one in (old, untold, young, open_):
        event = run_event(one)
        promises = () if one is young else (delivery(event),)
        await store.commit([Change(run=one, events=(event,), deliveries=promises)])
    told = [made for made in await store.deliveries() if made.event.stream == old.stream]
    await store.settle([replace(made, stage=Stage.DELIVERED) for made in told])
    await store.forget(at(60))
    assert {one.id for one in await store.runs(RunFilter())} == {"untold", "young", "open"}
    assert {logged.event.stream for logged in await store.events(EventFilter())} == {
        one.stream for one in (untold, young, open_)
    }


async def test_ended_orders_are_forgotten_and_those_of_evaluations_after_more_than_a_year(store):
    placed = {"step": OrderStep.PLACED, "since": at(10)}
    await put(store, order("export", kind="export_job", job_id="1", **placed))
    await put(store, order("evaluation", job_id="2", **placed))
    await put(store, posting("open", kind="export_job", since=at(10)))
    await store.forget(at(60))
    assert {one.id for one in await store.orders()} == {"evaluation", "open"}
    await store.forget(at(60) + timedelta(days=400))
    assert {one.id for one in await store.orders()} == {"open"}


async def test_whoever_comes_second_is_told_that_another_daemon_has_the_store(store, tmp_path):
    with pytest.raises(StoreHeld, match="in use by another segwatch daemon"):
        await store_of(f"sqlite://{tmp_path}/segwatch.db").open()


async def test_jobs_that_were_recorded_before_are_counted_after_an_upgrade(tmp_path):
    import sqlite3

    from segwatch.store.file import APPLICATION_ID, migrations
    from segwatch.store.rows import body_of

    with sqlite3.connect(tmp_path / "segwatch.db") as db:
        for number, sql in enumerate(migrations()[:3], start=1):
            db.executescript(f"PRAGMA application_id = {APPLICATION_ID}; {sql}; PRAGMA user_version = {number}")
        for one in (evaluation("a"), evaluation("b", facts={"source": "scheduler"}), job("c")):
            db.execute(
                "INSERT INTO job (sandbox, kind, id, stream, status, active, root, sequence, changed_us, body)"
                " VALUES (?, ?, ?, ?, 'PROCESSING', 1, ?, 0, 0, ?)",
                (one.key.sandbox, one.key.kind, one.key.id, one.key.stream, one.key.id, body_of(one)),
            )
    db.close()
    store = store_of(f"sqlite://{tmp_path}/segwatch.db")
    await store.open()
    assert await store.used("prod", **BOUNDS) == Used(today=1, this_year=1)
    assert await store.job(key("c")) == job("c")
    await store.close()


async def test_a_file_that_somebody_is_just_making_is_told_from_an_old_one(tmp_path):
    (tmp_path / "new.db").touch()
    with pytest.raises(StoreBlank, match="has schema 0"):
        await store_of(f"sqlite://{tmp_path}/new.db", exclusive=False).open()
