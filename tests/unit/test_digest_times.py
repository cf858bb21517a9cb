"""When a digest is told: once a day, also on the days on which the clocks change."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.deliveries import digest_times
from segwatch.deliveries.digest_times import CAP, Condition, Daily

AMSTERDAM = "Europe/Amsterdam"
ZONES = (
    AMSTERDAM, "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia",
    "America/Nuuk", "Africa/Casablanca", "UTC",
)  # fmt: skip
DAY = timedelta(days=1)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(at="08:00", zone=AMSTERDAM, **fields):
    return Daily(at=time.fromisoformat(at), zone=zone, **fields)


def tell(mark, plan, now, position=1):
    """Return the mark behind a look, and what was due."""
    mark = digest_times.armed(mark, "team", now)
    due = digest_times.due(mark, plan, now)
    return (digest_times.told(mark, due, plan, now, position), due) if due else (mark, None)


@pytest.mark.parametrize(
    ("plan", "now", "latest", "following"),
    [
        pytest.param(daily(), "2026-01-05T06:59:59", "2026-01-04T07:00", "2026-01-05T07:00", id="before"),
        pytest.param(daily(), "2026-01-05T07:00:00", "2026-01-05T07:00", "2026-01-06T07:00", id="on-the-hour"),
        pytest.param(daily(), "2026-07-05T07:00:00", "2026-07-05T06:00", "2026-07-06T06:00", id="summer"),
        pytest.param(daily("02:30"), "2026-03-29T12:00", "2026-03-29T01:30", "2026-03-30T00:30", id="in-the-gap"),
        pytest.param(daily("02:30"), "2026-10-25T12:00", "2026-10-25T00:30", "2026-10-26T01:30", id="comes-twice"),
        pytest.param(
            daily(days=frozenset(range(5))), "2026-01-10T12:00", "2026-01-09T07:00", "2026-01-12T07:00", id="weekend"
        ),
        pytest.param(
            daily(days=frozenset({0})), "2026-01-05T06:00", "2025-12-29T07:00", "2026-01-05T07:00", id="mondays"
        ),
    ],
)
def test_the_time_of_day_is_that_of_the_zone(plan, now, latest, following):
    assert plan.latest(utc(now)).at == utc(latest)
    assert plan.next(utc(now)).at == utc(following)


MOMENTS = st.datetimes(datetime.fromisoformat("2009-01-01"), datetime.fromisoformat("2035-01-01"))
clocks = st.times(timezones=st.none()).map(lambda at: at.replace(microsecond=0, fold=0))
plans = st.builds(
    Daily, at=clocks, zone=st.sampled_from(ZONES), days=st.frozensets(st.integers(0, 6), min_size=1)
)  # fmt: skip


@given(plans, MOMENTS)
def test_what_was_last_and_what_is_next_enclose_now(plan, moment):
    now = moment.replace(tzinfo=UTC)
    last, following = plan.latest(now), plan.next(now)
    assert last.at <= now < following.at <= last.at + timedelta(days=9)
    assert last.day < following.day
    assert plan.latest(following.at).at == following.at
    assert {last.day.weekday(), following.day.weekday()} <= plan.days
    shown = last.at.astimezone(ZoneInfo(plan.zone)).replace(tzinfo=None) - datetime.combine(last.day, plan.at)
    assert timedelta() <= shown <= DAY, "only what the clocks skip is told at another time"


@given(st.sampled_from(ZONES), clocks, st.dates(date(2010, 1, 1), date(2034, 1, 1)), st.integers(1, 90))
def test_each_day_is_told_once_however_long_it_is(zone, at, first, minutes):
    plan = Daily(at=at, zone=zone)
    now = datetime.combine(first, time(), tzinfo=UTC)
    mark, days = digest_times.armed(None, "team", now), []
    for _ in range(4 * 1440 // minutes):
        now += timedelta(minutes=minutes)
        mark, due = tell(mark, plan, now)
        days += [due.slot.day] if due else []
    assert days == sorted(set(days))
    whole = {days[0] + n * DAY for n in range((days[-1] - days[0]).days + 1)} if days else set()
    missing = whole - set(days)
    assert not missing or (zone == "Pacific/Apia" and missing == {date(2011, 12, 30)}), "a day that was not there"
    assert len(days) >= 3


def test_a_new_digest_waits_for_its_time_and_tells_of_a_day():
    mark, due = tell(None, daily(), utc("2026-01-05T14:00"))
    assert (mark.condition, due) == (Condition.ARMED, None)
    assert tell(mark, daily(), utc("2026-01-06T06:59"))[1] is None
    after, due = tell(mark, daily(), utc("2026-01-06T07:00:01"), position=41)
    assert (due.slot.at, due.since, due.position) == (utc("2026-01-06T07:00"), utc("2026-01-05T07:00"), None)
    assert (after.sequence, after.condition) == (1, Condition.TOLD)
    _, due = tell(after, daily(), utc("2026-01-07T07:00"))
    assert (due.since, due.position) == (utc("2026-01-06T07:00:01"), 41), "it goes on where the last one ended"


def test_a_new_digest_on_workdays_goes_back_to_the_workday_before():
    workdays = daily(days=frozenset(range(5)))
    mark, _ = tell(None, workdays, utc("2026-01-10T12:00"))  # a Saturday
    assert tell(mark, workdays, utc("2026-01-12T07:00"))[1].since == utc("2026-01-09T07:00")


def told_on_monday(plan=None):
    mark, _ = tell(None, plan or daily(), utc("2026-01-05T06:00"))
    return tell(mark, plan or daily(), utc("2026-01-05T07:00"))[0]


def test_what_was_missed_is_told_late_and_once():
    mark, due = tell(told_on_monday(), daily(), utc("2026-01-08T13:00"), position=7)
    assert (due.slot.at, due.since, due.position) == (utc("2026-01-08T07:00"), utc("2026-01-05T07:00"), 1)
    assert tell(mark, daily(), utc("2026-01-08T13:00:01"))[1] is None
    assert tell(mark, daily(), utc("2026-01-09T07:00"))[1].since == utc("2026-01-08T13:00")


def test_what_lies_far_back_is_no_news():
    now = utc("2026-03-01T13:00")
    _, due = tell(told_on_monday(), daily(), now)
    assert (due.since, due.position) == (now - CAP, None)


@pytest.mark.parametrize("at", ["00:30", "07:59", "08:01", "10:00", "23:59"])
def test_another_time_of_day_tells_no_day_twice(at):
    mark, moved = told_on_monday(), daily(at)
    for hour in range(8, 22):
        mark, due = tell(mark, moved, utc(f"2026-01-05T{hour:02}:59:30"))
        assert due is None
    now = moved.next(utc("2026-01-05T22:59:30")).at
    assert tell(mark, moved, now)[1].slot.day == date(2026, 1, 6)


def test_an_earlier_time_of_a_day_that_was_not_told_is_told_now():
    late = daily("10:00")
    mark, _ = tell(None, late, utc("2026-01-04T08:00"))
    mark, _ = tell(mark, late, utc("2026-01-04T09:00"))
    assert tell(mark, daily(), utc("2026-01-05T08:30"))[1].slot.at == utc("2026-01-05T07:00")


def test_another_zone_leaves_no_day_out():
    auckland = daily(zone="Pacific/Auckland")
    mark, _ = tell(None, auckland, utc("2026-01-05T12:00"))
    mark, due = tell(mark, auckland, utc("2026-01-05T19:00"))
    assert due.slot.day == date(2026, 1, 6)
    _, due = tell(mark, daily(zone="America/New_York"), utc("2026-01-06T13:00"))
    assert due.slot.day == date(2026, 1, 6)


def test_a_digest_that_comes_back_tells_of_a_day_and_not_of_the_time_between():
    mark = told_on_monday()
    gone = digest_times.off(mark, utc("2026-01-05T09:00"))
    assert digest_times.off(gone, utc("2026-01-05T09:01")) is None
    back, due = tell(gone, daily(), utc("2026-01-07T14:00"))
    assert (due, back.condition, back.sequence) == (None, Condition.ARMED, 1)
    assert tell(back, daily(), utc("2026-01-08T07:00"))[1].since == utc("2026-01-07T07:00")


def test_a_digest_that_comes_back_the_same_day_leaves_nothing_out_and_tells_no_day_twice():
    gone = digest_times.off(told_on_monday(), utc("2026-01-05T09:00"))
    back, _ = tell(gone, daily("12:00"), utc("2026-01-05T09:30"))
    assert tell(back, daily("12:00"), utc("2026-01-05T11:00"))[1] is None, "Monday was told at eight"
    _, due = tell(back, daily(), utc("2026-01-06T07:00"))
    assert (due.since, due.position) == (utc("2026-01-05T07:00"), 1)


def test_a_clock_that_was_far_ahead_does_not_keep_digests_away():
    mark, _ = tell(told_on_monday(), daily(), utc("2027-01-05T07:00"))
    mark, due = tell(mark, daily(), utc("2026-01-06T06:00"))
    assert (due, mark.condition, mark.sequence) == (None, Condition.ARMED, 2)
    assert tell(mark, daily(), utc("2026-01-06T07:00"))[1].since == utc("2026-01-05T07:00")


@pytest.mark.parametrize(
    "memory",
    [
        pytest.param({"slot": 5, "position": "x"}, id="other-types"),
        pytest.param({"slot": "at noon", "to": "today", "day": "Monday", "zone": AMSTERDAM, "position": 3}, id="words"),
        pytest.param({"to": "2026-01-05T07:00:00", "slot": "2026-01-05T07:00:00"}, id="times-without-zone"),
    ],
)
def test_a_mark_of_another_version_is_read_as_far_as_it_goes(memory):
    mark = replace(told_on_monday(), memory=memory)
    assert tell(mark, daily(), utc("2026-01-06T07:00"))[1].position is None
