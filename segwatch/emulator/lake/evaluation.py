"""What a segment job does: all its segments over all profiles, in one scan and one transaction."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

import duckdb
from duckdb import DuckDBPyConnection

from segwatch.emulator.lake import external
from segwatch.emulator.lake.conditions import conditions
from segwatch.emulator.lake.model import Counters, Evaluation, SegmentCount
from segwatch.emulator.pql import ROW

NAMESPACE = "ups"

# Profiles that the sandbox lost stay in it as nobody's members, so that they leave what they were in
_FLAG = f"""
CREATE OR REPLACE TEMP TABLE flagged AS
SELECT {ROW}._n, {ROW}._n IN (SELECT _n FROM lost WHERE sandbox = $sandbox) AS is_lost{{flags}}
FROM profile AS {ROW}
WHERE $now IS NOT NULL
"""

_THESE = "sandbox = $sandbox AND namespace = $namespace AND list_contains($segments, segment_id)"
_REMEMBER = f"""
CREATE OR REPLACE TEMP TABLE former AS
SELECT segment_id, _n, status <> 'exited' AS was_in, since FROM membership WHERE {_THESE}
"""
_FORGET = f"DELETE FROM membership WHERE {_THESE}"

# `since` is when somebody entered or left, until that changes; who left is kept for 30 days. AEP contract 9
_SETTLE = """
INSERT INTO membership
SELECT $sandbox, $namespace, $segment_id, _n,
  CASE WHEN is_in IS NULL THEN 'exited' WHEN was_in THEN 'existing' ELSE 'realized' END,
  CASE WHEN coalesce(is_in, false) = coalesce(was_in, false) THEN since ELSE $now END
FROM (SELECT _n, true AS is_in FROM flagged WHERE {flag} AND NOT is_lost)
FULL JOIN (SELECT _n, was_in, since FROM former WHERE segment_id = $segment_id) USING (_n)
WHERE is_in OR was_in OR since >= $now - INTERVAL 30 DAY
"""
_BY_STATUS = f"SELECT segment_id, status, count(*) FROM membership WHERE {_THESE} GROUP BY ALL"

_FORGET_DELETED = """
DELETE FROM membership
WHERE sandbox = $sandbox AND namespace = $namespace AND NOT list_contains($known, segment_id)
"""

_BY_NAMESPACE = """
SELECT namespace{counts}
FROM (SELECT DISTINCT _n, namespace FROM identity) JOIN (FROM flagged WHERE NOT is_lost) USING (_n)
GROUP BY namespace ORDER BY namespace
"""


def evaluate(cursor: DuckDBPyConnection, order: Evaluation, *, settles: Callable[[], None] = lambda: None) -> Counters:
    """Return what the run counted, after its result is in `membership`.

    A run that was applied before is not applied again: its counters are returned, and nothing changes.
    settles: called right before the result takes effect; what it raises prevents that.
    Raises pql.PqlError for an expression that cannot be evaluated; then nothing changes either.
    """
    if (known := counters(cursor, order.run_id)) is not None:
        return known
    external.supply(cursor, order.sandbox, now=order.now)

    def note(counted: Counters) -> None:
        cursor.execute("INSERT INTO run VALUES (?, ?, ?)", [order.run_id, order.sandbox, json.dumps(asdict(counted))])
        settles()

    return _applied(cursor, order, home=order.sandbox, note=note)


def evaluate_aside(cursor: DuckDBPyConnection, order: Evaluation, *, aside: str) -> Counters:
    """Return what the run counted, after its result is in `membership` under another name than the sandbox's.

    What the runs before it left there is what it goes on from; nothing of the sandbox's own changes.
    Raises pql.PqlError for an expression that cannot be evaluated.
    """
    return _applied(cursor, order, home=aside, note=lambda _: None)


def _applied(cursor: DuckDBPyConnection, order: Evaluation, *, home: str, note: Callable[[Counters], None]) -> Counters:
    """Return what was counted, after one transaction. note: called within it, at its end."""
    wanted = conditions(cursor, order.definitions)
    cursor.begin()
    try:
        counted = _apply(cursor, order, list(wanted.values()), home)
        note(counted)
    except BaseException:
        cursor.rollback()
        raise
    cursor.commit()
    with suppress(duckdb.Error):  # the run is applied, and this only saves memory
        cursor.execute("CHECKPOINT")
    return counted


def counters(cursor: DuckDBPyConnection, run_id: str) -> Counters | None:
    """Return what a run counted; None if it was not applied."""
    row = cursor.execute("SELECT counters FROM run WHERE run_id = ?", [run_id]).fetchone()
    if row is None:
        return None
    stored = json.loads(row[0])
    return Counters(
        profiles=stored["profiles"],
        segments={one: SegmentCount(**count) for one, count in stored["segments"].items()},
    )


def _apply(cursor: DuckDBPyConnection, order: Evaluation, wanted: list[str], home: str) -> Counters:
    flags = "".join(f",\n  ({condition}) AS s{i}" for i, condition in enumerate(wanted))
    cursor.execute(_FLAG.format(flags=flags), {"sandbox": order.sandbox, "now": order.now})
    by_status = _settle(cursor, order, home)
    _forget_deleted(cursor, order, home)
    counts = "".join(f", count(*) FILTER (s{i})" for i in range(len(wanted)))
    by_namespace = cursor.execute(_BY_NAMESPACE.format(counts=counts)).fetchall()
    (profiles,) = cursor.execute("SELECT count(*) FROM flagged WHERE NOT is_lost").fetchone() or (0,)
    for table in ("flagged", "former"):
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
    return Counters(
        profiles=profiles,
        segments={
            segment_id: SegmentCount(
                realized=by_status.get((segment_id, "realized"), 0),
                existing=by_status.get((segment_id, "existing"), 0),
                exited=by_status.get((segment_id, "exited"), 0),
                by_namespace={row[0]: row[i + 1] for row in by_namespace if row[i + 1]},
            )
            for i, segment_id in enumerate(order.definitions)
        },
    )


def _forget_deleted(cursor: DuckDBPyConnection, order: Evaluation, home: str) -> None:
    """Take everybody out of the segments whose definitions were deleted since the last run."""
    if order.known is not None:
        known = sorted(order.known | order.definitions.keys())
        cursor.execute(_FORGET_DELETED, {"sandbox": home, "namespace": NAMESPACE, "known": known})


def _settle(cursor: DuckDBPyConnection, order: Evaluation, home: str) -> dict[tuple[str, str], int]:
    """Bring `membership` up to date, and return how many there are of each segment and status."""
    these = {"sandbox": home, "namespace": NAMESPACE, "segments": list(order.definitions)}
    for query in (_REMEMBER, _FORGET):
        cursor.execute(query, these)
    for i, segment_id in enumerate(order.definitions):
        given = {"sandbox": home, "namespace": NAMESPACE, "segment_id": segment_id, "now": order.now}
        cursor.execute(_SETTLE.format(flag=f"s{i}"), given)
    rows = cursor.execute(_BY_STATUS, these).fetchall()
    return {(segment_id, status): count for segment_id, status, count in rows}
