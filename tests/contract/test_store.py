"""What every store engine must do. An engine is a function from a folder to an open store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from store_builders import answer, at, delivery, job, key, moved, run, sandbox_event, silence, told

from segwatch.deliveries.model import Stage
from segwatch.jobs.model import Status
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Step
from segwatch.jobs.subject import SubjectState
from segwatch.pipelines.model import RunState
from segwatch.store.base import Change, Conflict, OutboxDepth, Store, StoreError
from segwatch.store.factory import store_of
from segwatch.store.filters import EventFilter, JobFilter, RunFilter

Reopen = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["sqlite"])
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Return a function that closes the store, if it is open, and opens it again."""
    assert request.param == "sqlite"
    opened: list[Store] = []

    async def again() -> Store:
        while opened:
            await opened.pop().close()
        store = store_of(f"sqlite://{tmp_path}/segwatch.db")
        await store.open()
        opened.append(store)
        return store

    yield again
    while opened:
        await opened.pop().close()


@pytest.fixture
async def store(reopen: Reopen) -> AsyncIterator[Store]:
    """Return an open store; whatever the test did to it, it must be sound at the end."""
    opened = await reopen()
    yield opened
    assert await opened.check() == []


async def test_all_that_was_committed_is_there_after_a_restart(reopen):
    store = await reopen()
    state, change = told(job(), to=["ops", "log"])
    subject = SubjectState(stream="sandbox/prod", condition="unreachable", since=at(1), sequence=1)
    position = Position(sandbox="prod", kind="export_job", watermark=at(2), swept_at=at(3))
    await store.commit([replace(change, subject=subject, position=position, resubmission=answer())])
    await store.commit([Change(events=(sandbox_event(1),))])
    ids = [made.id for made in await store.deliveries()]
    store = await reopen()
    assert await store.job(state.key) == state
    assert [logged.event for logged in await store.events(EventFilter())] == [*change.events, sandbox_event(1)]
    assert await store.deliveries() == sorted(change.deliveries, key=lambda made: made.channel, reverse=True)
    assert [made.id for made in await store.deliveries()] == ids
    assert await store.subject("sandbox/prod") == subject
    assert await store.position("prod", "export_job") == position
    assert await store.resubmission(key()) == answer()
    assert await store.check() == []


async def test_what_was_never_said_is_unknown(store):
    assert await store.job(key()) is None
    assert await store.subject("sandbox/prod") is None
    assert await store.position("prod", "x") == Position(sandbox="prod", kind="x")
    assert await store.resubmission(key()) is None
    assert await store.next_delivery_at("ops") is None
    assert await store.outbox_depth() == []


async def test_a_commit_is_written_whole_or_not_at_all(store):
    _, change = told(job())
    await store.commit([change])
    _, fine = told(job("j2"))
    with pytest.raises(Conflict):
        await store.commit([fine, change])
    assert await store.job(key("j2")) is None
    assert len(await store.events(EventFilter())) == 1


async def test_a_conflict_in_one_commit_leaves_the_others_of_its_group(store):
    _, change = told(job())
    await store.commit([change])
    others = [told(job(f"o{n}"))[1] for n in range(20)]
    commits = [store.commit([c]) for c in [*others[:10], change, *others[10:]]]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Conflict]
    assert isinstance(outcomes[10], Conflict)
    assert len(await store.jobs(JobFilter())) == 21


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param(lambda s: replace(s, sequence=0), id="missed-an-event"),
        pytest.param(lambda s: replace(s, root="other"), id="missed-the-chain-it-joined"),
        pytest.param(lambda s: replace(s, overdue_at=at(1)), id="believes-another-decision"),
        pytest.param(lambda s: replace(s, asked_at=at(-1)), id="missed-a-later-look"),
        pytest.param(lambda s: None, id="believes-it-unknown"),
    ],
)
async def test_who_decided_on_something_old_is_told_so(store, stale):
    state, change = told(job())
    await store.commit([change])
    with pytest.raises(Conflict):
        await store.commit([Change(job=replace(state, looks=9), job_before=stale(state))])
    assert await store.job(state.key) == state


async def test_looks_without_news_need_not_be_saved(store):
    state, change = told(job())
    await store.commit([change])
    looked = state.seen(at(1)).seen(at(2))  # in memory only
    after, event = moved(looked, Status.SUCCEEDED, 3)
    await store.commit([Change(job=after, job_before=looked, events=(event,))])
    assert await store.job(state.key) == after


