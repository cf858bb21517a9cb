"""What is asked, in SQL."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from segwatch.deliveries.model import Delivery, Stage
from segwatch.jobs.model import JobKey, JobState
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.subject import SubjectState
from segwatch.store.base import LoggedEvent, OutboxDepth
from segwatch.store.ends import with_ends
from segwatch.store.filters import EventFilter, JobFilter
from segwatch.store.rows import (
    DELIVERY_COLUMNS,
    SUBJECT_COLUMNS,
    delivery_of,
    event_of,
    job_of,
    micros,
    micros_or_none,
    moment_or_none,
    resubmission_of,
    subject_of,
)
from segwatch.store.threads import with_thread

# One walk along outbox_head_due; CROSS JOIN keeps the planner from starting at the big tables.
DUE = f"""
SELECT {DELIVERY_COLUMNS} FROM outbox_head h
CROSS JOIN delivery d ON d.id = h.delivery CROSS JOIN event e ON e.position = d.position
WHERE h.channel = ? AND h.due_us <= ? ORDER BY h.due_us, h.position LIMIT ?
"""  # noqa: S608 - column names of ours
FAR = DUE.replace("h.due_us <= ?", "h.due_us > ?")
NEXT_DUE = "SELECT min(due_us) FROM outbox_head h WHERE h.channel = ?"
OF_STREAM = ("h.channel = ?", "h.channel = ? AND h.stream = ?")
DEPTH = """
SELECT name,
    (SELECT count(*) FROM delivery WHERE channel = name AND stage = 'pending'),
    (SELECT count(*) FROM delivery WHERE channel = name AND stage = 'dead'),
    (SELECT min(promised_us) FROM delivery WHERE channel = name AND stage = 'pending')
FROM channel ORDER BY name
"""


class Where:
    """Conditions and their parameters. The SQL is always a constant of this module; values go in as parameters."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.values: list[object] = []

    def given(self, condition: str, value: object) -> None:
        """Demand the condition if there is a value."""
        if value not in ("", None):
            self._conditions.append(condition)
            self.values.append(value)

    def among(self, column: str, values: Sequence[str]) -> None:
        """Demand one of the values, if there are any."""
        if values:
            self._conditions.append(f"{column} IN ({', '.join('?' * len(values))})")
            self.values.extend(values)

    def literally(self, condition: str) -> None:
        self._conditions.append(condition)

    @property
    def sql(self) -> str:
        return " WHERE " + " AND ".join(self._conditions) if self._conditions else ""


def many(limit: int | None) -> int:
    """Return what SQLite takes for this LIMIT."""
    return -1 if limit is None else limit  # SQLite reads a negative LIMIT as none


def job(db: sqlite3.Connection, key: JobKey) -> JobState | None:
    row = db.execute(
        "SELECT body FROM job WHERE sandbox = ? AND kind = ? AND id = ?", (key.sandbox, key.kind, key.id)
    ).fetchone()
    return None if row is None else job_of(row[0])


def jobs(db: sqlite3.Connection, wanted: JobFilter, limit: int | None) -> list[JobState]:
    where = Where()
    where.given("sandbox = ?", wanted.sandbox)
    where.given("kind = ?", wanted.kind)
    where.given("id = ?", wanted.id)
    where.among("status", [status.value for status in wanted.statuses])
    where.given("changed_us >= ?", micros_or_none(wanted.since))
    where.given("changed_us < ?", micros_or_none(wanted.until))
    rows = db.execute(
        f"SELECT body FROM job{where.sql} ORDER BY changed_us DESC, number DESC LIMIT ?",  # noqa: S608
        (*where.values, many(limit)),
    )
    return [job_of(body) for (body,) in rows]


def position(db: sqlite3.Connection, sandbox: str, kind: str) -> Position:
    row = db.execute(
        "SELECT began_us, watermark_us, frontier_us, swept_us, forgotten_us FROM stream_position"
        " WHERE sandbox = ? AND kind = ?",
        (sandbox, kind),
    ).fetchone()
    began_at, watermark, frontier, swept_at, forgotten_before = map(moment_or_none, row or (None,) * 5)
    return Position(
        sandbox=sandbox, kind=kind, began_at=began_at, watermark=watermark, frontier=frontier, swept_at=swept_at,
        forgotten_before=forgotten_before,
    )  # fmt: skip


def believed(db: sqlite3.Connection) -> datetime | None:
    row = db.execute(
        "SELECT coalesce((SELECT value FROM meta WHERE name = 'believed_us'), (SELECT max(at_us) FROM event))"
    ).fetchone()
    return moment_or_none(row[0])


def subject(db: sqlite3.Connection, stream: str) -> SubjectState | None:
    row = db.execute(f"SELECT {SUBJECT_COLUMNS} FROM subject WHERE stream = ?", (stream,)).fetchone()  # noqa: S608
    return None if row is None else subject_of(row)


def subjects(db: sqlite3.Connection, prefix: str) -> list[SubjectState]:
    # the range is that of the prefix, so that the primary key finds it; no stream has a rune behind the last one
    rows = db.execute(
        f"SELECT {SUBJECT_COLUMNS} FROM subject WHERE stream >= ? AND stream < ? ORDER BY stream",  # noqa: S608
        (prefix, prefix + "\U0010ffff"),
    )
    return [subject_of(row) for row in rows]


