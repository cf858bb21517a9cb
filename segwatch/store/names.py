"""Names of segments and datasets, in SQL; the column `sort` says of which of both."""

import sqlite3
from collections.abc import Iterable

from segwatch.deliveries.names import NameKey, Naming, Resource
from segwatch.store.rows import micros, moment


def names(db: sqlite3.Connection) -> list[Naming]:
    """Return all that is known, without what only a newer version gives names to."""
    rows = db.execute("SELECT sandbox, sort, id, name, at_us FROM name ORDER BY sandbox, sort, id")
    return [
        Naming(key=NameKey(sandbox=of, resource=Resource(resource), id=id_), name=name, at=moment(at_us))
        for of, resource, id_, name, at_us in rows
        if resource in set(Resource)
    ]


def keep(db: sqlite3.Connection, found: Iterable[Naming]) -> None:
    """Write what was learned over what was known."""
    db.executemany(
        "INSERT INTO name (sandbox, sort, id, name, at_us) VALUES (?, ?, ?, ?, ?) ON CONFLICT (sandbox, sort, id)"
        " DO UPDATE SET name = excluded.name, at_us = excluded.at_us",
        [(one.key.sandbox, one.key.resource.value, one.key.id, one.name, micros(one.at)) for one in found],
    )


def forget(db: sqlite3.Connection, before_us: int) -> None:
    """Delete what was not asked for again for so long: nothing that is watched has it."""
    db.execute("DELETE FROM name WHERE at_us < ?", (before_us,))