async def test_a_job_that_nobody_wrote_cannot_be_changed(store):
    with pytest.raises(Conflict):
        await store.commit([Change(job=job(), job_before=job())])


async def test_an_event_is_logged_once_and_without_gaps(store):
    await store.commit([Change(events=(sandbox_event(1), sandbox_event(2)))])
    with pytest.raises(Conflict):
        await store.commit([Change(events=(sandbox_event(2),))])
    with pytest.raises(ValueError, match="gap"):
        await store.commit([Change(events=(sandbox_event(4),))])
    assert [logged.event.sequence for logged in await store.events(EventFilter())] == [1, 2]


async def test_a_resubmission_takes_each_step_once(store):
    await store.commit([Change(resubmission=answer())])
    posting = answer(step=Step.POSTING, tries=1, posted_at=at(6), known=("a", "b"))
    await store.commit([Change(resubmission=posting, resubmission_before=answer())])
    again = replace(posting, tries=2)
    for before in (None, answer(), replace(posting, tries=0)):
        with pytest.raises(Conflict):
            await store.commit([Change(resubmission=again, resubmission_before=before)])
    assert await store.resubmission(key()) == posting


async def test_one_new_job_answers_one_failure(store):
    await store.commit([told(job("new"))[1]])
    await store.commit([Change(resubmission=answer("a", step=Step.SUBMITTED, new_id="new"))])
    with pytest.raises(Conflict, match="already answers"):
        await store.commit([Change(resubmission=answer("b", step=Step.ADOPTED, new_id="new"))])
    await store.commit([Change(resubmission=answer("b")), Change(resubmission=answer("c"))])
    assert len(await store.resubmissions("prod", steps=[Step.SCHEDULED])) == 2


async def test_resubmissions_are_found_by_step_and_time(store):
    await store.commit([Change(resubmission=answer(name, since=at(n))) for n, name in enumerate("cab")])
    assert [one.failed.id for one in await store.resubmissions()] == ["c", "a", "b"]
    assert [one.failed.id for one in await store.resubmissions("prod", since=at(1))] == ["a", "b"]
    assert await store.resubmissions("dev") == []
    assert await store.resubmissions(steps=[Step.POSTING, Step.REFUSED]) == []


async def test_the_health_of_a_sandbox_has_one_writer(store):
    down = SubjectState(stream="sandbox/prod", condition="unreachable", since=at(1))
    await store.commit([Change(subject=down)])
    with pytest.raises(Conflict):
        await store.commit([Change(subject=down)])
    up = replace(down, condition="ok", since=at(2))
    await store.commit([Change(subject=up, subject_before=down)])
    assert await store.subject("sandbox/prod") == up


async def test_jobs_are_found_and_the_last_changed_comes_first(store):
    for n, status in enumerate([Status.QUEUED, Status.FAILED, Status.PROCESSING, Status.FAILED]):
        await store.commit([told(job(f"j{n}"), status, n)[1]])

    async def ids(limit=None, **wanted):
        return [found.key.id for found in await store.jobs(JobFilter(**wanted), limit=limit)]

    assert await ids() == ["j3", "j2", "j1", "j0"]
    assert await ids(limit=2) == ["j3", "j2"]
    assert await ids(statuses=(Status.FAILED, Status.QUEUED)) == ["j3", "j1", "j0"]
    assert await ids(since=at(2)) == ["j3", "j2"]
    assert await ids(id="j1", sandbox="prod", kind="export_job") == ["j1"]
    assert await ids(sandbox="dev") == []


async def test_jobs_of_before_a_time_are_read(store):
    for minute, name in enumerate(("j1", "j2", "j3")):
        await store.commit([told(job(name, since=at(minute)), minute=minute)[1]])
    found = await store.jobs(JobFilter(until=at(2)))
    assert [one.key.id for one in found] == ["j2", "j1"]
    found = await store.jobs(JobFilter(since=at(1), until=at(2)))
    assert [one.key.id for one in found] == ["j2"]


async def test_a_part_of_the_log_is_read_in_pages(store):
    assert await store.position_before(at(0)) == 0
    await store.commit([Change(events=(replace(sandbox_event(n), at=at(n)),)) for n in range(1, 8)])
    types = (sandbox_event(1).type.value,)
    assert [await store.position_before(at(n)) for n in (0, 1, 5, 7, 8)] == [0, 0, 4, 6, 7]

    async def read(after, until, limit=9, of=types):
        return [one.event.sequence for one in await store.log(of, after=after, until=until, limit=limit)]

    assert await read(0, 7) == [1, 2, 3, 4, 5, 6, 7]
    assert await read(0, 7, limit=2) == [1, 2]
    assert await read(2, 5) == [3, 4, 5]
    assert await read(7, 7) == []
    assert await read(0, 7, of=("job.failed",)) == []