def events(db: sqlite3.Connection, wanted: EventFilter, after: int, limit: int | None) -> list[LoggedEvent]:
    where = Where()
    where.given("id = ?", wanted.id)
    if wanted.ids is not None:
        where.given("id IN (SELECT value FROM json_each(?))", json.dumps(list(wanted.ids)))
    where.given("stream = ?", wanted.stream)
    where.given("sandbox = ?", wanted.sandbox)
    where.given("job_id <> '' AND job_id = ?", wanted.job_id)  # the first half names the partial index
    where.among("type", wanted.types)
    where.given("at_us >= ?", micros_or_none(wanted.since))
    newest = after <= 0 and limit is not None
    if not newest:
        where.given("position > ?", after)
    rows = db.execute(
        f"SELECT position, body FROM event{where.sql}"  # noqa: S608
        f" ORDER BY position {'DESC' if newest else 'ASC'} LIMIT ?",
        (*where.values, many(limit)),
    ).fetchall()
    if newest:
        rows.reverse()
    return [LoggedEvent(position=number, event=event_of(body)) for number, body in rows]


def position_before(db: sqlite3.Connection, since: datetime) -> int:
    # `+` keeps the planner from walking the whole log from its beginning for the least one
    row = db.execute(
        "SELECT coalesce((SELECT min(+position) - 1 FROM event WHERE at_us >= ?),"
        " (SELECT max(position) FROM event), 0)",
        (micros(since),),
    ).fetchone()
    return int(row[0])


def log(db: sqlite3.Connection, types: Sequence[str], after: int, until: int, limit: int) -> list[LoggedEvent]:
    where = Where()
    where.among("type", types)
    where.given("position > ?", after)
    where.given("position <= ?", until)
    rows = db.execute(
        f"SELECT position, body FROM event{where.sql} ORDER BY position LIMIT ?",  # noqa: S608
        (*where.values, limit),
    )
    return [LoggedEvent(position=number, event=event_of(body)) for number, body in rows]


def resubmission(db: sqlite3.Connection, failed: JobKey) -> Resubmission | None:
    row = db.execute(
        "SELECT body FROM resubmission WHERE sandbox = ? AND kind = ? AND failed_id = ?",
        (failed.sandbox, failed.kind, failed.id),
    ).fetchone()
    return None if row is None else resubmission_of(row[0])


def resubmissions(
    db: sqlite3.Connection, sandbox: str, steps: Sequence[Step], since: datetime | None
) -> list[Resubmission]:
    where = Where()
    where.given("sandbox = ?", sandbox)
    where.among("step", [step.value for step in steps])
    where.given("since_us >= ?", micros_or_none(since))
    rows = db.execute(f"SELECT body FROM resubmission{where.sql} ORDER BY since_us, rowid", where.values)  # noqa: S608
    return [resubmission_of(body) for (body,) in rows]


def due_deliveries(
    db: sqlite3.Connection, channel: str, stream: str, now: datetime, limit: int, farthest: timedelta | None
) -> list[Delivery]:
    due, far = (one.replace(*OF_STREAM) if stream else one for one in (DUE, FAR))
    whose = (channel, stream) if stream else (channel,)
    rows = db.execute(due, (*whose, micros(now), limit)).fetchall()
    if farthest is not None and len(rows) < limit:
        rows += db.execute(far, (*whose, micros(now + farthest), limit - len(rows))).fetchall()
    return [with_ends(db, with_thread(db, delivery_of(row))) for row in rows]


def next_delivery_at(db: sqlite3.Connection, channel: str, stream: str) -> datetime | None:
    if stream:
        row = db.execute(NEXT_DUE.replace(*OF_STREAM), (channel, stream)).fetchone()
    else:
        row = db.execute(NEXT_DUE, (channel,)).fetchone()
    return moment_or_none(row[0])


def deliveries(
    db: sqlite3.Connection, id_: str, channel: str, stages: Sequence[Stage], event_id: str, limit: int | None
) -> list[Delivery]:
    where = Where()
    where.given("d.id = ?", id_)
    where.given("d.channel = ?", channel)
    where.given("e.id = ?", event_id)
    if stages:  # written out: only then do the partial indexes serve
        where.literally("(" + " OR ".join(f"d.stage = '{stage.value}'" for stage in stages) + ")")
    rows = db.execute(
        f"SELECT {DELIVERY_COLUMNS} FROM delivery d JOIN event e ON e.position = d.position{where.sql}"  # noqa: S608
        " ORDER BY d.position DESC, d.channel DESC LIMIT ?",
        (*where.values, many(limit)),
    )
    return [delivery_of(row) for row in rows]


def outbox_depth(db: sqlite3.Connection) -> list[OutboxDepth]:
    return [
        OutboxDepth(channel=name, pending=pending, dead=dead, oldest=moment_or_none(oldest))
        for name, pending, dead, oldest in db.execute(DEPTH)
    ]
