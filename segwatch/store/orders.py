"""Orders in SQL, and how many evaluations they and others have used."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from segwatch.jobs import quota
from segwatch.jobs.order import Order, OrderStep
from segwatch.jobs.quota import Admitted, LastOne, NoneLeft, Spend, Used
from segwatch.jobs.resubmission import Step
from segwatch.store.base import Conflict, Spent
from segwatch.store.reads import Where
from segwatch.store.rows import body_of, micros, micros_or_none, order_of, resubmission_of

_EVALUATION = "segment_job"
_SPENDS = ", ".join(f"'{step.value}'" for step in OrderStep if step.spends)

# what an order began is counted by its order, also when the job is not seen yet
_USED = f"""
SELECT
    (SELECT count(*) FROM job_order WHERE sandbox = :sandbox AND kind = '{_EVALUATION}' AND posted_us >= :since
        AND step IN ({_SPENDS}) AND id <> :own)
    + (SELECT count(*) FROM job WHERE sandbox = :sandbox AND on_demand_us >= :since AND NOT EXISTS (
        SELECT 1 FROM job_order o WHERE o.sandbox = job.sandbox AND o.kind = job.kind AND o.job_id = job.id
        AND o.step = 'placed'))
"""  # noqa: S608 - words of ours


def order(db: sqlite3.Connection, id_: str) -> Order | None:
    row = db.execute("SELECT body FROM job_order WHERE id = ?", (id_,)).fetchone()
    return None if row is None else order_of(row[0])


def orders(
    db: sqlite3.Connection, sandbox: str, kind: str, steps: Sequence[OrderStep], owner: str, fingerprint: str,
    since: datetime | None,
) -> list[Order]:  # fmt: skip
    where = Where()
    where.given("sandbox = ?", sandbox)
    where.given("kind = ?", kind)
    where.among("step", [step.value for step in steps])
    where.given("owner = ?", owner)
    where.given("fingerprint = ?", fingerprint)
    where.given("since_us >= ?", micros_or_none(since))
    rows = db.execute(f"SELECT body FROM job_order{where.sql} ORDER BY since_us, id", where.values)  # noqa: S608
    return [order_of(body) for (body,) in rows]


def used(db: sqlite3.Connection, sandbox: str, day: datetime, year: datetime, *, own: str = "") -> Used:
    """Return what was used. own: the id of an order that is not counted."""

    def since(at: datetime) -> int:
        count: int = db.execute(_USED, {"sandbox": sandbox, "since": micros(at), "own": own}).fetchone()[0]
        return count

    return Used(today=since(day), this_year=since(year))


def save(db: sqlite3.Connection, new: Order, before: Order | None, spend: Spend | None) -> None:
    """Write the next step; the row must still be exactly `before`, or two processes could both go on to the POST."""
    if order(db, new.id) != before:
        raise Conflict(f"order {new.id} has moved on")
    if new.step is OrderStep.POSTING:
        _alone(db, new)
    if new.step is OrderStep.PLACED:
        _answers_only(db, new)
    if spend is not None:
        _afford(db, new, spend)
    db.execute(
        "INSERT INTO job_order (id, sandbox, kind, owner, fingerprint, step, since_us, posted_us, job_id, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET step = excluded.step,"
        " since_us = excluded.since_us, posted_us = excluded.posted_us, job_id = excluded.job_id, body = excluded.body",
        (
            new.id,
            new.sandbox,
            new.kind,
            new.owner,
            new.fingerprint,
            new.step.value,
            micros(new.since),
            micros_or_none(new.posted_at),
            new.job_id,
            body_of(new),
        ),
    )


def _alone(db: sqlite3.Connection, new: Order) -> None:
    """Raise Conflict while the effect of an equal POST is not known, or when the look before this one missed it.

    The effects of two that are under way could not be told apart.
    """
    since_us = micros(new.looked_at or new.since)
    twin = db.execute(
        "SELECT id FROM job_order WHERE sandbox = ? AND kind = ? AND fingerprint = ? AND id <> ?"  # noqa: S608
        f" AND (step = 'posting' OR (posted_us >= ? AND step IN ({_SPENDS})))",
        (new.sandbox, new.kind, new.fingerprint, new.id, since_us),
    ).fetchone()
    if twin is not None:
        raise Conflict(f"the equal order {twin[0]} is under way, or was posted since the last look")
    rows = db.execute(
        "SELECT body FROM resubmission WHERE sandbox = ? AND kind = ? AND (step = 'posting' OR since_us >= ?)",
        (new.sandbox, new.kind, since_us),
    )
    for again in map(resubmission_of, (body for (body,) in rows)):
        posted = again.step is Step.POSTING or (again.posted_at and micros(again.posted_at) >= since_us)
        if posted and again.fingerprint == new.fingerprint:
            raise Conflict(f"an equal job is being submitted again for {again.failed}")


def _answers_only(db: sqlite3.Connection, new: Order) -> None:
    taken = db.execute(
        "SELECT id FROM job_order WHERE sandbox = ? AND kind = ? AND job_id = ? AND step = 'placed' AND id <> ?",
        (new.sandbox, new.kind, new.job_id, new.id),
    ).fetchone()
    if taken is not None:
        raise Conflict(f"job {new.job_id} already answers order {taken[0]}")


def _afford(db: sqlite3.Connection, new: Order, spend: Spend) -> None:
    count = used(db, new.sandbox, spend.day, spend.year, own=new.id)
    match quota.admit(count, spend.allowance, force=spend.force):
        case Admitted():
            return
        case LastOne():
            raise Spent(f"{new.sandbox}: only one evaluation is left", used=count)
        case NoneLeft():
            raise Spent(f"{new.sandbox}: no evaluation is left", used=count)
