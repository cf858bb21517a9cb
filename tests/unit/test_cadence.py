"""When to look again."""

from datetime import timedelta

import pytest
from builders import at
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.cadence import Cadence, stretch_for

spans = st.timedeltas(timedelta(seconds=1), timedelta(hours=1))
cadences = st.builds(lambda a, b, c: Cadence(interval=a, idle=b, reconcile=c), spans, spans, spans)
stretches = st.floats(0, 50)
streams = st.text(st.characters(codec="utf-8"), max_size=20)


def cadence(**seconds):
    spans = {"interval": 15, "idle": 60, "reconcile": 600} | seconds
    return Cadence(**{name: timedelta(seconds=value) for name, value in spans.items()})


@pytest.mark.parametrize(
    ("stretch", "seconds"),
    [
        pytest.param(1.0, 15, id="as-promised"),
        pytest.param(2.5, 37.5, id="stretched-by-the-budget"),
        pytest.param(0.1, 15, id="never-sooner"),
    ],
)
def test_an_active_job_is_looked_at_after_one_interval(stretch, seconds):
    assert cadence().next_look(at(0), stretch=stretch) == at(second=seconds)
    assert cadence().next_discovery(at(0), any_active=True, stretch=stretch) == at(second=seconds)


def test_new_jobs_are_sought_seldom_while_nothing_runs():
    assert cadence().next_discovery(at(0), any_active=False, stretch=9) == at(1)


@pytest.mark.parametrize(
    ("interval", "seconds"), [pytest.param(15, 120, id="eight-intervals"), pytest.param(200, 600, id="capped")]
)
def test_a_job_that_no_list_shows_is_asked_for_by_its_id(interval, seconds):
    assert cadence(interval=interval).reread == timedelta(seconds=seconds)


@given(cadences)
def test_three_404s_tell_of_a_vanished_job_within_thirty_intervals(cadence):
    assert 3 * cadence.reread <= 30 * cadence.interval
    assert cadence.reread <= cadence.reconcile


@given(cadences, stretches)
def test_no_look_comes_sooner_than_its_interval_or_later_than_its_stretch(cadence, stretch):
    wait = cadence.next_look(at(0), stretch=stretch) - at(0)
    assert cadence.interval <= wait <= cadence.interval * max(1.0, stretch)


@given(cadences, st.integers(1, 10_000), streams)
def test_the_wait_after_failures_never_exceeds_ten_seconds_or_one_interval(cadence, failures, stream):
    wait = cadence.after_failure(failures, stream)
    assert min(cadence.interval, timedelta(seconds=10)) / 2 <= wait <= max(timedelta(seconds=10), cadence.interval)


@pytest.mark.parametrize(
    ("interval", "stretch", "seconds"),
    [
        pytest.param(1, 1, 10, id="short-intervals-grow-to-ten-seconds"),
        pytest.param(15, 1, 15, id="longer-ones-are-kept"),
        pytest.param(1, 40, 40, id="a-small-budget-forces-more"),
    ],
)
def test_a_platform_that_fails_for_long_is_asked_as_often_as_it_must_be(interval, stretch, seconds):
    waits = [cadence(interval=interval).after_failure(99, str(n), stretch=stretch).total_seconds() for n in range(500)]
    assert seconds / 2 <= min(waits) < 0.52 * seconds
    assert 0.98 * seconds < max(waits) <= seconds


@given(cadences, st.integers(1, 10_000), streams)
def test_trouble_of_our_own_store_is_soon_tried_again(cadence, failures, stream):
    wait = cadence.after_store_failure(failures, stream)
    assert timedelta(seconds=0.5) <= wait <= timedelta(seconds=5)


@given(cadences, streams)
def test_the_first_look_comes_within_two_seconds_and_one_interval(cadence, stream):
    assert timedelta() <= cadence.phase(stream) < min(timedelta(seconds=2), cadence.interval)
    assert cadence.phase(stream) == cadence.phase(stream)


@pytest.mark.parametrize(
    ("calls", "per_second", "stretch"),
    [
        pytest.param(1, 2.0, 1.0, id="plenty"),
        pytest.param(30, 2.0, 1.0, id="just-enough"),
        pytest.param(60, 2.0, 2.0, id="twice-the-budget"),
        pytest.param(1, 0.01, 1 / 0.15, id="a-budget-halved-again-and-again"),
    ],
)
def test_the_interval_grows_by_what_the_budget_lacks(calls, per_second, stretch):
    assert stretch_for(calls, timedelta(seconds=15), per_second) == pytest.approx(stretch)


@given(st.floats(0, 1e6), spans, st.floats(0.001, 1000))
def test_the_stretch_is_never_below_one_and_fits_the_sweep_into_the_budget(calls, interval, per_second):
    stretch = stretch_for(calls, interval, per_second)
    assert stretch >= 1
    assert calls <= per_second * interval.total_seconds() * stretch * (1 + 1e-9)
