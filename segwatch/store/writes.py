"""What is written, in SQL. Each function runs inside a transaction of the writer."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from segwatch.deliveries.model import Delivery, Stage
from segwatch.jobs.events import Event
from segwatch.jobs.model import JobKey, JobState
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.subject import SubjectState
from segwatch.store import alerts, orders, runs, silences, threads
from segwatch.store.base import Change, Conflict
from segwatch.store.rows import (
    SUBJECT_COLUMNS,
    body_of,
    job_of,
    memory_of,
    micros,
    micros_or_none,
    resubmission_of,
    subject_of,
)


def apply(db: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Write the changes in order. Raises Conflict, Spent."""
    for change in changes:
        if change.job is not None:
            _save_job(db, change.job, change.job_before, change.events)
        if change.resubmission is not None:
            _save_resubmission(db, change.resubmission, change.resubmission_before, change.reckoned, change.job)
        if change.order is not None:
            orders.save(db, change.order, change.order_before, change.spend, change.reckoned)
        if change.run is not None:
            runs.save(db, change.run, change.run_before)
        if change.silence is not None:
            silences.save(db, change.silence, change.silence_before)
        if change.subject is not None:
            _save_subject(db, change.subject, change.subject_before)
        if change.position is not None:
            _save_position(db, change.position)
        if change.alerting is not None:
            alerts.save(db, change.alerting)
        for event in change.events:
            _log(db, event)
        for delivery in change.deliveries:
            _add_delivery(db, delivery)


def settle(db: sqlite3.Connection, settled: Iterable[Delivery]) -> None:
    """Write what became of attempts; a row that is no longer pending stays as it is."""
    for delivery in settled:
        moved = db.execute(
            f"UPDATE delivery SET stage = ?, attempts = ?, due_us = ?, reason = ? WHERE {_THIS} AND stage = 'pending'",  # noqa: S608
            (delivery.stage.value, delivery.attempts, micros(delivery.due_at), delivery.reason, *_this(delivery)),
        )
        if moved.rowcount:
            _renew_head(db, delivery.channel, delivery.event.stream)
            threads.keep(db, delivery)


def promise(db: sqlite3.Connection, deliveries: Iterable[Delivery]) -> int:
    """Make promises again; return how many were added or became pending."""
    made = 0
    for delivery in deliveries:
        if _add_delivery(db, delivery):
            made += 1
            continue
        again = db.execute(
            "UPDATE delivery SET stage = 'pending', attempts = 0, reason = '', promised_us = ?, due_us = ?"  # noqa: S608
            f" WHERE {_THIS} AND stage <> 'pending'",
            (micros(delivery.promised_at), micros(delivery.due_at), *_this(delivery)),
        )
        if again.rowcount:
            made += 1
            _renew_head(db, delivery.channel, delivery.event.stream)
    return made


# which row keeps a promise: there is one for each event and channel, whatever its id, which the first promise chose
_THIS = "position = (SELECT position FROM event WHERE stream = ? AND sequence = ?) AND channel = ?"


def _this(delivery: Delivery) -> tuple[str, int, str]:
    return delivery.event.stream, delivery.event.sequence, delivery.channel


def beat(db: sqlite3.Connection) -> None:
    """Change a row that nobody reads."""
    db.execute("UPDATE meta SET value = value + 1 WHERE name = 'heartbeat'")


def believe(db: sqlite3.Connection, now: datetime) -> None:
    """Keep the time that is believed."""
    db.execute(
        "INSERT INTO meta (name, value) VALUES ('believed_us', ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (micros(now),),
    )


