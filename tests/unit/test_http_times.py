"""Times in HTTP headers: when an answer was made, and the wait that is asked for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.http_times import date_of, wish_of

NOON = datetime(2025, 12, 6, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 0.5 ", 0.5, id="fraction"),
        pytest.param("Sat, 06 Dec 2025 12:00:09 GMT", 9.0, id="date"),
        pytest.param("Sat, 06 Dec 2025 12:00:09 -0000", 9.0, id="date-of-no-zone"),
        pytest.param("Sat, 06 Dec 2025 11:00:00 GMT", 0.0, id="date-in-the-past"),
        pytest.param("9" * 400, 3600.0, id="absurd"),
        pytest.param("-5", None, id="negative"),
        pytest.param("\u0667", None, id="digits-of-another-script"),
        pytest.param("soon", None, id="unreadable"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_wish_is_read_as_seconds_or_as_a_date(header, wait_s):
    assert wish_of(header, NOON, most=HOUR) == (None if wait_s is None else timedelta(seconds=wait_s))


@given(st.text(max_size=40))
def test_no_header_breaks_the_reader(header):
    wish = wish_of(header, NOON, most=HOUR)
    assert wish is None or timedelta(0) <= wish <= HOUR


@pytest.mark.parametrize(
    ("header", "told"),
    [
        pytest.param("Sat, 06 Dec 2025 12:00:00 GMT", NOON, id="as-servers-write-it"),
        pytest.param("Sat, 06 Dec 2025 13:00:00 +0100", NOON, id="of-another-zone"),
        pytest.param("Sat, 06 Dec 2025 12:00:00 -0000", NOON, id="of-no-zone"),
        pytest.param("yesterday", None, id="unreadable"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_date_is_read_in_utc(header, told):
    assert date_of(header) == told
