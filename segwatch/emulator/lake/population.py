"""Profiles made up by a seed: the same seed, size and time give the same rows."""

from datetime import datetime

from duckdb import DuckDBPyConnection


def create(cursor: DuckDBPyConnection, *, seed: int, size: int, now: datetime) -> None:
    """Create `profile`, and fill `identity`."""
    cursor.execute(
        """CREATE TABLE profile AS SELECT
             range AS _n, printf('BV%d%06d', $seed, range) AS _xid, $now AS _ingested,
             MAP {'email': [{'id': if(range = 0, 'sam@example.org', printf('p%d@example.org', range)),
                             'primary': true}]} AS identityMap,
             {'country': if(range % 5 = 0, 'NL', 'DE')} AS homeAddress
           FROM range($size)""",
        {"seed": seed, "size": size, "now": now},
    )
    cursor.execute(
        """INSERT INTO identity
           SELECT _n, entry.key, unnest(entry.value).id FROM (SELECT _n, unnest(map_entries(identityMap)) AS entry
           FROM profile)"""
    )
