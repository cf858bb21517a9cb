"""What one observation changes in what we know of a job."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from builders import ABORTED, CANCELLED, SEGMENT_PATH, at, facts, job, missing, seen, types, watch
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from segwatch.jobs.baseline import usual
from segwatch.jobs.events import EventType
from segwatch.jobs.model import Facts, Missing, Status
from segwatch.jobs.tracker import observe, overdue, slow

NO_TRANSITION = {EventType.JOB_DISCOVERED, EventType.JOB_OVERDUE}
ENDS = {EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELLED}
S = Status


# One look at a time


def test_a_poll_that_missed_processing_still_reports_one_change():
    state, events = observe(job(S.QUEUED), seen(S.SUCCEEDED, minute=9), at(9), watch())
    assert types(events) == ["job.succeeded"]
    assert (events[0].previous, events[0].status, events[0].sequence) == ("QUEUED", "SUCCEEDED", 2)
    assert events[0].details["skipped"] == ["PROCESSING"]
    assert (state.status, state.since, state.sequence) == (S.SUCCEEDED, at(9), 2)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        pytest.param(S.NEW, ["job.discovered"], id="new-is-said-by-discovered"),
        pytest.param(S.QUEUED, ["job.discovered", "job.queued"], id="queued"),
        pytest.param(S.PROCESSING, ["job.discovered", "job.processing"], id="processing"),
        pytest.param(S.CANCELLING, ["job.discovered", "job.cancelling"], id="cancelling"),
        pytest.param(S.SUCCEEDED, ["job.discovered", "job.succeeded"], id="succeeded"),
        pytest.param(S.FAILED, ["job.discovered", "job.failed"], id="failed"),
        pytest.param(S.CANCELLED, ["job.discovered", "job.cancelled"], id="cancelled"),
        pytest.param(S.UNKNOWN, ["job.discovered", "job.unknown_status"], id="unknown"),
    ],
)
def test_a_new_job_is_discovered_and_its_status_told(status, told):
    state, events = observe(None, seen(status), at(0), watch())
    assert types(events) == told
    assert (state.root, state.attempt, state.discovered_at) == ("24116", 1, at(0))


@pytest.mark.parametrize("status", [S.SUCCEEDED, S.FAILED, S.CANCELLED])
def test_a_job_that_ended_before_segwatch_ever_looked_is_recorded_and_not_told(status):
    state, events = observe(None, seen(status), at(0), watch(), is_news=False)
    assert (state.status, state.sequence, events) == (status, 0, ())


def test_an_active_job_that_is_no_news_is_discovered_once_and_followed():
    state, events = observe(None, seen(S.PROCESSING), at(0), watch(), is_news=False)
    assert types(events) == ["job.discovered"]
    _, events = observe(state, seen(S.SUCCEEDED, minute=1), at(1), watch())
    assert types(events) == ["job.succeeded"]
    assert events[0].previous == "PROCESSING"


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(hours=1)])
def test_a_clock_that_was_set_back_hides_no_change(ahead):
    noted = job(S.PROCESSING, asked_at=at(9) + ahead)
    state, events = observe(noted, seen(S.FAILED, minute=9), at(9), watch())
    assert types(events) == ["job.failed"]
    assert (state.status, state.asked_at) == (S.FAILED, at(9))


def test_a_clock_that_was_set_back_hides_no_404():
    state = job(S.PROCESSING, asked_at=at(99))
    for minute in (1, 2, 3):
        state, events = observe(state, missing(minute=minute), at(minute), watch())
    assert (state.status, types(events)) == (S.VANISHED, ["job.vanished"])


@pytest.mark.parametrize("final", [S.SUCCEEDED, S.FAILED, S.CANCELLED])
@pytest.mark.parametrize("later", list(S)[:8])
def test_a_final_status_is_absorbing(final, later):
    state, events = observe(job(final), seen(later, minute=3), at(3), watch())
    assert (state.status, state.word, state.since, events) == (final, final.value, at(0), ())


def test_a_final_record_still_grows_richer():
    state, _ = observe(job(S.SUCCEEDED), seen(S.SUCCEEDED, minute=3, facts=facts(batches=("b1",))), at(3), watch())
    assert state.facts.batches == ("b1",)


def test_a_missing_job_that_was_never_seen_is_nothing():
    assert observe(None, missing(), at(0), watch()) == (None, ())


def test_a_job_vanishes_after_three_404s_in_a_row():
    state = job(S.PROCESSING)
    for minute, told in [(1, []), (2, []), (3, ["job.vanished"]), (4, [])]:
        state, events = observe(state, missing(minute=minute), at(minute), watch())
        assert types(events) == told
    assert (state.status, state.is_active) == (S.VANISHED, False)


def test_a_job_that_only_its_submission_told_of_may_be_shown_late():
    patient = watch(shown_within=timedelta(minutes=5))
    state = replace(job(S.NEW), unlisted=True, discovered_at=at(0))
    for minute in range(1, 5):
        state, events = observe(state, missing(minute=minute), at(minute), patient)
        assert (state.misses, events) == (0, ())
    for minute, told in [(5, []), (6, []), (7, ["job.vanished"])]:
        state, events = observe(state, missing(minute=minute), at(minute), patient)
        assert types(events) == told


def test_a_sighting_between_404s_starts_the_count_anew():
    state = job(S.PROCESSING)
    for sighting in [missing(minute=1), missing(minute=2), seen(minute=3), missing(minute=4), missing(minute=5)]:
        state, events = observe(state, sighting, at(6), watch())
        assert events == ()
    assert state.misses == 2


def test_one_404_heard_again_counts_once():
    state = job(S.PROCESSING)
    for _ in range(5):
        state, events = observe(state, missing(minute=1), at(1), watch())
        assert (state.misses, events) == (1, ())


@pytest.mark.parametrize("final", [S.SUCCEEDED, S.FAILED, S.CANCELLED])
def test_an_ended_job_does_not_vanish(final):
    state = job(final)
    for minute in range(1, 6):
        assert observe(state, missing(minute=minute), at(minute), watch()) == (state, ())


@pytest.mark.parametrize(
    ("status", "told"),
    [
        pytest.param(S.PROCESSING, ["job.processing"], id="still-running"),
        pytest.param(S.FAILED, ["job.failed"], id="failed-meanwhile"),
    ],
)
def test_a_vanished_job_that_shows_itself_again_is_followed_again(status, told):
    state, events = observe(job(S.VANISHED, misses=3), seen(status, minute=3), at(3), watch())
    assert types(events) == told
    assert (state.status, state.misses, events[0].previous) == (status, 0, "VANISHED")


def ended(status=S.SUCCEEDED, **fields):
    return job(status, **({"created_at": at(-5), "ended_at": at(0), "facts": facts()} | fields))


@pytest.mark.parametrize("status", [S.NEW, S.PROCESSING, S.FAILED])
def test_another_job_under_the_id_of_an_ended_one_is_told_once_and_not_followed(status):
    other = seen(status, minute=9, created_at=at(8), facts=facts("other"), errors=(ABORTED,))
    state, events = observe(ended(), other, at(9), watch())
    assert types(events) == ["job.id_reused"]
    assert (state.status, state.facts, state.errors, state.created_at) == (S.SUCCEEDED, facts(), (), at(-5))
    assert observe(state, replace(other, asked_at=at(10)), at(10), watch())[1] == ()


@pytest.mark.parametrize(
    ("known", "created_at"),
    [
        pytest.param(ended(), at(-5), id="the-same-job"),
        pytest.param(ended(), None, id="nobody-knows-when"),
        pytest.param(ended(created_at=None), at(8), id="nobody-knew-when"),
        pytest.param(ended(), at(-1), id="created-before-that-one-ended"),
        pytest.param(ended(ended_at=at(-5)), at(-5, second=1), id="the-same-time-rounded"),
        pytest.param(ended(minute=9, ended_at=at(-4)), at(-3), id="before-we-saw-it-end"),
        pytest.param(job(S.PROCESSING), at(8), id="that-one-has-not-ended"),
    ],
)
def test_the_same_job_seen_again_is_not_told_as_another(known, created_at):
    _, events = observe(known, seen(known.status, minute=9, created_at=created_at), at(9), watch())
    assert events == ()


@pytest.mark.parametrize(
    ("status", "errors", "told"),
    [
        pytest.param(S.FAILED, (ABORTED, CANCELLED), "job.cancelled", id="failed-but-says-cancelled"),
        pytest.param(S.FAILED, (ABORTED,), "job.failed", id="failed"),
        pytest.param(S.SUCCEEDED, (CANCELLED,), "job.succeeded", id="errors-of-a-success-only-warn"),
        pytest.param(S.CANCELLED, (), "job.cancelled", id="cancelled"),
    ],
)
def test_what_somebody_cancelled_is_told_as_cancelled(status, errors, told):
    _, events = observe(job(S.PROCESSING), seen(status, minute=1, errors=errors), at(1), watch())
    assert types(events) == [told]
    assert events[0].status == status.value


@pytest.mark.parametrize(
    ("before", "after", "skipped"),
    [
        pytest.param(None, S.NEW, None, id="first-sight-new"),
        pytest.param(None, S.PROCESSING, ["NEW", "QUEUED"], id="first-sight-running"),
        pytest.param(None, S.FAILED, ["NEW", "QUEUED", "PROCESSING"], id="first-sight-ended"),
        pytest.param(None, S.CANCELLED, None, id="first-sight-cancelled"),
        pytest.param(S.NEW, S.QUEUED, None, id="one-step"),
        pytest.param(S.NEW, S.PROCESSING, ["QUEUED"], id="one-skipped"),
        pytest.param(S.NEW, S.SUCCEEDED, ["QUEUED", "PROCESSING"], id="two-skipped"),
        pytest.param(S.PROCESSING, S.FAILED, None, id="last-step"),
        pytest.param(S.PROCESSING, S.QUEUED, None, id="backwards"),
        pytest.param(S.NEW, S.CANCELLED, None, id="cancelled-from-anywhere"),
        pytest.param(S.NEW, S.CANCELLING, None, id="a-detour"),
        pytest.param(S.CANCELLING, S.SUCCEEDED, None, id="back-from-a-detour"),
        pytest.param(S.UNKNOWN, S.SUCCEEDED, None, id="from-the-unknown"),
        pytest.param(S.NEW, S.UNKNOWN, None, id="to-the-unknown"),
    ],
)
def test_an_event_lists_the_steps_that_nobody_saw(before, after, skipped):
    _, events = observe(before and job(before), seen(after, minute=1), at(1), watch())
    assert events[-1].details.get("skipped") == skipped


@pytest.mark.parametrize(
    ("before", "sighting", "started"),
    [
        pytest.param(job(S.QUEUED), {"status": S.PROCESSING}, at(3), id="when-we-saw-it-begin-to-run"),
        pytest.param(
            job(S.QUEUED), {"status": S.PROCESSING, "started_at": at(2)}, at(2), id="the-platform-knows-better"
        ),
        pytest.param(
            job(S.PROCESSING, started_at=at(1)), {"status": S.SUCCEEDED, "started_at": at(2)}, at(2), id="also-later"
        ),
        pytest.param(job(S.PROCESSING, started_at=at(1)), {"status": S.FAILED}, at(1), id="else-it-stays"),
        pytest.param(None, {"status": S.PROCESSING}, None, id="found-running-it-began-who-knows-when"),
        pytest.param(job(S.QUEUED), {"status": S.SUCCEEDED}, None, id="nobody-saw-it-run"),
        pytest.param(job(S.UNKNOWN), {"status": S.PROCESSING}, None, id="it-may-have-run-before"),
        pytest.param(job(S.QUEUED, minute=-99), {"status": S.PROCESSING}, None, id="it-began-while-nobody-watched"),
        pytest.param(job(S.QUEUED), {"status": S.PROCESSING, "started_at": at(-9)}, at(-5), id="not-before-creation"),
        pytest.param(job(S.QUEUED, created_at=at(4)), {"status": S.PROCESSING}, at(4), id="though-clocks-differ"),
    ],
)
def test_a_job_started_when_the_platform_says_so_or_we_saw_it(before, sighting, started):
    state, _ = observe(before, seen(**sighting, minute=3), at(3), watch())
    assert state.started_at == started


def test_another_unknown_word_is_told_and_the_word_kept():
    state, events = observe(job(S.UNKNOWN, word="PAUSED"), seen(S.UNKNOWN, word="PARKED", minute=1), at(1), watch())
    assert types(events) == ["job.unknown_status"]
    assert (events[0].previous, events[0].status, state.is_active) == ("PAUSED", "PARKED", True)


def test_the_same_status_in_another_case_is_no_change():
    state, events = observe(job(S.PROCESSING), seen(S.PROCESSING, word="processing", minute=1), at(1), watch())
    assert (state.word, events) == ("PROCESSING", ())


@pytest.mark.parametrize(
    ("last_look", "ended_at", "late"),
    [
        pytest.param(-90, at(-70), True, id="ended-while-we-were-down"),
        pytest.param(-90, at(-50), False, id="ended-after-we-came-back"),
        pytest.param(-50, at(-70), False, id="we-saw-it-run-after-that"),
        pytest.param(-90, None, False, id="nobody-knows-when"),
    ],
)
def test_an_end_is_late_when_it_came_before_the_watch_began(last_look, ended_at, late):
    before = job(S.PROCESSING, minute=last_look, updated_at=at(-95))
    _, events = observe(before, seen(S.FAILED, minute=0, ended_at=ended_at), at(0), watch(since=at(-60)))
    assert [event.late for event in events] == [late]


def test_a_job_found_ended_from_before_the_watch_is_late_in_both_its_events():
    _, events = observe(None, seen(S.FAILED, ended_at=at(-70)), at(0), watch(since=at(-60)))
    assert [event.late for event in events] == [True, True]


@pytest.mark.parametrize(
    ("minute", "told"),
    [pytest.param(115, [], id="at-the-limit"), pytest.param(116, ["job.overdue"], id="past-it")],
)
def test_a_job_is_overdue_when_older_than_the_limit_by_the_platforms_clock(minute, told):
    state = job(created_at=at(-5), asked_at=at(minute))
    _, events = overdue(state, at(minute), watch(overdue_after=timedelta(hours=2)))
    assert types(events) == told
    _, events = overdue(state, at(minute + 60), watch(overdue_after=timedelta(hours=2)))
    assert types(events) == told  # what nobody has looked at since may have ended


def test_a_job_that_is_not_found_is_not_told_as_still_running():
    state = job(created_at=at(-5))
    state, events = observe(state, Missing(key=state.key, asked_at=at(200)), at(200), watch())
    assert types(events) == []
    assert types(slow(state, at(200), usual([timedelta(minutes=1)] * 8), timedelta(minutes=2), None)[1]) == []


def test_overdue_says_since_when_and_the_limit():
    _, (event,) = overdue(job(created_at=None, asked_at=at(200)), at(200), watch())
    assert (event.details["since"], event.details["limit_s"]) == ("2026-01-05T03:00:00.000Z", 7200.0)


def test_an_end_that_lies_before_the_beginning_shows_no_negative_duration():
    sighting = seen(S.FAILED, minute=1, created_at=at(0), ended_at=at(-9))
    _, events = observe(job(created_at=at(0)), sighting, at(1), watch())
    assert events[0].details["duration_s"] == 0


# Whatever the history


def moments(*, low=-90, high=60):
    return st.integers(low, high).map(at)


words = st.sampled_from([*(status.value for status in list(S)[:7]), "processing", "Queued", "PAUSED", "PARKED"])
some_facts = st.builds(
    facts,
    st.sampled_from(["", "nl", "nl+be"]),
    profiles=st.sampled_from([{}, {"s1": 4}]),
    batches=st.sampled_from([(), ("b1",)]),
    exported=st.sampled_from([None, 0, 7]),
    source=st.sampled_from(["", "api"]),
)
records = st.builds(
    lambda word, **fields: seen(Status.of(word), word=word, **fields),
    words,
    minute=st.integers(0, 40),
    created_at=st.none() | moments(high=0),
    updated_at=st.none() | moments(),
    started_at=st.none() | moments(),
    ended_at=st.none() | moments(),
    errors=st.sampled_from([(), (ABORTED,), (ABORTED, CANCELLED)]),
    facts=some_facts,
)
sightings = st.one_of(records, records, st.builds(missing, minute=st.integers(0, 40)))
histories = st.tuples(st.lists(sightings, max_size=10), st.booleans())  # in any order; is the first sight news?
polled = histories.map(lambda told: (sorted(told[0], key=lambda sighting: sighting.asked_at), told[1]))
WATCH = watch(since=at(20), overdue_after=timedelta(minutes=30))
EVERY_HISTORY = settings(max_examples=examples(25))


def replay(history):
    """Yield (state before, sighting, state after, events) for each look; our clock never runs backwards."""
    looks, is_news = history
    state, now = None, at(0)
    for sighting in looks:
        now = max(now, sighting.asked_at)
        before, (state, events) = state, observe(state, sighting, now, WATCH, is_news=is_news)
        yield before, sighting, state, events


def says_something(value):
    return value not in (None, "", (), {})


def told_in(history):
    return [event for *_, events in replay(history) for event in events]


@EVERY_HISTORY
@given(histories)
def test_a_job_finishes_at_most_once_and_nothing_is_told_after_that(history):
    told = told_in(history)
    ends = [place for place, event in enumerate(told) if event.type in ENDS]
    assert ends in ([], [len(told) - 1])


@EVERY_HISTORY
@given(histories)
def test_seeing_a_thing_twice_tells_nobody_twice(history):
    for _, sighting, state, _ in replay(history):
        again, events = observe(state, sighting, at(60), replace(WATCH, overdue_after=timedelta(days=9)))
        assert events == ()
        assert again == (state and replace(state, looks=again.looks))


@EVERY_HISTORY
@given(histories)
def test_events_of_a_job_are_numbered_without_gaps(history):
    assert [event.sequence for event in told_in(history)] == list(range(1, len(told_in(history)) + 1))


@EVERY_HISTORY
@given(histories, sightings)
def test_an_older_observation_changes_nothing(history, sighting):
    for _, _, state, _ in replay(history):
        if state and sighting.asked_at < state.asked_at:
            assert observe(state, sighting, at(60), WATCH) == (state, ())


@EVERY_HISTORY
@given(histories)
def test_facts_never_get_poorer(history):
    for before, _, after, _ in replay(history):
        if before:
            for name in Facts.__slots__:
                assert says_something(getattr(after.facts, name)) or not says_something(getattr(before.facts, name))
            for name in ("created_at", "started_at", "updated_at", "errors"):
                assert says_something(getattr(after, name)) or not says_something(getattr(before, name))
            assert len(after.facts.request) >= len(before.facts.request)


@EVERY_HISTORY
@given(histories)
def test_a_job_is_overdue_at_most_once_and_never_after_its_end(history):
    told = told_in(history)
    assert sum(event.type is EventType.JOB_OVERDUE for event in told) <= 1


@EVERY_HISTORY
@given(polled)
def test_each_event_begins_where_the_one_before_it_ended(history):
    told = told_in(history)
    changes = [event for event in told if event.type not in NO_TRANSITION]
    assert all(later.previous == earlier.status for earlier, later in pairwise(changes))
    if changes and told:
        assert changes[0].previous in ("", told[0].status)
        assert (changes[0].previous == "") == (changes[0].status == told[0].status and changes[0].sequence == 2)


@EVERY_HISTORY
@given(histories)
def test_only_what_ended_before_the_watch_began_is_late(history):
    for before, sighting, _, events in replay(history):
        for event in events:
            if event.late:
                assert sighting.status.is_final
                assert sighting.ended_at < WATCH.since
                assert before is None or before.asked_at < WATCH.since


@EVERY_HISTORY
@given(histories)
def test_skipped_are_exactly_the_steps_of_the_path_in_between(history):
    for before, _, after, events in replay(history):
        for event in events:
            skipped = event.details.get("skipped", [])
            walked = [before.status] if before else []
            walked += [Status(word) for word in skipped]
            if skipped:
                end = [after.status] if after.status in SEGMENT_PATH else []
                start = SEGMENT_PATH.index(walked[0])
                assert tuple(walked + end) == SEGMENT_PATH[start : start + len(walked + end)]
                assert before is not None or start == 0
                assert end or (len(SEGMENT_PATH) == start + len(walked) and after.status in (S.SUCCEEDED, S.FAILED))


@EVERY_HISTORY
@given(histories)
def test_a_404_never_undoes_an_end(history):
    for before, sighting, after, _ in replay(history):
        if isinstance(sighting, Missing) and before and before.status.is_final:
            assert after == before


def test_what_fails_after_it_was_being_cancelled_was_cancelled():
    """The platform need not say so in its error text."""
    state, _ = observe(job(S.PROCESSING), seen(S.CANCELLING, minute=1), at(1), watch())
    state, events = observe(state, seen(S.FAILED, minute=2, errors=(ABORTED,)), at(2), watch())
    assert state.was_cancelled
    assert types(events) == ["job.cancelled"]


def test_what_fails_after_segwatch_itself_was_about_to_cancel_it_was_cancelled():
    state, events = observe(job(S.PROCESSING, cancel_at=at(1)), seen(S.FAILED, minute=2), at(2), watch())
    assert state.was_cancelled
    assert types(events) == ["job.cancelled"]


def test_a_job_that_a_command_noted_to_cancel_it_is_told_from_its_first_look_on():
    noted = job(S.NEW, sequence=0, looks=0, unlisted=True, cancel_at=at(0), cancel_there=at(-1))
    state, events = observe(noted, seen(S.FAILED, minute=2), at(2), watch())
    assert types(events) == ["job.discovered", "job.cancelled"]
    assert (state.sequence, state.looks, state.cancel_at, state.cancel_there) == (2, 1, at(0), at(-1))