async def test_events_are_read_forward_from_a_position_or_backward_from_now(store):
    state = job()
    for minute in range(5):
        state, change = told(state, minute=minute)
        await store.commit([change])
    await store.commit([Change(events=(sandbox_event(1, 9),))])
    log = await store.events(EventFilter())

    async def read(after=0, limit=None, **wanted):
        return await store.events(EventFilter(**wanted), after=after, limit=limit)

    assert [logged.position for logged in log] == sorted(logged.position for logged in log)
    assert await read(after=log[1].position, limit=2) == log[2:4]
    assert await read(limit=2) == log[4:]
    assert await read(job_id="j1") == log[:5]
    assert await read(stream="sandbox/prod") == log[5:]
    assert await read(types=("sandbox.unreachable",), since=at(3)) == log[5:]
    assert await read(since=at(4), sandbox="prod") == log[4:]
    assert await read(ids=(log[4].event.id, log[1].event.id, "evt_of_nobody")) == [log[1], log[4]]
    assert await read(ids=()) == []


async def test_positions_are_not_given_again_after_forgetting(store):
    _, change = told(job(), Status.SUCCEEDED)
    await store.commit([change])
    (first,) = await store.events(EventFilter())
    assert await store.forget(at(1)) == 1
    await store.commit([change])
    assert (await store.events(EventFilter()))[0].position > first.position


async def test_a_delivery_waits_for_the_earlier_ones_of_its_stream(store):
    state, first = told(job(), to=["ops"])
    state, second = told(state, minute=1, to=["ops", "log"])
    _, other = told(job("j2"), minute=2, to=["ops"])
    await store.commit([first, second, other])
    (a,), (b, b_log), (c,) = first.deliveries, second.deliveries, other.deliveries

    async def due(minute, channel="ops", limit=10):
        return await store.due_deliveries(channel, now=at(minute), limit=limit)

    assert await due(10) == [a, c]
    assert await due(10, limit=1) == [a]
    assert await store.due_deliveries("ops", now=at(10), limit=1, stream=c.event.stream) == [c]
    assert await store.due_deliveries("ops", now=at(0), limit=1, farthest=timedelta(0), stream=c.event.stream) == [c]
    assert await store.next_delivery_at("ops", stream=c.event.stream) == c.due_at
    assert await due(10, "log") == [b_log]
    assert await due(1) == [a]
    await store.settle([replace(a, attempts=1, due_at=at(20), reason="http_503")])
    assert await due(10) == [c], "b must not overtake a"
    assert await store.next_delivery_at("ops") == at(2)
    await store.settle([replace(a, attempts=2, stage=Stage.DELIVERED)])
    assert await due(10) == [b, c]
    await store.settle([replace(b, stage=Stage.DEAD), replace(c, stage=Stage.DELIVERED)])
    assert await due(10) == []
    assert await store.next_delivery_at("ops") is None


async def test_a_promise_is_made_once_and_settled_once(store):
    _, change = told(job(), to=["ops"])
    await store.commit([change])
    (made,) = change.deliveries
    await store.settle([replace(made, stage=Stage.DELIVERED, attempts=1)])
    await store.commit([Change(deliveries=(made,))])
    await store.settle([replace(made, stage=Stage.DEAD, attempts=2)])
    assert await store.deliveries() == [replace(made, stage=Stage.DELIVERED, attempts=1)]


async def test_nobody_is_told_of_what_is_not_in_the_log(store):
    with pytest.raises(ValueError, match="not in the log"):
        await store.commit([Change(deliveries=(delivery(sandbox_event(1)),))])


async def test_a_replay_goes_before_the_later_ones_of_its_stream(store):
    state, first = told(job(), to=["ops"])
    state, second = told(state, minute=1, to=["ops"])
    await store.commit([first, second])
    (a,), (b,) = first.deliveries, second.deliveries
    await store.settle([replace(a, stage=Stage.DEAD, attempts=7, reason="http_410")])
    again = replace(a, promised_at=at(3), due_at=at(3))
    assert await store.promise([again, b, replace(again, channel="new")]) == 2
    assert await store.due_deliveries("ops", now=at(9), limit=9) == [again]
    assert await store.promise([again]) == 0


