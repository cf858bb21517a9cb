"""Quiet hours, also in the nights in which the clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.alerts.quiet import QuietHours
from segwatch.jobs.events import Severity

AMSTERDAM = "Europe/Amsterdam"
ZONES = (AMSTERDAM, "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata", "UTC")


def hours(begin="22:00", end="07:00", zone=AMSTERDAM, **fields):
    return QuietHours(begin=time.fromisoformat(begin), end=time.fromisoformat(end), zone=zone, **fields)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        pytest.param("2026-01-05T20:59:59", None, id="before"),
        pytest.param("2026-01-05T21:00", "2026-01-06T06:00", id="they-begin"),
        pytest.param("2026-01-06T02:00", "2026-01-06T06:00", id="past-midnight"),
        pytest.param("2026-01-06T06:00", None, id="they-end"),
        pytest.param("2026-03-29T00:30", "2026-03-29T05:00", id="the-night-that-loses-an-hour"),
        pytest.param("2026-10-25T00:30", "2026-10-25T06:00", id="the-night-that-gains-one"),
        pytest.param("2026-07-01T20:00", "2026-07-02T05:00", id="summer"),
    ],
)
def test_what_comes_in_quiet_hours_waits_for_their_end(now, until):
    assert hours().quiet_until(utc(now)) == (until and utc(until))


def test_hours_of_one_day():
    lunch = hours("12:00", "13:30", "UTC")
    assert lunch.quiet_until(utc("2026-01-05T12:10")) == utc("2026-01-05T13:30")
    assert lunch.quiet_until(utc("2026-01-05T11:10")) is None


def test_a_time_that_the_clocks_skip_is_an_hour_later():
    assert hours("00:00", "02:30").quiet_until(utc("2026-03-29T00:59")) == utc("2026-03-29T01:30")  # 03:30 there


def test_of_a_time_that_comes_twice_the_first_counts():
    early = hours("00:00", "02:30")
    assert early.quiet_until(utc("2026-10-25T00:29")) == utc("2026-10-25T00:30")
    assert early.quiet_until(utc("2026-10-25T00:31")) is None, "02:31 in summer time, and 02:15 to come again"


@pytest.mark.parametrize(
    ("severity", "waits"), [(Severity.INFO, True), (Severity.WARNING, True), (Severity.CRITICAL, False)]
)
def test_what_is_urgent_does_not_wait(severity, waits):
    now = utc("2026-01-06T02:00")
    assert hours().held_until(severity, now) == (utc("2026-01-06T06:00") if waits else None)
    assert hours().hold(severity, now) is waits
    assert not hours(below=Severity.INFO).hold(severity, now)


MOMENTS = st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2035-01-01"))
DAYS = st.dates(date(2020, 1, 2), date(2034, 1, 1))
clocks = st.times(timezones=st.none()).map(lambda at: at.replace(second=0, microsecond=0))


@given(clocks, clocks, st.sampled_from(ZONES), MOMENTS)
def test_they_end_within_two_days_and_nothing_waits_beyond_their_end(begin, end, zone, now):
    if begin == end:
        return
    quiet, now = QuietHours(begin=begin, end=end, zone=zone), now.replace(tzinfo=UTC)
    until = quiet.quiet_until(now)
    if until is None:
        return
    assert now < until <= now + timedelta(hours=26)
    local = until.astimezone(ZoneInfo(zone))
    skipped = local.replace(tzinfo=None) - datetime.combine(local.date(), end)
    assert skipped % timedelta(days=1) in (timedelta(), timedelta(minutes=30), timedelta(hours=1))


@given(clocks, clocks, st.sampled_from(ZONES), DAYS)
def test_every_night_has_its_quiet_hours(begin, end, zone, day):
    if begin == end:
        return
    first = datetime.combine(day, begin, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    last = datetime.combine(day if begin < end else day + timedelta(days=1), end, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    quiet = QuietHours(begin=begin, end=end, zone=zone)
    assert (quiet.quiet_until(first) is not None) or last <= first, "a change of the clocks took them all"
