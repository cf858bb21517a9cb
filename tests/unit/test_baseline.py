"""What the durations of earlier jobs say of one that runs."""

from datetime import timedelta
from math import exp, log
from random import Random
from statistics import NormalDist, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.baseline import Estimate, estimate, eta, usual


def minutes(*numbers):
    return [timedelta(minutes=number) for number in numbers]


def test_two_jobs_say_nothing():
    assert estimate(minutes(5, 6)) is None
    assert eta(timedelta(), minutes(5, 6)) is None


def test_three_jobs_say_how_long_and_how_sure():
    (five, nine) = minutes(5, 9)
    assert estimate(minutes(9, 5, 4)) == Estimate(median=five, count=3)
    assert eta(timedelta(minutes=5), minutes(9, 5, 4)).left == nine - five


def test_a_job_that_outlasts_a_few_before_it_has_no_estimate():
    assert eta(timedelta(minutes=9), minutes(4, 5, 9)) is None


@pytest.mark.parametrize("sigma", [0.15, 0.4, 0.8])
@pytest.mark.parametrize("count", [8, 20, 60])
def test_a_job_that_is_told_as_too_long_has_an_estimate_that_errs_on_the_late_side(sigma, count):
    draw, normal = Random(count), NormalDist()
    ended = told = 0
    for _ in range(400):
        spans = [timedelta(seconds=600 * draw.lognormvariate(0, sigma)) for _ in range(count)]
        limit = usual(spans).limit(1.5, timedelta(seconds=30))
        found = eta(limit, spans)
        assert found.left > timedelta()
        if not found.longer:
            told += 1
            beyond = normal.cdf(-log(limit / timedelta(seconds=600)) / sigma)  # drawn from those that got so old
            took = timedelta(seconds=600 * exp(-sigma * normal.inv_cdf(beyond * (1 - draw.random()))))
            ended += took <= limit + found.left
    assert ended >= 0.65 * told > 0


def test_the_longer_a_job_goes_on_beyond_all_before_it_the_more_is_expected():
    spans = minutes(*[10] * 8)
    left = [eta(timedelta(minutes=age), spans).left for age in (11, 20, 60)]
    assert timedelta() < left[0] < left[1] < left[2] < timedelta(hours=9)


def test_durations_of_nothing_tell_no_wonder():
    assert eta(timedelta(hours=1), [timedelta()] * 9).left <= timedelta(hours=9)


spans = st.lists(st.integers(0, 10_000).map(lambda s: timedelta(seconds=s)), min_size=3, max_size=40)


@given(spans, st.integers(0, 10_000).map(lambda s: timedelta(seconds=s)))
def test_the_estimate_is_the_median_of_those_that_took_longer(known, elapsed):
    longer = [span.total_seconds() for span in known if span > elapsed]
    found = eta(elapsed, known)
    if longer:
        assert found.left.total_seconds() == median(longer) - elapsed.total_seconds()
        assert (found.longer, found.left > timedelta()) == (len(longer), True)
    else:
        assert (found is None) == (len(known) < 8 or not elapsed)
    assert estimate(known).median.total_seconds() == median(span.total_seconds() for span in known)