async def test_deliveries_are_found_by_what_people_ask_for(store):
    state, first = told(job(), to=["ops", "log"])
    _, second = told(state, minute=1, to=["ops"])
    await store.commit([first, second])
    dead = replace(first.deliveries[0], stage=Stage.DEAD)
    await store.settle([dead])
    (found,) = await store.deliveries(stages=[Stage.DEAD])
    assert found == dead
    assert await store.deliveries(id=found.id) == [dead]
    assert await store.deliveries(event_id=dead.event.id, channel="ops") == [dead]
    assert [d.event.sequence for d in await store.deliveries(channel="ops")] == [2, 1]
    assert len(await store.deliveries(stages=[Stage.DEAD, Stage.PENDING], limit=2)) == 2


async def test_the_outbox_says_how_much_waits_and_since_when(store):
    state, first = told(job(), minute=0, to=["ops", "log"])
    _, second = told(state, minute=1, to=["ops"])
    await store.commit([first, second])
    await store.settle([replace(first.deliveries[1], stage=Stage.DELIVERED)])
    assert await store.outbox_depth() == [
        OutboxDepth(channel="log", pending=0, dead=0, oldest=None),
        OutboxDepth(channel="ops", pending=2, dead=0, oldest=at(0)),
    ]


async def test_forgetting_spares_what_somebody_still_needs(store):
    async def add(name, status=Status.SUCCEEDED, stage=Stage.DELIVERED, minute=0.0, **fields):
        _, change = told(job(name, **fields), status, minute, to=["ops"])
        await store.commit([change])
        if stage is not Stage.PENDING:
            await store.settle([replace(change.deliveries[0], stage=stage)])

    await add("old")
    await add("young", minute=10)
    await add("active", Status.PROCESSING)
    await add("pending", stage=Stage.PENDING)
    await add("dead", stage=Stage.DEAD)
    await add("waiting", Status.FAILED)
    await add("root", Status.FAILED)
    await add("second", Status.FAILED, root="root", attempt=2)
    await add("closed", Status.FAILED)
    await add("closed2", Status.SUCCEEDED, root="closed", attempt=2)
    await add("half", Status.FAILED)
    await add("half2", Status.SUCCEEDED, minute=10, root="half", attempt=2)
    await store.commit(
        [
            Change(resubmission=answer("waiting", step=Step.PROPOSED)),
            Change(resubmission=answer("root", step=Step.SUBMITTED, new_id="second")),
            Change(resubmission=answer("second", step=Step.POSTING, root="root", attempt=3)),
            Change(resubmission=answer("closed", step=Step.SUBMITTED, new_id="closed2")),
            Change(resubmission=answer("half", step=Step.SUBMITTED, new_id="half2")),
        ]
    )
    assert await store.forget(at(5)) == 3
    left = {found.key.id for found in await store.jobs(JobFilter())}
    assert left == {"young", "active", "pending", "dead", "waiting", "root", "second", "half", "half2"}
    assert {logged.event.job_id for logged in await store.events(EventFilter())} == left
    assert await store.resubmission(key("closed")) is None


async def test_what_a_forgotten_run_was_begun_by_begins_no_other(store):
    assert await store.followed_since("prod", "nightly", at(0)) == at(0)
    assert await store.forget(at(4)) == 0
    assert await store.followed_since("prod", "nightly", at(9)) == at(0), "nothing was forgotten"
    await store.commit([Change(run=run(state=RunState.SUCCEEDED, since=at(1), ended_at=at(1)))])
    await store.forget(at(5))
    assert await store.runs(RunFilter()) == []
    assert await store.followed_since("prod", "nightly", at(9)) == at(5)


async def test_forgetting_goes_past_many_that_must_stay(store):
    await store.commit([told(job(f"a{n}"), Status.SUCCEEDED, to=["ops"])[1] for n in range(300)])
    await store.commit([told(job(f"b{n}"), Status.SUCCEEDED)[1] for n in range(300)])
    assert await store.forget(at(1)) == 300
    assert await store.forget(at(1)) == 0


async def test_old_events_of_sandboxes_go_from_the_front_and_the_newest_stays(store):
    events = tuple(sandbox_event(n, n) for n in range(1, 251))
    await store.commit([Change(events=events, deliveries=(delivery(events[239]),))])
    await store.forget(at(1000))
    assert [logged.event.sequence for logged in await store.events(EventFilter())] == list(range(240, 251))
    await store.settle([replace(delivery(events[239]), stage=Stage.DELIVERED)])
    await store.forget(at(1000))
    assert [logged.event.sequence for logged in await store.events(EventFilter())] == [250]
    await store.commit([Change(events=(sandbox_event(251),))])


