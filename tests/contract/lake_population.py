"""A small population in a lake of the test's own, and the same in plain Python."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import duckdb

from segwatch.emulator.lake import tables

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
SIZE = 40
SANDBOX = "prod"
SEGMENTS = (("ups", "s1"), ("ups", "s2"), ("AAM", "s1"))
STATUSES = ("realized", "existing", "exited")


@dataclass(frozen=True)
class Member:
    namespace: str
    segment_id: str
    status: str
    since: datetime


@dataclass(frozen=True)
class Profile:
    """What a test must know of a profile to say whether an export should hold it."""

    n: int
    ingested: datetime
    is_empty: bool
    is_lost: bool
    identities: tuple[tuple[str, str], ...]
    members: tuple[Member, ...]
    events: tuple[tuple[str, datetime], ...]  # id, and when it came in


def profiles() -> list[Profile]:
    """Return everybody; each property varies with a number that has no factor in common with the others."""
    return [
        Profile(
            n=n,
            ingested=NOW - timedelta(days=n % 7),
            is_empty=n % 5 == 3,
            is_lost=n % 11 == 4,
            identities=tuple(
                (namespace, f"{namespace}{n}")
                for namespace, is_known in (("email", n % 3 > 0), ("ecid", n % 4 > 0))
                if is_known
            )
            or (("crmid", f"crmid{n}"),),
            members=tuple(
                Member(
                    namespace, segment_id, STATUSES[(n // 2 + place) % 3], NOW - timedelta(hours=(n * 7 + place) % 90)
                )
                for place, (namespace, segment_id) in enumerate(SEGMENTS)
                if (n + place) % 3
            ),
            events=tuple((f"e{n}-{i}", NOW - timedelta(days=i, hours=n % 9)) for i in range(n % 4)),
        )
        for n in range(SIZE)
    ]


@cache
def shared_lake() -> duckdb.DuckDBPyConnection:
    """Return a lake that holds them, for tests that leave it as it is."""
    return lake()


def lake() -> duckdb.DuckDBPyConnection:
    """Return a lake that holds them."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    tables.create(connection)
    connection.execute(
        """CREATE TABLE profile (_n BIGINT, _xid VARCHAR, _ingested TIMESTAMPTZ,
             person STRUCT(name STRUCT(firstName VARCHAR, lastName VARCHAR), birthYear INTEGER),
             homeAddress STRUCT(country VARCHAR, city VARCHAR), interests STRUCT(name VARCHAR, weight INTEGER)[],
             xEvent STRUCT(_id VARCHAR, "timestamp" TIMESTAMPTZ, ingestTimestamp TIMESTAMPTZ,
               device STRUCT(type VARCHAR))[])"""
    )
    for one in profiles():
        connection.execute("INSERT INTO profile VALUES ($1, $2, $3, $4, $5, $6, $7)", _row(one))
        for namespace, identity in one.identities:
            connection.execute("INSERT INTO identity VALUES ($1, $2, $3)", [one.n, namespace, identity])
        for member in one.members:
            row = [SANDBOX, member.namespace, member.segment_id, one.n, member.status, member.since]
            connection.execute("INSERT INTO membership VALUES ($1, $2, $3, $4, $5, $6)", row)
        # memberships of another sandbox must never show
        connection.execute("INSERT INTO membership VALUES ('dev', 'ups', 's1', $1, 'realized', $2)", [one.n, NOW])
        if one.is_lost:
            connection.execute("INSERT INTO lost VALUES ($1, $2)", [SANDBOX, one.n])
    return connection


def _row(one: Profile) -> list[Any]:
    record: list[Any] = [None, None, None]
    if not one.is_empty:
        record = [
            {"name": {"firstName": f"f{one.n}", "lastName": f"l{one.n}"}, "birthYear": 1950 + one.n},
            {"country": "NL", "city": f"c{one.n}"} if one.n % 2 else None,
            [{"name": "tea", "weight": one.n}],
        ]
    events = [
        {
            "_id": event_id,
            "timestamp": came_in - timedelta(hours=1),
            "ingestTimestamp": came_in,
            "device": {"type": "tv"},
        }
        for event_id, came_in in one.events
    ]
    return [one.n, f"x{one.n}", one.ingested, *record, events or None]
