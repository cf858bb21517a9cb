"""Rows as documents: times as the platform writes them, also those before the year 1."""

import duckdb
import pytest

from segwatch.emulator.lake.documents import column_types, document


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("TIMESTAMPTZ", "0001-01-01 00:00:00+00", "0001-01-01T00:00:00Z"),
        ("TIMESTAMPTZ", "0001-12-31 (BC) 23:59:59.999999+00", "0000-12-31T23:59:59.999999Z"),
        ("TIMESTAMP", "0044-03-15 (BC) 12:00:00", "-0043-03-15T12:00:00Z"),
        ("TIMESTAMP", "10000-01-01 00:00:00", "10000-01-01T00:00:00Z"),
        ("DATE", "0496-11-20 (BC)", "-0495-11-20"),
        ("DATE", "2026-11-20", "2026-11-20"),
        ("VARCHAR", "0496-11-20 (BC)", "0496-11-20 (BC)"),
    ],
)
def test_times_have_the_years_of_iso_8601(kind, value, shown):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE told AS SELECT {kind} '{value}' AS at")
        (text,) = connection.execute("SELECT to_json(told) FROM told").fetchone()
        assert document(text, column_types(connection, "told").items()) == {"at": shown}
