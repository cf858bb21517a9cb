"""Names of segments and datasets, in SQL."""

import sqlite3
from collections.abc import Iterable

from segwatch.deliveries.knowledge import NameKey, Naming, Sort
from segwatch.store.rows import micros, moment


def names(db: sqlite3.Connection) -> list[Naming]:
    """Return all that is known, without sorts that only a newer version knows."""
    rows = db.execute("SELECT sandbox, sort, id, name, at_us FROM name ORDER BY sandbox, sort, id")
    return [
        Naming(key=NameKey(sandbox=of, sort=Sort(sort), id=id_), name=name, at=moment(at_us))
        for of, sort, id_, name, at_us in rows
        if sort in set(Sort)
    ]


def keep(db: sqlite3.Connection, found: Iterable[Naming]) -> None:
    """Write what was learned over what was known."""
    db.executemany(
        "INSERT INTO name (sandbox, sort, id, name, at_us) VALUES (?, ?, ?, ?, ?) ON CONFLICT (sandbox, sort, id)"
        " DO UPDATE SET name = excluded.name, at_us = excluded.at_us",
        [(one.key.sandbox, one.key.sort.value, one.key.id, one.name, micros(one.at)) for one in found],
    )


def forget(db: sqlite3.Connection, before_us: int) -> None:
    """Delete what was not asked for again for so long: nothing that is watched has it."""
    db.execute("DELETE FROM name WHERE at_us < ?", (before_us,))
