"""Texts in fields are times where ISO 8601 says so: the same as Python reads them, and nothing else."""

import random
import re
from datetime import datetime, timedelta

import duckdb
import pytest
from pql_profiles import shape

from segwatch.emulator.pql import parse, to_sql
from segwatch.emulator.pql.iso_times import sql_time

EIGHT = datetime.fromisoformat("2026-07-01T08:00:00")  # of no zone, as DuckDB's TIMESTAMP is
FORMS = [
    "2026-07-01T08:00:00Z",
    "2026-07-01 08:00:00",
    "2026-07-01t08:00:00z",
    "2026-07-01T08",
    "2026-07-01T08:00",
    "2026-07-01T10:00:00+02:00",
    "2026-07-01T10:00:00+0200",
    "2026-07-01T10:00:00+02",
    "2026-07-01T10:00:00+02:00:00",
    "2026-07-01T10:00:30+02:00:30",
    "2026-07-01T07+00:00",
    "2026-07-01T06:30:00-01:30",
    "2026-07-01T08:00:00,0Z",
    "2026-07-01T08:00:00.000000999Z",
    "20260701T080000Z",
    "20260701T0800",
    "20260701 100000.0+0200",
    "2026-W27-3T08:00:00Z",
    "2026W273T100000+02",
]
NO_TIMES = [
    "infinity",
    "-infinity",
    "epoch",
    "now",
    "today",
    "2026-07-01 10:00:00 Europe/Amsterdam",
    "2026-07-01 10:00:00 UTC",
    "2026-07-01T08:00:00 Z",
    "2026-07-01T08:00:00Z ",
    "2026-07-01T08:00:00Z\n",
    "2026-07-01T24:00:00Z",
    "2026-07-01T08:60",
    "2026-07-01T08:00:61",
    "2026-07-01T08:00:00+24:00",
    "2026-06-31",
    "2026-W54-1",
    "2025-W53-1",
    "2024W532",
    "9999W527",
    "0000-01-01",
    "2026-W27",
    "2026-7-1",
    "2026/07/01",
    "07/01/2026",
    "2026-0701",
    "202607-01",
    "2026-07",
    "2026",
    "1782892800",
    "1782892800000",
    "2026-07-01Z",
    "2026-07-01T",
    "2026-07-01 (BC)",
    "10000-07-01",
    "",
]


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'America/New_York'")  # it must not matter
        yield connection


def read(connection, *texts):
    """Return the times that SQL finds in texts."""
    connection.execute("CREATE OR REPLACE TEMP TABLE texts AS SELECT unnest(?::VARCHAR[]) AS s", [list(texts)])
    return [found for (found,) in connection.execute(f"SELECT {sql_time('s')} FROM texts").fetchall()]


def test_every_form_of_a_moment_is_that_moment(connection):
    expected = [EIGHT if "T07" not in text else EIGHT.replace(hour=7) for text in FORMS]
    assert dict(zip(FORMS, read(connection, *FORMS), strict=True)) == dict(zip(FORMS, expected, strict=True))


def test_a_day_is_its_midnight_in_each_form(connection):
    assert set(read(connection, "2026-07-01", "20260701", "2026-W27-3", "2026W273")) == {EIGHT.replace(hour=0)}


def test_what_is_no_time_is_missing(connection):
    found = read(connection, *NO_TIMES, None)
    assert dict(zip([*NO_TIMES, None], found, strict=True)) == dict.fromkeys([*NO_TIMES, None])


@pytest.mark.parametrize("text", FORMS)
def test_a_text_is_the_same_time_in_a_field_and_in_a_query(connection, text):
    sql = to_sql(parse({"type": "PQL", "format": "pql/text", "value": f'now occurs on "{text}"'}), shape())
    written = re.search(r"TIMESTAMP '([^']+)'", sql)
    assert written is not None
    assert read(connection, text) == [datetime.fromisoformat(written[1])]


def test_any_text_made_of_the_parts_of_times_is_read_as_python_reads_it(connection):
    chance = random.Random(7)
    days = ["2026-02-01", "20260201", "2026-W05-7", "2026W057", "2024-02-29", "2023-02-29", "0001-01-01", "2026-02-1"]
    clocks = ["10", "10:30", "1030", "10:30:59", "103059", "10:30:59.5", "103059,25", "10:30:59.1234567", "25", "10:3"]
    offsets = ["", "Z", "+01", "-0130", "+01:30", "-01:30:15", "+013015", "+1", "+25:00"]
    texts = [
        f"{chance.choice(days)}{chance.choice('T t')}{chance.choice(clocks)}{chance.choice(offsets)}"
        for _ in range(3_000)
    ]
    assert dict(zip(texts, read(connection, *texts), strict=True)) == {text: by_python(text) for text in texts}


def by_python(text):
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=None) - (found.utcoffset() or timedelta())
    except (ValueError, OverflowError):
        return None
