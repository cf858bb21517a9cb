"""What the one writer of a sandbox's jobs keeps, whoever writes beside it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeClock
from store_builders import answer, at, job, told

from segwatch.daemon.bus import Bus
from segwatch.daemon.recorder import Recorder
from segwatch.decision import Policy
from segwatch.jobs.events import Event
from segwatch.jobs.model import Facts, JobError, JobState, Missing, Observation, Status
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Step
from segwatch.jobs.tracker import Watch
from segwatch.store.base import Change, Conflict
from segwatch.store.filters import EventFilter
from segwatch.store.sqlite import SqliteStore

KIND = "export_job"
POSITION = Position(sandbox="prod", kind=KIND, began_at=at(-60), frontier=at(-60), swept_at=at(-1))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    one = SqliteStore(tmp_path / "segwatch.db")
    await one.open()
    yield one
    await one.close()


def recorder_of(
    store: SqliteStore, told_to: list[Event] | None = None, clock: FakeClock | None = None, *, only_own: bool = False
) -> Recorder:
    path = (Status.NEW, Status.PROCESSING)
    policy = Policy(watch=Watch(path=path, since=at(-60), overdue_after=timedelta(hours=2)))
    bus = Bus()
    if told_to is not None:
        bus.listen(lambda news: told_to.append(news.event))
    return Recorder(
        "prod", store, clock or FakeClock(at(9)), bus, lambda events, now: (),
        policies={KIND: policy}, remember=timedelta(hours=48), only_own=only_own,
    )  # fmt: skip


@pytest.fixture
def recorder(store: SqliteStore) -> Recorder:
    return recorder_of(store)


def ended(state: JobState) -> Observation:
    return Observation(
        key=state.key, status=Status.SUCCEEDED, word="SUCCEEDED", asked_at=at(8), created_at=state.created_at,
        ended_at=at(7),
    )  # fmt: skip


async def an_active_job(store: SqliteStore, recorder: Recorder) -> JobState:
    state, change = told(job())
    await store.commit([change])
    await recorder.load()
    return state


async def test_a_change_beside_a_foreign_writer_is_made_on_what_that_one_wrote(store, recorder):
    state = await an_active_job(store, recorder)
    theirs, change = told(state, minute=5)
    await store.commit([change])
    (now,) = await recorder.record(KIND, [ended(state)], POSITION)
    assert (now.status, now.sequence) == (Status.SUCCEEDED, theirs.sequence + 1)


async def test_a_change_that_conflicts_for_good_leaves_its_active_job_watched(store, recorder):
    state = await an_active_job(store, recorder)
    stale = replace(state, sequence=99)

    async def old_news() -> list[Change]:
        return [told(stale, minute=6)[1]]

    with pytest.raises(Conflict):
        await recorder.write(old_news)
    assert recorder.active(KIND) == [state]
    assert recorder.created(KIND) == [state.born_at]
    await recorder.record(KIND, [ended(state)], POSITION)
    assert recorder.active(KIND) == []
    assert (await store.job(state.key)).status is Status.SUCCEEDED


async def test_an_ended_job_that_retention_has_deleted_may_still_change(store, recorder):
    state = await an_active_job(store, recorder)
    await recorder.record(KIND, [ended(state)], POSITION)
    assert await store.forget(at(99)) == 1
    richer = replace(ended(state), facts=Facts(batches=("b1",)))
    (now,) = await recorder.record(KIND, [richer], POSITION)
    assert now.facts.batches == ("b1",)
    assert await store.job(state.key) == now


async def test_what_retention_has_deleted_is_not_told_again_after_a_restart(store, recorder):
    state = await an_active_job(store, recorder)
    await recorder.record(KIND, [ended(state)], POSITION)
    await recorder.save_position(replace(POSITION, frontier=state.created_at, swept_at=at(70)))
    await store.forget(at(99))
    told_again: list[Event] = []
    after = recorder_of(store, told_again)
    await after.load()
    stand = await after.position(KIND, at(71))
    await after.record(KIND, [replace(ended(state), asked_at=at(71))], stand)
    assert (told_again, await store.events(EventFilter())) == ([], [])


async def test_a_clock_that_is_set_back_while_we_run_hides_no_change(store):
    clock = FakeClock(at(9))
    recorder = recorder_of(store, clock=clock)
    state = await an_active_job(store, recorder)
    for minute in (69, 9):  # ahead by an hour, then set right
        clock.set(at(minute))
        looked = replace(ended(state), status=Status.PROCESSING, word="PROCESSING", asked_at=at(minute), ended_at=None)
        await recorder.record(KIND, [looked], POSITION)
    (now,) = await recorder.record(KIND, [replace(ended(state), asked_at=at(9))], POSITION)
    assert (await store.job(state.key)).status is now.status is Status.SUCCEEDED
    assert recorder.active(KIND) == []


async def test_looks_that_change_nothing_are_written_once_a_minute(store):
    clock = FakeClock(at(9))
    recorder = recorder_of(store, clock=clock)
    state = await an_active_job(store, recorder)
    looked = replace(ended(state), status=Status.PROCESSING, word="PROCESSING", ended_at=None)
    on_disk = []
    for _ in range(9):  # over two minutes
        await recorder.record(KIND, [replace(looked, asked_at=clock.now())], POSITION)
        on_disk.append((await store.job(state.key)).asked_at)
        await clock.advance(seconds=15)
    assert on_disk == [at(9)] * 4 + [at(10)] * 4 + [at(11)]


async def test_a_job_remembers_which_sweep_did_not_show_it(store, recorder):
    state = await an_active_job(store, recorder)
    new = replace(ended(state), key=replace(state.key, id="new"))
    (now,) = await recorder.record(KIND, [new], POSITION)
    (later,) = await recorder.record(KIND, [replace(new, asked_at=at(70))], replace(POSITION, swept_at=at(60)))
    assert (now.missed_at, later.missed_at) == (POSITION.swept_at, POSITION.swept_at)


async def test_when_a_sweep_missed_a_job_is_noted_by_the_platforms_clock(store, recorder):
    state = await an_active_job(store, recorder)
    new = replace(ended(state), key=replace(state.key, id="new"))
    (made,) = await recorder.record(KIND, [new], POSITION, behind=timedelta(minutes=40))
    assert made.missed_at == POSITION.swept_at - timedelta(minutes=40)


async def test_a_clock_that_was_set_since_the_last_sweep_is_no_lag_of_the_list(store, recorder):
    """When that sweep was is known by the platform's clock; of one before this process, unless it is yet to come."""
    state = await an_active_job(store, recorder)
    new = replace(ended(state), key=replace(state.key, id="new"))
    stepped = replace(POSITION, listed_at=at(3), swept_at=at(3) + timedelta(minutes=20))
    (made,) = await recorder.record(KIND, [new], stepped, behind=timedelta(minutes=40))
    assert made.missed_at == at(3)
    (other,) = await recorder.record(
        KIND, [replace(new, key=replace(new.key, id="other"))], replace(POSITION, swept_at=at(999)),
    )  # fmt: skip
    assert other.missed_at is None