def _save_job(db: sqlite3.Connection, job: JobState, before: JobState | None, events: Sequence[Event]) -> None:
    key = job.key
    changed_us = max([micros(job.since), *(micros(event.at) for event in events if event.stream == key.stream)])
    row: dict[str, Any] = {
        "sandbox": key.sandbox,
        "kind": key.kind,
        "id": key.id,
        "stream": key.stream,
        "status": job.status.value,
        "active": job.is_active,
        "root": job.root or key.id,
        "sequence": job.sequence,
        "changed_us": changed_us,
        "on_demand_us": micros(job.born_at) if _is_on_demand(job) else None,
        "body": body_of(job),
    }
    if before is None:
        added = db.execute(
            "INSERT INTO job (sandbox, kind, id, stream, status, active, root, sequence, changed_us, on_demand_us,"
            " body) VALUES (:sandbox, :kind, :id, :stream, :status, :active, :root, :sequence, :changed_us,"
            " :on_demand_us, :body)"
            " ON CONFLICT DO NOTHING",
            row,
        )
        if not added.rowcount:
            raise Conflict(f"job {key} is known by now")
        return
    if before.key != key:
        raise ValueError(f"job {key} cannot follow from {before.key}")
    found = db.execute("SELECT body FROM job WHERE sandbox = :sandbox AND kind = :kind AND id = :id", row).fetchone()
    if found is None:
        raise Conflict(f"job {key} is no longer in the store")
    stored = job_of(found[0])
    if _decided(stored) != _decided(before) or stored.asked_at > before.asked_at:
        raise Conflict(f"job {key} has moved on: sequence {stored.sequence}, not {before.sequence}, or a later look")
    db.execute(
        "UPDATE job SET status = :status, active = :active, root = :root, sequence = :sequence,"
        " changed_us = max(changed_us, :changed_us), on_demand_us = :on_demand_us, body = :body"
        " WHERE sandbox = :sandbox AND kind = :kind AND id = :id",
        row,
    )


def _is_on_demand(job: JobState) -> bool:
    """Return whether it counts as an evaluation that somebody asked for, as far as its record tells."""
    return job.key.kind == "segment_job" and job.facts.source != "scheduler" and not job.facts.schedule_id


def _decided(job: JobState) -> tuple[object, ...]:
    """Return what only a decision changes.

    The rest are facts that a look refreshes: a poller may hold newer ones than the disk, because a look without news
    need not be saved. Sequence alone would let a stale writer undo a change that has no event, as of `root`; the time
    of the last look alone would miss a decision that came without a look.
    """
    return (
        job.sequence, job.status, job.word, job.since, job.root, job.attempt, job.overdue_at,
        job.cancel_asked_at, job.cancel_at,
    )  # fmt: skip


def _save_resubmission(
    db: sqlite3.Connection, new: Resubmission, before: Resubmission | None, reckoned: frozenset[str],
    failed: JobState | None,
) -> None:  # fmt: skip
    """Write the next step; the row must still be exactly `before`, or two writers could both go on to the POST."""
    key = new.failed
    found = db.execute(
        "SELECT body FROM resubmission WHERE sandbox = ? AND kind = ? AND failed_id = ?",
        (key.sandbox, key.kind, key.id),
    ).fetchone()
    if (None if found is None else resubmission_of(found[0])) != before:
        raise Conflict(f"the resubmission of {key} has moved on")
    if new.step is Step.POSTING and (before is None or before.step is not Step.POSTING):
        dataset = failed.facts.dataset if failed else ""
        orders.must_be_alone(
            db, key.sandbox, key.kind, new.fingerprints, own=str(key), reckoned=reckoned, dataset=dataset
        )
    if new.step is Step.SUBMITTED and (other := orders.placed(db, key.sandbox, key.kind, new.new_id)):
        raise Conflict(f"job {new.new_id} was made by order {other}")
    if new.new_id:
        taken = db.execute(
            "SELECT kind, failed_id FROM resubmission WHERE sandbox = ? AND new_id = ? AND new_id <> ''",
            (key.sandbox, new.new_id),
        ).fetchone()
        if taken is not None and taken != (key.kind, key.id):
            raise Conflict(
                f"job {new.new_id} already answers {JobKey(sandbox=key.sandbox, kind=taken[0], id=taken[1])}"
            )
    db.execute(
        "INSERT INTO resubmission (sandbox, kind, failed_id, root, step, open, since_us, new_id, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sandbox, kind, failed_id) DO UPDATE SET root = excluded.root,"
        " step = excluded.step, open = excluded.open, since_us = excluded.since_us, new_id = excluded.new_id,"
        " body = excluded.body",
        (
            key.sandbox,
            key.kind,
            key.id,
            new.root,
            new.step.value,
            new.step.is_open,
            micros(new.since),
            new.new_id,
            body_of(new),
        ),
    )


