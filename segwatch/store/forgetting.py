"""Forgetting what is old: jobs by whole chains, then all that nobody needs any more."""

import sqlite3

_YEAR_US = 400 * 86_400 * 1_000_000  # a year's evaluations are counted from their orders
FORGET_AT_ONCE = 100  # chains in one transaction: some 10 ms of the writer's time


def note_forgetting(db: sqlite3.Connection, before_us: int) -> None:
    """Write down, before the first of them goes, that jobs from before then are no longer known."""
    db.execute("UPDATE stream_position SET forgotten_us = max(coalesce(forgotten_us, ?), ?)", (before_us, before_us))


def forget_jobs(
    db: sqlite3.Connection, before_us: int, after: tuple[int, int], at_most: int | None
) -> tuple[int, tuple[int, int] | None]:
    """Delete some old jobs; return how many, and behind which (changed_us, number) to go on; None at the end.

    at_most: no further chain once so many jobs are deleted.

    A chain of resubmissions goes as a whole or stays: half a chain could not be explained, and would dangle.
    """
    found = db.execute(
        "SELECT changed_us, number, sandbox, kind, root FROM job WHERE active = 0 AND (changed_us, number) > (?, ?)"
        " AND changed_us < ? ORDER BY changed_us, number LIMIT ?",
        (*after, before_us, FORGET_AT_ONCE),
    ).fetchall()
    deleted = 0
    for chain in dict.fromkeys(tuple(row[2:]) for row in found):
        if at_most is not None and deleted >= at_most:
            break
        if not _chain_is_needed(db, chain, before_us):
            deleted += _delete_chain(db, chain)
    return deleted, (found[-1][0], found[-1][1]) if len(found) == FORGET_AT_ONCE else None


def _chain_is_needed(db: sqlite3.Connection, chain: tuple[str, str, str], before_us: int) -> bool:
    of_chain = "sandbox = ? AND kind = ? AND root = ?"
    needed: int = db.execute(
        f"SELECT EXISTS (SELECT 1 FROM job WHERE {of_chain} AND (active = 1 OR changed_us >= ?))"  # noqa: S608
        f" OR EXISTS (SELECT 1 FROM resubmission WHERE {of_chain} AND open = 1)"
        f" OR EXISTS (SELECT 1 FROM job CROSS JOIN event USING (stream) CROSS JOIN delivery d USING (position)"
        f" WHERE job.sandbox = ? AND job.kind = ? AND job.root = ? AND d.stage <> 'delivered')",
        (*chain, before_us, *chain, *chain),
    ).fetchone()[0]
    return bool(needed)


def _delete_chain(db: sqlite3.Connection, chain: tuple[str, str, str]) -> int:
    jobs = db.execute(
        "SELECT number, stream, sandbox, kind, id FROM job WHERE sandbox = ? AND kind = ? AND root = ?", chain
    ).fetchall()
    for number, stream, *key in jobs:
        db.execute("DELETE FROM delivery WHERE position IN (SELECT position FROM event WHERE stream = ?)", (stream,))
        db.execute("DELETE FROM event WHERE stream = ?", (stream,))
        db.execute("DELETE FROM resubmission WHERE sandbox = ? AND kind = ? AND failed_id = ?", key)
        db.execute("DELETE FROM job WHERE number = ?", (number,))
    return len(jobs)


def forget_runs(db: sqlite3.Connection, before_us: int) -> bool:
    """Delete some ended runs of pipelines with their events; return whether there may be more.

    With a run goes the memory of which segment job began it, so no pipeline is begun any more by what ended before.
    """
    found = db.execute(
        "SELECT id, stream FROM pipeline_run WHERE open = 0 AND changed_us < ? AND NOT EXISTS (SELECT 1 FROM event e"
        " CROSS JOIN delivery d USING (position) WHERE e.stream = pipeline_run.stream AND d.stage <> 'delivered')"
        " ORDER BY changed_us LIMIT ?",
        (before_us, FORGET_AT_ONCE),
    ).fetchall()
    for id_, stream in found:
        db.execute("DELETE FROM delivery WHERE position IN (SELECT position FROM event WHERE stream = ?)", (stream,))
        db.execute("DELETE FROM event WHERE stream = ?", (stream,))
        db.execute("DELETE FROM pipeline_run WHERE id = ?", (id_,))
    if found:
        db.execute("UPDATE pipeline SET since_us = max(since_us, ?)", (before_us,))
    return len(found) == FORGET_AT_ONCE


