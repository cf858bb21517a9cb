"""Exports that cannot be right, what flaps, tokens that end, and what is told once a day."""

from datetime import timedelta

import pytest
from builders import T0, at
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs import expiry, flapping, oddness
from segwatch.jobs.baseline import usual
from segwatch.jobs.flapping import Habit
from segwatch.jobs.model import Facts
from segwatch.jobs.plausible import Fault, Yield, doubt

LIMITED = '{"filter":{"segmentQualificationTime":{"startTime":"2026-01-01T00:00:00Z"}}}'


# exports


def found(exported, members, earlier=(), *, batches=("b",), request="{}"):
    facts = Facts(exported=exported, batches=batches, request=request)
    one = doubt(facts, members, earlier, least_change=0.35, least_members=10)
    return one and one.fault


STEADY = [Yield(exported=950, members=1000)] * 9


@pytest.mark.parametrize(
    ("exported", "members", "earlier", "fault"),
    [
        pytest.param(1000, 1000, [], None, id="as-it-should"),
        pytest.param(0, 1000, [], Fault.NOTHING, id="nothing"),
        pytest.param(0, 5, [], None, id="nothing-of-nearly-nothing"),
        pytest.param(0, None, [], None, id="nothing-of-who-knows"),
        pytest.param(1500, 1000, [], Fault.TOO_MANY, id="more-than-there-are"),
        pytest.param(1050, 1000, [], None, id="grown-meanwhile"),
        pytest.param(400, 1000, [], None, id="a-first-one-may-leave-out-what-it-likes"),
        pytest.param(400, 1000, STEADY, Fault.TOO_FEW, id="fewer-than-ever"),
        pytest.param(300, 310, STEADY, None, id="of-a-smaller-audience"),
        pytest.param(0, 1000, STEADY, Fault.NOTHING, id="nothing-unlike-before"),
        pytest.param(5000, None, [Yield(exported=5000)] * 9, None, id="counts-alone"),
        pytest.param(100, None, [Yield(exported=5000)] * 9, Fault.TOO_FEW, id="counts-alone-and-few"),
        pytest.param(None, 1000, STEADY, None, id="no-count-told"),
    ],
)
def test_an_export_is_judged_by_its_members_and_by_those_before(exported, members, earlier, fault):
    assert found(exported, members, earlier) == fault


def test_an_export_that_names_no_batch_is_told_unless_it_wrote_nothing_for_good_reason():
    assert found(10, 10, batches=()) is Fault.NO_BATCH
    assert found(None, None, batches=()) is Fault.NO_BATCH
    assert found(0, 0, batches=()) is None
    silent = Facts(exported=10)
    assert doubt(silent, 10, [], least_change=0.35, least_members=10, names_batches=False) is None


def test_an_export_of_what_changed_may_write_nothing_or_much():
    assert found(0, 1000, request=LIMITED) is None
    waves = [Yield(exported=n, members=1000) for n in (20, 300, 0, 50) * 6]
    assert [found(n, 1000, waves, request=LIMITED) for n in (0, 20, 300)] == [None] * 3
    calm = [Yield(exported=n, members=1000) for n in (20, 22, 0, 25) * 7]
    assert found(990, 1000, calm, request=LIMITED) is Fault.TOO_MANY


def test_who_has_left_counts_where_it_was_asked_for():
    assert found(1500, 1000, request='{"filter":{"segments":[{"status":["exited"]}]}}') is None


# durations


def test_nearly_all_jobs_stay_below_the_limit():
    spans = [timedelta(minutes=10 + n % 5) for n in range(60)]
    normal = usual(spans)
    assert (normal.median, normal.p95, normal.longest) == tuple(timedelta(minutes=n) for n in (12, 14, 14))
    assert normal.limit(1.5, timedelta(seconds=30)) == timedelta(minutes=21, seconds=30)
    assert usual(spans[:7]) is None


def test_one_that_was_overdue_itself_does_not_widen_the_limit():
    spans = [timedelta(minutes=10)] * 30
    assert usual([*spans, timedelta(hours=9)]).limit(1.5, timedelta()) == timedelta(minutes=15)


