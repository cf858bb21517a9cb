"""A lake in memory with profiles that are made up."""

from datetime import UTC, datetime

import duckdb

from segwatch.emulator.lake import population, tables

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)  # a Monday


def a_lake(*, seed=0, size, now=NOW, threads=2):
    """Return a connection to a new lake; leave it, as a context, to close it."""
    connection = duckdb.connect(config={"threads": threads})
    connection.execute("SET TimeZone = 'UTC'")
    tables.create(connection)
    population.create(connection, seed=seed, size=size, now=now)
    return connection
