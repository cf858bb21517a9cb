"""Emulated time that is to be the clock's time of day at some moment."""

from datetime import UTC, datetime, timedelta

import pytest

from segwatch.emulator.calendar import Calendar

START = datetime(2026, 11, 24, 0, 11, tzinfo=UTC)


@pytest.mark.parametrize(("meets_s", "speed", "days"), [(600, 60, 1), (600, 1, 0), (4 * 86_400, 1_000_000, 4)])
def test_where_the_times_meet_they_are_equal_and_the_day_may_be_a_later_one(meets_s, speed, days):
    passed = timedelta()
    calendar = Calendar(speed=speed, now=lambda: (START + passed).timestamp())
    met = START + timedelta(seconds=meets_s / speed)
    calendar.meet(met.timestamp())
    assert calendar.now() >= START
    passed = met - START
    assert abs(calendar.now() - (met + timedelta(days=days))) < timedelta(seconds=1)