@given(st.lists(st.integers(1, 10**6), min_size=8, max_size=99))
def test_a_limit_is_never_below_what_was_usual(seconds):
    normal = usual(timedelta(seconds=one) for one in seconds)
    assert normal.median <= normal.p95 <= normal.limit(1.0, timedelta())
    assert sum(timedelta(seconds=one) > normal.limit(1.0, timedelta()) for one in seconds) <= 1


# flapping


HABIT = Habit(times=3, window=timedelta(hours=24))


def flap(turns, habit=HABIT):
    """Return what is told, by minute, of turns (minute, fails)."""
    state, told = None, []
    for minute, fails in turns:
        turned = flapping.heard(state, "work/prod/export_job/f", at(minute), habit, fails=fails, sandbox="prod")
        if turned:
            state = turned.state
            told += [(minute, event.type.value) for event in turned.events]
    return state, told


def waves(count, every=10):
    return [(n * every + half, half == 0) for n in range(count) for half in (0, 5)]


def test_what_fails_and_recovers_three_times_flaps_and_is_told_once():
    assert flap(waves(6))[1] == [(25, "flapping.started")]


def test_failing_for_long_is_no_flapping():
    assert flap([(n, True) for n in range(30)])[1] == []


def test_what_is_far_apart_is_no_habit():
    assert flap(waves(9, every=12 * 60))[1] == []


def test_it_stops_when_it_was_steady_for_long():
    state, _ = flap(waves(3))
    assert flapping.reviewed(state, at(60 * 20), HABIT) is None
    (event,) = flapping.reviewed(state, at(60 * 25), HABIT).events
    assert (event.type.value, event.sandbox, event.details["subject"]) == (
        "flapping.stopped", "prod", "work/prod/export_job/f",
    )  # fmt: skip


def test_nothing_flaps_where_nobody_wants_to_know():
    assert flap(waves(9), Habit(times=0))[1] == []


def test_what_never_failed_leaves_no_trace():
    assert flap([(0, False), (1, False)]) == (None, [])


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=60))
def test_started_and_stopped_alternate(turns):
    _, told = flap(sorted(turns))
    words = [word for _, word in told]
    assert words == (["flapping.started", "flapping.stopped"] * len(words))[: len(words)]


# tokens


def ends(before, *, left_min, **fields):
    turned = expiry.turned(
        before, "prod", T0 + timedelta(minutes=left_min), T0, warn_before=timedelta(hours=2), **fields
    )
    return turned and (turned.state, [(e.type.value, e.severity.value) for e in turned.events])


def test_a_token_that_nobody_renews_is_told_in_time_and_closed_when_it_was():
    assert ends(None, left_min=121) is None
    state, told = ends(None, left_min=90)
    assert told == [("credential.expiring", "warning")]
    assert ends(state, left_min=10) is None
    assert ends(state, left_min=1440)[1] == [("credential.renewed", "info")]
    assert ends(None, left_min=-1)[1] == [("credential.expiring", "critical")]


def test_a_token_that_we_renew_is_told_only_when_that_fails():
    assert ends(None, left_min=4, renews=True) is None
    state, told = ends(None, left_min=4, renews=True, trouble="IMS answered 400")
    assert told == [("credential.expiring", "warning")]
    assert ends(state, left_min=60, renews=True)[1] == [("credential.renewed", "info")]


def test_an_end_that_nobody_knows_is_not_told():
    assert expiry.turned(None, "prod", None, T0, warn_before=timedelta(days=9)) is None


# once a day


def test_a_reply_that_cannot_be_read_is_told_once_a_day_for_each_shape():
    first = oddness.reply(None, "prod", "export_job_row", "no status", T0)
    assert first.events[0].details["why"] == "no status"
    assert oddness.reply(first.state, "prod", "export_job_row", "no status", at(60 * 23)) is None
    assert oddness.reply(first.state, "prod", "export_job_row", "no status", at(60 * 24)).events[0].sequence == 2
    assert oddness.reply_stream("prod", "a", "x") != oddness.reply_stream("prod", "a", "y")


def test_an_unknown_status_is_news_once_a_day():
    first = oddness.status(None, "prod", "export_job", "PAUSED", T0)
    assert oddness.status(first.state, "prod", "export_job", "PAUSED", at(5)) is None
    assert oddness.status(first.state, "prod", "export_job", "PAUSED", at(60 * 25))
