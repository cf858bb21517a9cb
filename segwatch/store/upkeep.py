"""Keeping the file in order: forgetting what is old, checking what is there, copying it."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from segwatch.store.base import StoreCorrupt, StoreError
from segwatch.store.rows import event_of, job_of, order_of, resubmission_of, run_of

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


def forget_orders(db: sqlite3.Connection, before_us: int) -> bool:
    """Delete some orders that have ended; return whether there may be more."""
    gone = db.execute(
        "DELETE FROM job_order WHERE id IN (SELECT id FROM job_order WHERE step NOT IN ('intended', 'posting')"
        " AND since_us < CASE kind WHEN 'segment_job' THEN ? ELSE ? END LIMIT ?)",
        (before_us - _YEAR_US, before_us, FORGET_AT_ONCE),
    )
    return gone.rowcount == FORGET_AT_ONCE


def streams_beside_jobs(db: sqlite3.Connection) -> list[str]:
    """Return the streams that are no jobs and no runs, which go with all of their events."""
    found = db.execute(
        "SELECT DISTINCT stream FROM event WHERE job_id = '' AND stream NOT IN (SELECT stream FROM pipeline_run)"
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


_INVARIANTS = (
    (
        "SELECT stream, count(*), min(sequence), max(sequence) FROM event GROUP BY stream"
        " HAVING max(sequence) - min(sequence) + 1 <> count(*)",
        "events of {0}: {1} rows between sequence {2} and {3}, so some are missing",
    ),
    (
        "SELECT job.stream, job.sequence, coalesce(max(e.sequence), 0), coalesce(min(e.sequence), 1) FROM job"
        " LEFT JOIN event e USING (stream) GROUP BY job.number HAVING max(e.sequence) IS NOT nullif(job.sequence, 0)"
        " OR min(e.sequence) > 1",
        "job {0} counts {1} events, the log holds {3} to {2}",
    ),
    (
        "SELECT subject.stream, subject.sequence, max(e.sequence) FROM subject JOIN event e USING (stream)"
        " GROUP BY subject.stream HAVING max(e.sequence) <> subject.sequence",
        "{0} counts {1} events, the log ends at {2}",
    ),
    (
        "SELECT run.stream, run.sequence, coalesce(max(e.sequence), 0), coalesce(min(e.sequence), 1)"
        " FROM pipeline_run run LEFT JOIN event e USING (stream) GROUP BY run.id"
        " HAVING max(e.sequence) IS NOT nullif(run.sequence, 0) OR min(e.sequence) > 1",
        "run {0} counts {1} events, the log holds {3} to {2}",
    ),
    (
        "SELECT d.id, d.position FROM delivery d LEFT JOIN event e USING (position) WHERE e.position IS NULL",
        "delivery {0} tells of event {1}, which is not in the log",
    ),
    (
        "SELECT d.channel, d.stream, min(d.position), h.position FROM delivery d LEFT JOIN outbox_head h"
        " USING (channel, stream) WHERE d.stage = 'pending' GROUP BY d.channel, d.stream"
        " HAVING min(d.position) IS NOT h.position",
        "outbox of {0}: {1} should go on with event {2}, but is set to {3}",
    ),
    (
        "SELECT h.channel, h.stream, h.position FROM outbox_head h JOIN delivery d ON d.id = h.delivery"
        " WHERE d.stage <> 'pending' OR d.due_us <> h.due_us",
        "outbox of {0}: {1} would send event {2}, which is settled or due at another time",
    ),
    (
        "SELECT r.sandbox, r.kind, r.failed_id, r.new_id FROM resubmission r LEFT JOIN job"
        " ON job.sandbox = r.sandbox AND job.kind = r.kind AND job.id = r.new_id"
        " WHERE r.new_id <> '' AND job.id IS NULL",
        "resubmission of {0}/{1}/{2} was answered by job {3}, which is not in the store",
    ),
)


_RECORDS: tuple[tuple[str, str, Callable[[str], object]], ...] = (
    ("job", "rowid", job_of),
    ("event", "rowid", event_of),
    ("resubmission", "rowid", resubmission_of),
    ("job_order", "id", order_of),
    ("pipeline_run", "id", run_of),
)


def faults(db: sqlite3.Connection) -> Iterator[str]:
    """Yield what is wrong with the file, a line each."""
    for (said,) in db.execute("PRAGMA integrity_check"):
        if said != "ok":
            yield f"SQLite: {said}"
    for table, number, *_ in db.execute("PRAGMA foreign_key_check"):
        yield f"{table}, row {number}: what it refers to is missing"
    for query, line in _INVARIANTS:
        for row in db.execute(query):
            yield line.format(*row)
    for table, key, read in _RECORDS:
        for row, body in db.execute(f"SELECT {key}, body FROM {table}"):  # noqa: S608
            try:
                read(body)
            except StoreCorrupt as exc:
                yield f"{table}, row {row}: {exc}"


def backup(db: sqlite3.Connection, target: Path) -> int:
    """Copy the database, as it is at one moment, to a new file; return its size in bytes.

    `target` appears whole or not at all, also when we are killed: until the copy is whole it has another name, and
    what a killed backup left under that name is written over. Raises StoreError when `target` exists.
    """
    if os.path.lexists(target):
        raise _taken(target)
    part = target.with_name(target.name + ".part")
    fd = _claim(part, target)
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            db.backup(copy)  # in one step: a reader in WAL holds up no writer
            # once restored it counts events anew from here, and they are not those that the live store goes on to tell
            copy.execute("UPDATE meta SET value = random() WHERE name = 'identity'")
            copy.execute("PRAGMA journal_mode = DELETE")  # one file that can be moved about
        os.fsync(fd)
        _name(part, target)
        _sync(target.parent)
    finally:
        for leftover in (part, _journal(part)):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)
        os.close(fd)  # the claim ends last: nobody begins on a file that we are about to remove
    return target.stat().st_size


def _claim(part: Path, target: Path) -> int:
    """Return an open, empty `part` that no other backup writes. The claim ends with the process, the file may stay."""
    while True:
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.lexists(part) and os.path.samestat(os.fstat(fd), part.stat()):
                os.ftruncate(fd, 0)
                _journal(part).unlink(missing_ok=True)
                return fd
        except BlockingIOError as exc:
            os.close(fd)
            raise StoreError(f"Another backup to {target} is under way. Wait for it, or name another file.") from exc
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # whoever held it has removed it meanwhile


def _name(part: Path, target: Path) -> None:
    """Give the whole copy its name, unless somebody took that meanwhile: a link never replaces anything."""
    try:
        os.link(part, target)
    except FileExistsError as exc:
        raise _taken(target) from exc
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise _taken(target) from None
        part.rename(target)


def _journal(part: Path) -> Path:
    return part.with_name(part.name + "-journal")


def _taken(target: Path) -> StoreError:
    return StoreError(f"{target} exists. Name a new file, or move that one away.")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
