"""Orders in SQL, and how many evaluations they and others have used."""

import sqlite3
from collections.abc import Collection, Sequence
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


def save(
    db: sqlite3.Connection, new: Order, before: Order | None, spend: Spend | None, reckoned: frozenset[str]
) -> None:
    """Write the next step; the row must still be exactly `before`, or two processes could both go on to the POST."""
    if order(db, new.id) != before:
        raise Conflict(f"order {new.id} has moved on")
    if new.step is OrderStep.POSTING and (before is None or before.step is not OrderStep.POSTING):
        must_be_alone(db, new.sandbox, new.kind, [new.fingerprint], own=new.id, reckoned=reckoned, dataset=new.dataset)
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


def must_be_alone(
    db: sqlite3.Connection, sandbox: str, kind: str, fingerprints: Collection[str], *, own: str,
    reckoned: frozenset[str], dataset: str,
) -> None:  # fmt: skip
    """Raise Conflict while the effect of an equal POST is not known, or when the look before this one missed it.

    The effects of two that are under way could not be told apart. own: the order's id, or the failed job's name.
    reckoned: the names of the POSTs that the look knew of. dataset: into which this one exports, "" where it is not
    known; whatever was posted for the same since the look may be equal in other words, which another look finds out.
    """
    wanted = {*fingerprints} - {""}
    told = " OR ".join(["instr(body, ?)"] * (len(wanted) + bool(dataset))) or "0"
    values = (sandbox, kind, *wanted, *filter(None, [dataset]))
    rows = db.execute(f"SELECT body FROM job_order WHERE sandbox = ? AND kind = ? AND ({told})", values).fetchall()  # noqa: S608
    for twin in map(order_of, (body for (body,) in rows)):
        if twin.id == own:
            continue
        equal, is_beside = twin.fingerprint in wanted, bool(dataset) and twin.dataset == dataset
        is_new = bool(twin.post) and twin.post not in reckoned
        if (equal and twin.step is OrderStep.POSTING) or ((equal or is_beside) and is_new):
            like = "equal order" if equal else "order for the same dataset,"
            raise Conflict(f"the {like} {twin.id} is under way, or was posted since the last look")
    # fetched whole: a statement that is not read to its end would keep its snapshot behind the rollback
    rows = db.execute(f"SELECT body FROM resubmission WHERE sandbox = ? AND kind = ? AND ({told})", values).fetchall()  # noqa: S608
    for again in map(resubmission_of, (body for (body,) in rows)):
        if str(again.failed) == own:
            continue
        equal, is_beside = bool(again.fingerprints & wanted), bool(dataset) and dataset in again.request
        is_new = bool(again.post) and again.post not in reckoned
        if (equal and again.step is Step.POSTING) or ((equal or is_beside) and is_new):
            like = "an equal job" if equal else "a job for the same dataset"
            raise Conflict(f"{like} is being submitted again for {again.failed}")


def placed(db: sqlite3.Connection, sandbox: str, kind: str, job_id: str) -> str:
    """Return the order whose POST brought the job about; "" when there is none."""
    found = db.execute(
        "SELECT id FROM job_order WHERE sandbox = ? AND kind = ? AND job_id = ? AND step = 'placed'",
        (sandbox, kind, job_id),
    ).fetchone()
    return found[0] if found else ""


def _answers_only(db: sqlite3.Connection, new: Order) -> None:
    other = placed(db, new.sandbox, new.kind, new.job_id)
    if other not in ("", new.id):
        raise Conflict(f"job {new.job_id} already answers order {other}")
    found = db.execute(
        "SELECT failed_id FROM resubmission WHERE sandbox = ? AND kind = ? AND new_id = ? AND step = 'submitted'",
        (new.sandbox, new.kind, new.job_id),
    ).fetchone()
    if found is not None:
        raise Conflict(f"job {new.job_id} was submitted for the failed {found[0]}")


def _afford(db: sqlite3.Connection, new: Order, spend: Spend) -> None:
    count = used(db, new.sandbox, spend.day, spend.year, own=new.id)
    match quota.admit(count, spend.allowance, force=spend.force):
        case Admitted():
            return
        case LastOne():
            raise Spent(f"{new.sandbox}: only one evaluation is left", used=count)
        case NoneLeft():
            raise Spent(f"{new.sandbox}: no evaluation is left", used=count)