def forget_silences(db: sqlite3.Connection, before_us: int) -> bool:
    """Delete some silences whose end was told, with that event; return whether there may be more."""
    found = db.execute(
        "SELECT id, stream FROM silence WHERE told_us < ? AND NOT EXISTS (SELECT 1 FROM event e"
        " CROSS JOIN delivery d USING (position) WHERE e.stream = silence.stream AND d.stage <> 'delivered')"
        " ORDER BY told_us LIMIT ?",
        (before_us, FORGET_AT_ONCE),
    ).fetchall()
    for id_, stream in found:
        db.execute("DELETE FROM delivery WHERE position IN (SELECT position FROM event WHERE stream = ?)", (stream,))
        db.execute("DELETE FROM event WHERE stream = ?", (stream,))
        db.execute("DELETE FROM silence WHERE id = ?", (id_,))
    return len(found) == FORGET_AT_ONCE


def forget_orders(db: sqlite3.Connection, before_us: int) -> bool:
    """Delete some orders that have ended; return whether there may be more."""
    gone = db.execute(
        "DELETE FROM job_order WHERE id IN (SELECT id FROM job_order WHERE step NOT IN ('intended', 'posting')"
        " AND since_us < CASE kind WHEN 'segment_job' THEN ? ELSE ? END LIMIT ?)",
        (before_us - _YEAR_US, before_us, FORGET_AT_ONCE),
    )
    return gone.rowcount == FORGET_AT_ONCE


def forget_alerts(db: sqlite3.Connection, before_us: int) -> bool:
    """Delete some alerts that are over and in no group; return whether there may be more."""
    gone = db.execute(
        "DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE open = 0 AND changed_us < ? AND NOT EXISTS"
        " (SELECT 1 FROM alert_group g, json_each(g.body, '$.members') member WHERE member.key = alert.id) LIMIT ?)",
        (before_us, FORGET_AT_ONCE),
    )
    return gone.rowcount == FORGET_AT_ONCE


def forget_subjects(db: sqlite3.Connection, before_us: int) -> bool:
    """Delete some subjects that never told anything and have not changed since; return whether there may be more."""
    gone = db.execute(
        "DELETE FROM subject WHERE stream IN (SELECT stream FROM subject WHERE sequence = 0 AND since_us < ? LIMIT ?)",
        (before_us, FORGET_AT_ONCE),
    )
    return gone.rowcount == FORGET_AT_ONCE


def forget_notices(db: sqlite3.Connection, before_us: int) -> bool:
    """Delete what was told of some groups that have nothing left to tell, and of the end of some watching.

    Return whether there may be more.
    """
    found = db.execute(
        "SELECT stream FROM event WHERE job_id = '' AND (stream GLOB 'alerts/*' OR stream GLOB 'watch/*')"
        " AND NOT EXISTS (SELECT 1 FROM alert_group WHERE alert_group.stream = event.stream) GROUP BY stream"
        " HAVING max(at_us) < ? AND NOT EXISTS (SELECT 1 FROM delivery d JOIN event e USING (position)"
        " WHERE e.stream = event.stream AND d.stage <> 'delivered') LIMIT ?",
        (before_us, FORGET_AT_ONCE),
    ).fetchall()
    for (stream,) in found:
        db.execute("DELETE FROM delivery WHERE position IN (SELECT position FROM event WHERE stream = ?)", (stream,))
        db.execute("DELETE FROM event WHERE stream = ?", (stream,))
    return len(found) == FORGET_AT_ONCE


def streams_beside_jobs(db: sqlite3.Connection) -> list[str]:
    """Return the streams that are no jobs; without those that go with all of their events."""
    found = db.execute(
        "SELECT DISTINCT stream FROM event WHERE job_id = ''"
        " AND stream NOT GLOB 'alerts/*' AND stream NOT GLOB 'watch/*'"
        " AND stream NOT IN (SELECT stream FROM pipeline_run) AND stream NOT IN (SELECT stream FROM silence)"
    )
    return [stream for (stream,) in found]


def forget_events(db: sqlite3.Connection, stream: str, before_us: int) -> bool:
    """Delete some old events of a stream that is no job; return whether there may be more.

    Only from its beginning, so that no gap opens, and never the newest: the next one is counted from it.
    """
    found = db.execute(
        "SELECT position, at_us < ? AND sequence < (SELECT max(sequence) FROM event WHERE stream = ?)"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.position = event.position AND d.stage <> 'delivered')"
        " FROM event WHERE stream = ? ORDER BY sequence LIMIT ?",
        (before_us, stream, stream, FORGET_AT_ONCE),
    ).fetchall()
    for position, old in found:
        if not old:
            return False
        db.execute("DELETE FROM delivery WHERE position = ?", (position,))
        db.execute("DELETE FROM event WHERE position = ?", (position,))
    return len(found) == FORGET_AT_ONCE
