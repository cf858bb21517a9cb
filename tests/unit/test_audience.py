"""What sizes of audiences are told, and what ends it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs import audience
from segwatch.jobs.audience import Oddity, Tolerance
from segwatch.jobs.band import Size, band
from segwatch.jobs.events import Severity

MONDAY = datetime(2026, 1, 5, 1, 14, tzinfo=UTC)
ALL = Tolerance()


def days(*sizes: float, first: datetime = MONDAY) -> list[Size]:
    return [Size(at=first + timedelta(days=number), size=size) for number, size in enumerate(sizes)]


def weeks(count: int, *, weekday: float = 1000, weekend: float = 400) -> list[Size]:
    return days(*([weekday * (1 + 0.01 * (n % 3)) for n in range(5)] + [weekend, weekend * 1.02]) * count)


def oddity(history: list[Size], size: float, tolerance: Tolerance = ALL) -> Oddity | None:
    now = Size(at=history[-1].at + timedelta(days=1), size=size)
    verdict = audience.judge(history, now, tolerance)
    return verdict.oddity if verdict else None


@pytest.mark.parametrize(
    ("size", "found"),
    [(1000, None), (1300, None), (800, None), (300, Oddity.SHRUNK), (2500, Oddity.GROWN), (0, Oddity.EMPTY)],
)  # fmt: skip
def test_a_monday_is_compared_with_mondays(size, found):
    assert oddity(weeks(4), size) is found


def test_a_weekend_is_no_anomaly_and_a_weekday_like_one_is():
    four = weeks(4)
    assert oddity(four[:-2], 400) is None  # a Saturday
    assert oddity(four, 400) is Oddity.SHRUNK  # a Monday


def test_the_first_weekend_is_not_told_though_nobody_knows_it_yet():
    assert oddity(days(1000, 1010, 990, 1005, 1000), 400) is None


def test_growth_that_goes_on_is_expected():
    assert oddity(days(*(1000 * 1.012**n for n in range(42))), 1000 * 1.012**42) is None
    expected = band(days(*(1000 * 1.012**n for n in range(42))), MONDAY + timedelta(days=42), least_change=0.1)
    assert expected is not None
    assert expected.expected == pytest.approx(1000 * 1.012**42, rel=0.02)


def test_one_fault_in_the_past_hides_none_of_today():
    history = weeks(5)
    history[20] = Size(at=history[20].at, size=20)
    assert oddity(history, 300) is Oddity.SHRUNK
    assert oddity(history, 1000) is None


@pytest.mark.parametrize(
    ("before", "told"),
    [
        pytest.param([50_000, 51_000, 50_500], True, id="large"),
        pytest.param([50_000], False, id="seen-too-seldom"),
        pytest.param([200] * 7, True, id="small-and-known-for-a-week"),
        pytest.param([200] * 5, False, id="small-and-hardly-known"),
        pytest.param([200] * 9 + [0] + [200] * 9, False, id="small-and-empty-before"),
        pytest.param([200] * 13 + [0] + [200] * 14, True, id="small-and-empty-once-in-four-weeks"),
        pytest.param([200] * 12 + [0] + [200] * 5 + [0] + [200] * 9, False, id="small-and-empty-at-times"),
        pytest.param([5_000] * 12 + [0] + [5_000] * 9, True, id="large-and-empty-before"),
        pytest.param([4] * 20, False, id="so-small-that-it-is-chance"),
        pytest.param([50_000] * 9 + [0, 0], True, id="still-empty"),
        pytest.param([0] * 9, False, id="always-empty"),
    ],
)
def test_an_audience_without_members_is_told_if_that_is_no_habit(before, told):
    assert oddity(days(*before), 0) is (Oddity.EMPTY if told else None)


def test_what_is_smaller_than_asked_for_is_not_told():
    assert oddity(weeks(4), 300, Tolerance(least_change=9)) is None
    assert oddity(days(*[8.0] * 30), 100, Tolerance(least_members=200)) is None


@given(st.lists(st.integers(0, 10**12), max_size=40), st.integers(0, 10**12))
def test_any_history_gives_a_verdict_or_none(sizes, size):
    history = days(*sizes, size)
    verdict = audience.judge(history[:-1], history[-1], ALL)
    if verdict and verdict.band:
        assert 0 < verdict.band.low < verdict.band.expected < verdict.band.high
        assert (verdict.oddity is None) == (verdict.band.low <= size <= verdict.band.high)


@given(st.floats(100, 1e7), st.floats(0.5, 1.5), st.floats(-0.1, 0.1), st.integers(14, 56))
def test_noise_within_a_tenth_is_never_told(level, weekend, wave, count):
    """However strong the weekly pattern is, once two weeks are known."""
    sizes = [level * (weekend if n % 7 > 4 else 1) * (1 + wave * (-1) ** n) for n in range(count + 1)]
    history = days(*sizes)
    assert oddity(history[:-1], history[-1].size) is None


# telling


def turned(before, history, size, **fields):
    now = Size(at=history[-1].at + timedelta(days=1), size=size)
    verdict = audience.judge(history, now, ALL)
    assert verdict
    return audience.turned(before, "prod", "nl", now, verdict, now.at, **fields)


def test_an_anomaly_is_told_once_with_what_was_expected():
    history = weeks(4)
    first = turned(None, history, 300, job_id="j1")
    (event,) = first.events
    assert (event.type.value, event.stream, event.reason) == ("audience.anomaly", "audience/prod/nl", "shrunk")
    assert event.details["members"] == 300
    assert event.details["segment_job"] == "j1"
    assert event.details["low"] < event.details["expected"] < event.details["high"]
    assert turned(first.state, history, 310) is None


def test_an_audience_that_shrank_and_then_is_empty_is_told_again_and_louder():
    first = turned(None, weeks(4), 300)
    again = turned(first.state, weeks(4), 0)
    assert [(event.reason, event.severity) for event in (*first.events, *again.events)] == [
        ("shrunk", Severity.WARNING), ("empty", Severity.CRITICAL),
    ]  # fmt: skip
    assert again.events[0].sequence == 2
    assert turned(again.state, weeks(4), 0) is None


def test_one_that_goes_much_further_is_told_again():
    first = turned(None, weeks(4), 2500)
    assert turned(first.state, weeks(4), 2600) is None
    assert turned(first.state, weeks(4), 9000).events[0].reason == "grown"


@pytest.mark.parametrize(("size", "reason"), [(1000, "back"), (1500, "settled")])
def test_an_anomaly_ends_back_or_settled(size, reason):
    first = turned(None, weeks(4), 2000)
    history = weeks(4) if reason == "back" else days(*[1000.0] * 10, *[2000.0] * 28)
    (event,) = turned(first.state, history, size if reason == "back" else 2010).events
    assert (event.type.value, event.reason, event.sequence) == ("audience.recovered", reason, 2)


def test_nothing_is_kept_of_an_audience_that_was_always_well():
    assert turned(None, weeks(4), 1000) is None
