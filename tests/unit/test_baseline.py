"""What the durations of earlier jobs say of one that runs."""

from datetime import timedelta
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.baseline import Estimate, estimate, eta


def minutes(*numbers):
    return [timedelta(minutes=number) for number in numbers]


def test_two_jobs_say_nothing():
    assert estimate(minutes(5, 6)) is None
    assert eta(timedelta(), minutes(5, 6)) is None


def test_three_jobs_say_how_long_and_how_sure():
    (five, nine) = minutes(5, 9)
    assert estimate(minutes(9, 5, 4)) == Estimate(median=five, count=3)
    assert eta(timedelta(minutes=5), minutes(9, 5, 4)) == nine - five


def test_a_job_that_outlasts_all_before_it_has_no_estimate():
    assert eta(timedelta(minutes=9), minutes(4, 5, 9)) is None


spans = st.lists(st.integers(0, 10_000).map(lambda s: timedelta(seconds=s)), min_size=3, max_size=40)


@given(spans, st.integers(0, 10_000).map(lambda s: timedelta(seconds=s)))
def test_the_estimate_is_the_median_of_those_that_took_longer(known, elapsed):
    longer = [span.total_seconds() for span in known if span > elapsed]
    found = eta(elapsed, known)
    if not longer:
        assert found is None
    else:
        assert found.total_seconds() == median(longer) - elapsed.total_seconds()
        assert found > timedelta()
    assert estimate(known).median.total_seconds() == median(span.total_seconds() for span in known)
