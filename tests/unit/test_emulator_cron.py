"""When a schedule's cron fires next."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.emulator.cron import frequency, next_after


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "when", "fires"),
    [
        pytest.param("0 0 1 * * ?", "2026-01-01T00:59:59", ["2026-01-01T01:00:00"], id="later-that-day"),
        pytest.param("0 0 1 * * ?", "2026-01-01T01:00:00", ["2026-01-02T01:00:00"], id="strictly-later"),
        pytest.param("30 15 4 ? * 1", "2026-01-01", ["2026-01-04T04:15:30"], id="one-is-sunday"),
        pytest.param("0 0 1 ? * FRI-MON", "2026-01-05T02", ["2026-01-09T01", "2026-01-10T01"], id="over-the-week-end"),
        pytest.param("0 0 1 ? * 6L", "2026-01-01", ["2026-01-30T01", "2026-02-27T01"], id="last-friday"),
        pytest.param("0 0 1 ? * L", "2026-01-01", ["2026-01-03T01", "2026-01-10T01"], id="alone-l-is-saturday"),
        pytest.param("0 0 1 ? * 2#1", "2026-01-01", ["2026-01-05T01", "2026-02-02T01"], id="first-monday"),
        pytest.param("0 0 1 ? * 6#5", "2026-01-01", ["2026-01-30T01", "2026-05-29T01"], id="fifth-friday"),
        pytest.param("0 0 1 L * ?", "2026-02-01", ["2026-02-28T01", "2026-03-31T01"], id="last-day"),
        pytest.param("0 0 1 L-3 * ?", "2026-02-01", ["2026-02-25T01", "2026-03-28T01"], id="three-before-the-last"),
        pytest.param("0 0 1 LW * ?", "2026-01-01", ["2026-01-30T01", "2026-02-27T01"], id="last-working-day"),
        pytest.param("0 0 1 1W * ?", "2026-02-01", ["2026-02-02T01", "2026-03-02T01"], id="sunday-the-first"),
        pytest.param("0 0 1 1W 8 ?", "2026-01-01", ["2026-08-03T01"], id="saturday-the-first-stays-in-its-month"),
        pytest.param("0 0 1 31W * ?", "2026-05-01", ["2026-05-29T01", "2026-07-31T01"], id="sunday-the-last"),
        pytest.param("0 0 1 15W * ?", "2026-02-01", ["2026-02-16T01", "2026-03-16T01"], id="nearest-working-day"),
        pytest.param("0 0 1 31 * ?", "2026-02-01", ["2026-03-31T01", "2026-05-31T01"], id="months-with-31-days"),
        pytest.param("0 0 1 29 2 ?", "2026-03-01", ["2028-02-29T01", "2032-02-29T01"], id="leap-day"),
        pytest.param("0 0 1 1/10 * ?", "2026-01-02", ["2026-01-11T01", "2026-01-21T01", "2026-01-31T01"], id="steps"),
        pytest.param("59 59 23 1 JAN ? 2030-2031", "2026-01-01", ["2030-01-01T23:59:59", "2031-01-01T23:59:59", None]),
        pytest.param("0 0 1 30 2 ?", "2026-01-01", [None], id="never"),
        pytest.param("0 0 1 * * ? 2020", "2026-01-01", [None], id="over"),
    ],
)
def test_a_cron_fires_at_these_times(cron, when, fires):
    now = at(when)
    for expected in fires:
        found = next_after(cron, now)
        assert found == (at(expected) if expected else None)
        now = found


@given(
    st.sampled_from(
        ["0 0 1 * * ?", "5 4 3 ? * MON-FRI", "0 0 0 L * ?", "0 0 1 ? * 3#2", "1 2 3 LW * ?", "0 0 1 9W * ?"]
    ),
    st.integers(0, 3_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
)
def test_the_next_time_is_later_and_none_lies_between(cron, when):
    found = next_after(cron, when)
    assert found > when
    assert next_after(cron, found - timedelta(seconds=1)) == found
    assert found - when <= timedelta(days=63)


def test_the_last_day_of_the_week_comes_weekly():
    assert frequency("0 0 1 ? * L") == "weekly"