async def test_the_probe_passes_while_the_store_can_write(store):
    await store.writable()


async def test_a_cancelled_caller_writes_once_or_not_at_all(store):
    changes = [told(job(f"j{n}"))[1] for n in range(50)]
    tasks = [asyncio.create_task(store.commit([change])) for change in changes]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await store.writable()  # behind all of them
    assert all(outcome is None for outcome in outcomes[1::2])
    assert len(await store.jobs(JobFilter())) == 50, "they were handed over before the cancellation"


async def test_a_commit_cancelled_before_it_began_writes_nothing(store):
    task = asyncio.create_task(store.commit([told(job())[1]]))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.writable()
    assert await store.job(key()) is None


async def test_closing_writes_what_was_accepted(reopen):
    store = await reopen()
    tasks = [asyncio.create_task(store.commit([told(job(f"j{n}"))[1]])) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)
    await store.close()
    with pytest.raises(StoreError):
        await store.commit([])
    store = await reopen()
    assert len(await store.jobs(JobFilter())) == 50


async def test_no_more_is_forgotten_at_once_than_asked_for(store):
    await store.commit([told(job(f"j{n:03}"), Status.FAILED, minute=n / 1000)[1] for n in range(250)])
    assert await store.forget(at(1), at_most=120) == 120
    assert min(one.key.id for one in await store.jobs(JobFilter())) == "j120", "the oldest go first"
    assert await store.forget(at(1), at_most=120) == 120
    assert await store.forget(at(1), at_most=120) == 10
    assert await store.check() == []


async def test_what_is_due_further_away_than_anything_is_put_off_is_due_now(store):
    for n, minute in enumerate([0, 50, 200_000]):
        _, change = told(job(f"j{n}"), to=["ops"])
        (made,) = change.deliveries
        await store.commit([replace(change, deliveries=(replace(made, due_at=at(minute)),))])

    async def due(**rest) -> list[str]:
        return [one.event.job_id for one in await store.due_deliveries("ops", now=at(1), **rest)]

    assert await due(limit=9) == ["j0"]
    assert await due(limit=9, farthest=timedelta(hours=1)) == ["j0", "j2"]
    assert await due(limit=1, farthest=timedelta(hours=1)) == ["j0"]


async def test_a_backup_is_a_store_and_overwrites_nothing(store, tmp_path):
    state, change = told(job(), to=["ops"])
    await store.commit([change])
    target = tmp_path / "copy.db"
    assert await store.backup(str(target)) == target.stat().st_size
    assert sorted(tmp_path.glob("copy*")) == [target]
    with pytest.raises(StoreError, match="exists"):
        await store.backup(str(target))
    copy = store_of(f"sqlite://{target}")
    await copy.open()
    assert await copy.job(state.key) == state
    assert await copy.check() == []
    await copy.close()


async def test_times_keep_their_microseconds(store):
    _, change = told(job(), minute=1, to=["ops"])
    (made,) = change.deliveries
    exact = replace(made, due_at=made.due_at + timedelta(microseconds=1))
    await store.commit([replace(change, deliveries=(exact,))])
    assert await store.due_deliveries("ops", now=made.due_at, limit=1) == []
    assert await store.next_delivery_at("ops") == exact.due_at


async def test_silences_are_kept_and_those_whose_end_was_told_can_be_left_out(reopen):
    store = await reopen()
    first, second = silence("b"), silence("a", created_at=at(1), ends_at=None, until_resolved=True)
    await store.commit([Change(silence=second), Change(silence=first)])
    told = replace(first, told_at=at(61))
    ended = replace(sandbox_event(1), stream=first.stream)
    await store.commit([Change(silence=told, silence_before=first, events=(ended,))])
    store = await reopen()
    assert await store.silences() == [told, second]
    assert await store.silences(untold=True) == [second]
    assert await store.silence("b") == told
    assert await store.silence("c") is None
    assert await store.check() == []


async def test_two_who_change_a_silence_do_not_undo_each_other(store):
    one = silence()
    await store.commit([Change(silence=one)])
    with pytest.raises(Conflict):
        await store.commit([Change(silence=one)])
    shorter = replace(one, ends_at=at(5))
    await store.commit([Change(silence=shorter, silence_before=one)])
    with pytest.raises(Conflict):
        await store.commit([Change(silence=replace(one, ends_at=at(9)), silence_before=one)])
    assert await store.silence("s1") == shorter