def _save_subject(db: sqlite3.Connection, new: SubjectState, before: SubjectState | None) -> None:
    found = db.execute(f"SELECT {SUBJECT_COLUMNS} FROM subject WHERE stream = ?", (new.stream,)).fetchone()  # noqa: S608
    if (subject_of(found) if found else None) != before:
        raise Conflict(f"{new.stream} has moved on")
    db.execute(
        "INSERT INTO subject (stream, condition, since_us, sequence, memory) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (stream) DO UPDATE SET condition = excluded.condition, since_us = excluded.since_us,"
        " sequence = excluded.sequence, memory = excluded.memory",
        (new.stream, new.condition, micros(new.since), new.sequence, memory_of(new)),
    )


def _save_position(db: sqlite3.Connection, at: Position) -> None:
    db.execute(
        "INSERT INTO stream_position (sandbox, kind, began_us, watermark_us, frontier_us, swept_us)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sandbox, kind) DO UPDATE SET began_us = excluded.began_us,"
        " watermark_us = excluded.watermark_us, frontier_us = excluded.frontier_us, swept_us = excluded.swept_us",
        (at.sandbox, at.kind, *map(micros_or_none, (at.began_at, at.watermark, at.frontier, at.swept_at))),
    )


def _log(db: sqlite3.Connection, event: Event) -> None:
    last = db.execute("SELECT coalesce(max(sequence), 0) FROM event WHERE stream = ?", (event.stream,)).fetchone()[0]
    if event.sequence <= last:
        raise Conflict(f"event {event.sequence} of {event.stream} is already in the log")
    if event.sequence > last + 1:
        raise ValueError(f"event {event.sequence} of {event.stream} would leave a gap behind {last}")
    db.execute(
        "INSERT INTO event (id, stream, sequence, type, sandbox, job_id, at_us, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.id,
            event.stream,
            event.sequence,
            event.type.value,
            event.sandbox,
            event.job_id,
            micros(event.at),
            body_of(event),
        ),
    )


def _add_delivery(db: sqlite3.Connection, delivery: Delivery) -> bool:
    """Add a promise unless it was made before; return whether it is new."""
    event = delivery.event
    logged = db.execute(
        "SELECT position FROM event WHERE stream = ? AND sequence = ?", (event.stream, event.sequence)
    ).fetchone()
    if logged is None:
        raise ValueError(f"event {event.sequence} of {event.stream} is not in the log, so nobody can be told of it")
    known = (logged[0], delivery.channel)
    if db.execute("SELECT 1 FROM delivery WHERE position = ? AND channel = ?", known).fetchone():
        return False
    db.execute("INSERT INTO channel (name) VALUES (?) ON CONFLICT DO NOTHING", (delivery.channel,))
    origin = db.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()[0]
    db.execute(
        "INSERT INTO delivery (id, origin, channel, position, stream, stage, attempts, promised_us, due_us, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            replace(delivery, origin=origin).id,
            origin,
            delivery.channel,
            logged[0],
            event.stream,
            delivery.stage.value,
            delivery.attempts,
            micros(delivery.promised_at),
            micros(delivery.due_at),
            delivery.reason,
        ),
    )
    if delivery.stage is Stage.PENDING:
        _renew_head(db, delivery.channel, event.stream)
    return True


def _renew_head(db: sqlite3.Connection, channel: str, stream: str) -> None:
    """Set which delivery of this stream may be tried: the first that is pending, if any."""
    db.execute("DELETE FROM outbox_head WHERE channel = ? AND stream = ?", (channel, stream))
    db.execute(
        "INSERT INTO outbox_head (channel, stream, position, due_us, delivery)"
        " SELECT channel, stream, position, due_us, id FROM delivery"
        " WHERE channel = ? AND stream = ? AND stage = 'pending' ORDER BY position LIMIT 1",
        (channel, stream),
    )
