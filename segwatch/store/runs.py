"""Runs of pipelines in SQL."""

import sqlite3
from datetime import datetime

from segwatch.pipelines.model import Run
from segwatch.store.base import Conflict
from segwatch.store.filters import RunFilter
from segwatch.store.reads import Where, many
from segwatch.store.rows import body_of, micros, moment, run_of


def run(db: sqlite3.Connection, id_: str) -> Run | None:
    row = db.execute("SELECT body FROM pipeline_run WHERE id = ?", (id_,)).fetchone()
    return None if row is None else run_of(row[0])


def runs(db: sqlite3.Connection, wanted: RunFilter, limit: int | None) -> list[Run]:
    where = Where()
    where.given("sandbox = ?", wanted.sandbox)
    where.given("pipeline = ?", wanted.pipeline)
    where.given("cause = ?", wanted.cause)
    if wanted.open_only:
        where.literally("open = 1")
    rows = db.execute(
        f"SELECT body FROM pipeline_run{where.sql} ORDER BY began_us DESC, id DESC LIMIT ?",  # noqa: S608
        (*where.values, many(limit)),
    )
    return [run_of(body) for (body,) in rows]


def followed_since(db: sqlite3.Connection, sandbox: str, pipeline: str, now: datetime) -> datetime:
    """Return since when the pipeline is followed; the first who asks begins it."""
    db.execute(
        "INSERT INTO pipeline (sandbox, name, since_us) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (sandbox, pipeline, micros(now)),
    )
    found = db.execute("SELECT since_us FROM pipeline WHERE sandbox = ? AND name = ?", (sandbox, pipeline)).fetchone()
    return moment(found[0])


def save(db: sqlite3.Connection, new: Run, before: Run | None) -> None:
    """Write where a run stands; the row must still be exactly `before`."""
    if run(db, new.id) != before:
        raise Conflict(f"run {new.id} of pipeline {new.pipeline} has moved on")
    same = db.execute(
        "SELECT id FROM pipeline_run WHERE sandbox = ? AND pipeline = ? AND cause = ? AND id <> ?",
        (new.sandbox, new.pipeline, new.cause, new.id),
    ).fetchone()
    if same is not None:
        raise Conflict(f"run {same[0]} of pipeline {new.pipeline} has the cause {new.cause}")
    db.execute(
        "INSERT INTO pipeline_run (id, sandbox, pipeline, cause, stream, state, step, open, sequence, version,"
        " began_us, changed_us, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " state = excluded.state, step = excluded.step, open = excluded.open, sequence = excluded.sequence,"
        " version = excluded.version, began_us = excluded.began_us, changed_us = excluded.changed_us,"
        " body = excluded.body",
        (
            new.id,
            new.sandbox,
            new.pipeline,
            new.cause,
            new.stream,
            new.state.value,
            new.step.value,
            new.state.is_open,
            new.sequence,
            new.version,
            micros(new.began_at),
            micros(new.ended_at or new.since),
            body_of(new),
        ),
    )
