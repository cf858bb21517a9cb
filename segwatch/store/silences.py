"""Silences in SQL."""

import sqlite3

from segwatch.alerts.silences import Silence
from segwatch.store.base import Conflict
from segwatch.store.rows import body_of, micros, micros_or_none, silence_of


def silence(db: sqlite3.Connection, id_: str) -> Silence | None:
    row = db.execute("SELECT body FROM silence WHERE id = ?", (id_,)).fetchone()
    return None if row is None else silence_of(row[0])


def silences(db: sqlite3.Connection, untold: bool) -> list[Silence]:
    where = " WHERE told = 0" if untold else ""
    rows = db.execute(f"SELECT body FROM silence{where} ORDER BY created_us, id")  # noqa: S608
    return [silence_of(body) for (body,) in rows]


def save(db: sqlite3.Connection, new: Silence, before: Silence | None) -> None:
    """Write a silence; the row must still be exactly `before`."""
    if silence(db, new.id) != before:
        raise Conflict(f"silence {new.id} has been changed")
    db.execute(
        "INSERT INTO silence (id, stream, created_us, told, told_us, body) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET told = excluded.told, told_us = excluded.told_us, body = excluded.body",
        (
            new.id,
            new.stream,
            micros(new.created_at),
            new.told_at is not None,
            micros_or_none(new.told_at),
            body_of(new),
        ),
    )