async def test_a_job_that_we_submitted_was_missed_until_a_list_shows_it(store, recorder):
    """Else the lag of the list would not be seen where it matters most: on the exports that are looked for."""
    state = await an_active_job(store, recorder)
    ours = replace(state, unlisted=True)
    await recorder.write(lambda: _change(ours, state))
    looked = replace(ended(state), status=Status.PROCESSING, word="PROCESSING", ended_at=None)
    by_id, listed = replace(looked, asked_at=at(20)), replace(looked, asked_at=at(30))
    position = replace(POSITION, swept_at=at(25))
    await recorder.record(KIND, [by_id], position, listed=False)
    assert (await recorder.fresh(state.key)).unlisted
    await recorder.record(KIND, [listed], position)
    await recorder.record(KIND, [replace(listed, asked_at=at(40))], replace(POSITION, swept_at=at(35)))
    told = await store.job(state.key)
    assert (told.unlisted, told.missed_at) == (False, at(25))


async def _change(after, before):
    return [Change(job=after, job_before=before)]


async def test_what_a_command_has_marked_as_cancelled_is_told_so_whatever_memory_holds(store, recorder):
    """The daemon has the job in memory when a command writes that it is about to cancel it."""
    state = await an_active_job(store, recorder)
    await store.commit([Change(job=replace(state, cancel_at=at(6)), job_before=state)])
    aborted = (JobError(code="unknown", text="Job aborted."),)
    failed = replace(ended(state), status=Status.FAILED, word="FAILED", errors=aborted)
    (after,) = await recorder.record(KIND, [failed], POSITION)
    assert after.was_cancelled
    assert (await store.events(EventFilter()))[-1].event.type.value == "job.cancelled"


async def test_that_a_resubmission_has_vanished_says_what_is_without_an_answer_now(store, recorder):
    state, change = told(job("2", attempt=2, root="1"))
    answered = answer("1", step=Step.SUBMITTED, new_id="2")
    await store.commit([change, Change(job=job("1"), resubmission=answered)])
    await recorder.load()
    for minute in range(1, 4):
        await recorder.record(KIND, [Missing(key=state.key, asked_at=at(minute))], POSITION, listed=False)
    vanished = (await store.events(EventFilter()))[-1].event
    assert (vanished.type.value, vanished.details["failed_job_id"]) == ("job.vanished", "1")


async def test_of_strangers_a_recorder_of_its_own_jobs_only_keeps_in_mind_how_they_are(store):
    heard: list[Event] = []
    recorder = recorder_of(store, heard, only_own=True)
    state = await an_active_job(store, recorder)
    before = await store.events(EventFilter())
    stand = await recorder.position(KIND, at(0))
    await recorder.record(KIND, [ended(state)], stand)
    await recorder.save_position(replace(stand, swept_at=at(9)))
    assert (recorder.active(KIND), heard) == ([], [])
    assert (await recorder.position(KIND, at(0))).swept_at == at(9)
    assert await store.job(state.key) == state
    assert await store.events(EventFilter()) == before
    assert await store.position("prod", KIND) == Position(sandbox="prod", kind=KIND)


async def test_what_was_only_kept_in_mind_of_a_job_does_not_hide_its_end_from_who_owns_it_later(store):
    heard: list[Event] = []
    recorder = recorder_of(store, heard, only_own=True)
    new = replace(ended(job()), key=replace(job().key, id="new"))
    known = await an_active_job(store, recorder)
    for seen in (new, ended(known)):
        await recorder.record(KIND, [seen], POSITION)
        await recorder.own(seen.key)
        await recorder.record(KIND, [seen], POSITION)
        assert (await store.job(seen.key)).status is Status.SUCCEEDED
    assert [event.job_id for event in heard if event.type.value == "job.succeeded"] == ["new", known.key.id]
    assert recorder.concerns(replace(known.key, id="the-next-of-its-chain"), known.key.id)
