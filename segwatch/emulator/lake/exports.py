"""The batches that exports write: which profiles, what of them, in Parquet files that appear all at once."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from segwatch.emulator import pql
from segwatch.emulator.lake import batch_files
from segwatch.emulator.lake.fields import (
    Fields,
    UnknownField,
    item_of,
    literal,
    members_of,
    packed,
    quoted,
    select_list,
    tree,
)
from segwatch.emulator.lake.model import EventList, Extract, Part, SegmentFilter, WrittenBatch
from segwatch.emulator.lake.tables import EVENT_INGESTED, OWN_COLUMNS, reserved

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A part has so few rows that a seeded population fills several (a reader must page), and never more than fit into
# memory beside the maps that are built for them: a million profiles become 16 parts of 62,500.
_PART_ROWS_LEAST = 2_500
_PART_ROWS_MOST = 100_000
_PARTS_USUAL = 16

_IDENTITIES = "identities"  # what the older tutorials call the list of a profile's identities
_EVENTS = "xEvent"
_CARRIED = ("identityMap", "segmentMembership")  # every row has them, asked for or not

_P, _CHOSEN, _WHO, _IS_IN, _EVENT = (reserved(name) for name in ("p", "chosen", "who", "is in", "event"))

# sorted after they were gathered: DuckDB is three times slower at gathering in an order
_IDENTITY_MAP = """
SELECT _n, map_from_entries(list_sort(list({'key': namespace, 'value': ids}))) AS identityMap,
  flatten(list_sort(list(list_transform(ids, lambda one: {'id': one.id, 'namespace': {'code': namespace}}))))
    AS identities
FROM (SELECT _n, namespace, list_sort(list({'id': id})) AS ids FROM identity WHERE %s GROUP BY ALL) GROUP BY _n
"""
_MEMBERSHIP_MAP = """
SELECT _n, map_from_entries(list_sort(list({'key': namespace, 'value': segments}))) AS segmentMembership
FROM (
  SELECT _n, namespace, map_from_entries(list_sort(list({'key': segment_id, 'value':
    {'lastQualificationTime': since, 'status': %s}}))) AS segments
  FROM membership WHERE sandbox = %s AND %s GROUP BY ALL
) GROUP BY _n
"""


def write(cursor: "DuckDBPyConnection", folder: Path, order: Extract) -> WrittenBatch:
    """Write a batch into `folder`, and return what is in it; one that is there already is not written again.

    The files appear together, under their final names: a process that dies leaves nothing that looks like a batch.
    Rows come in the order of the profiles, which no run changes. Raises UnknownField.
    """
    if (written := batch_files.written(folder, order.batch_id)) is not None:
        return written
    unfinished = folder / f"{order.batch_id}.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    cursor.begin()  # all parts show the same moment, whatever is evaluated meanwhile
    try:
        batch = _written(cursor, unfinished, order)
        batch_files.keep_manifest(unfinished, batch)
        unfinished.rename(folder / order.batch_id)
    finally:
        cursor.rollback()  # the only thing written into the lake is the list of those chosen
        shutil.rmtree(unfinished, ignore_errors=True)
    return batch


def check(cursor: "DuckDBPyConnection", order: Extract) -> None:
    """Raise UnknownField if the order names a field that no profile has; cheap."""
    _columns(_known_fields(cursor), order)


def _written(cursor: "DuckDBPyConnection", folder: Path, order: Extract) -> WrittenBatch:
    known = _known_fields(cursor)
    columns = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in _columns(known, order).items())
    joined = f"LEFT JOIN {_WHO} USING (_n)" if f"{_WHO}." in columns else ""
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {_CHOSEN} AS SELECT _n FROM profile AS {_P} WHERE {_condition(known, order)}"
    )
    parts = []
    for number, (first, last, records) in enumerate(_ranges(cursor)):
        name = f"part-{number:05d}.snappy.parquet"
        # the range alone would do, but the maps of all who are not chosen would be built, too
        those = f"_n BETWEEN {first} AND {last} AND _n IN (SELECT _n FROM {_CHOSEN})"
        cursor.execute(
            f"""COPY (
              WITH {_WHO} AS ({_IDENTITY_MAP % those}),
                {_IS_IN} AS ({_MEMBERSHIP_MAP % (_status_shown(order), literal(order.sandbox), those)})
              SELECT {columns} FROM {_CHOSEN} JOIN profile AS {_P} USING (_n) {joined} LEFT JOIN {_IS_IN} USING (_n)
              WHERE {_CHOSEN}._n BETWEEN {first} AND {last} ORDER BY {_CHOSEN}._n
            ) TO {literal(str(folder / name))} (FORMAT parquet, COMPRESSION snappy)"""
        )
        parts.append(Part(name=name, length_bytes=(folder / name).stat().st_size, records=records))
    by_namespace = cursor.execute(
        f"""SELECT namespace, count(DISTINCT _n) FROM identity JOIN {_CHOSEN} USING (_n)
           GROUP BY namespace ORDER BY namespace"""
    ).fetchall()
    return WrittenBatch(
        batch_id=order.batch_id,
        parts=tuple(parts),
        records=sum(part.records for part in parts),
        by_namespace=dict(by_namespace),
    )


def _ranges(cursor: "DuckDBPyConnection") -> list[tuple[int, int, int]]:
    """Return the first and last number and the count of profiles of each part; an empty batch has one part, too."""
    (total,) = cursor.execute(f"SELECT count(*) FROM {_CHOSEN}").fetchall()[0]
    rows = min(_PART_ROWS_MOST, max(_PART_ROWS_LEAST, -(-total // _PARTS_USUAL)))
    cut = f"SELECT _n, (row_number() OVER (ORDER BY _n) - 1) // {rows} AS part FROM {_CHOSEN}"
    ranges: list[tuple[int, int, int]] = cursor.execute(
        f"SELECT min(_n), max(_n), count(*) FROM ({cut}) GROUP BY part ORDER BY part"
    ).fetchall()
    return ranges or [(0, -1, 0)]


def _known_fields(cursor: "DuckDBPyConnection") -> Fields:
    """Return the fields that a profile can show: its columns without ours, and its identities as a list."""
    described = cursor.execute(
        f"SELECT {_WHO}.{_IDENTITIES}, {_P}.* FROM profile AS {_P} JOIN ({_IDENTITY_MAP % 'TRUE'}) AS {_WHO} USING (_n)"
        " LIMIT 0"
    ).description
    return {name: kind for name, kind, *_ in described or () if name not in OWN_COLUMNS}


def _columns(known: Fields, order: Extract) -> dict[str, str]:
    """Return an SQL expression for each column of a row."""
    if order.fields is None:
        columns = {name: f"{_P}.{quoted(name)}" for name in _record_fields(known)}
    else:
        kept = tree(_own_fields(order.fields))
        listed = kept.pop(_IDENTITIES, None)
        columns = select_list(kept, known, source=_P)
        if listed is not None:
            columns |= select_list({_IDENTITIES: listed}, known, source=_WHO)
    if order.events is not None:
        columns[_EVENTS] = _events(known, order.events)
    # a profile's own map may say more of an identity than that it exists
    own = _P if "identityMap" in known else _WHO
    columns["identityMap"] = f"coalesce({own}.identityMap, MAP {{}})"
    columns["segmentMembership"] = f"coalesce({_IS_IN}.segmentMembership, MAP {{}})"
    return columns


def _own_fields(paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths that are not of what every row carries. Raises UnknownField for one below that."""
    for path in paths:
        top, *below = path.split(".")
        if top not in _CARRIED:
            yield path
        elif below:
            raise UnknownField(f"No field {path!r}: {top} is a map, which every row carries as a whole. Write {top}.")


def _events(known: Fields, events: EventList) -> str:
    if _EVENTS not in known:
        raise UnknownField("No profile has events here, so that none can be exported.")
    one = members_of(item_of(known[_EVENTS]))
    condition = "TRUE"
    if events.ingested_after or events.ingested_until:
        when = _came_in(one)
        condition = _all_of(
            [
                f"{when} > CAST({_moment(events.ingested_after)} AS TIMESTAMP)" if events.ingested_after else "",
                f"{when} <= CAST({_moment(events.ingested_until)} AS TIMESTAMP)" if events.ingested_until else "",
            ]
        )
    paths = [path.removeprefix(f"{_EVENTS}.") for path in events.fields] or [
        name for name in one if name != "_ingested"
    ]
    shown = packed(_EVENT, select_list(tree(paths), one, source=_EVENT))
    found = f"list_filter(coalesce({_P}.{quoted(_EVENTS)}, []), lambda {_EVENT}: {condition})"
    return f"list_transform({found}, lambda {_EVENT}: {shown})"


def _came_in(one: Fields) -> str:
    """Return when an event came in: what the first of its fields says that holds a time, each event for itself."""
    told = (
        pql.time_of(f"struct_extract({_EVENT}, {literal(name)})", one[name]) for name in EVENT_INGESTED if name in one
    )
    times = [time for time in told if time is not None]
    if not times:
        named = ", ".join(name for name in EVENT_INGESTED if not name.startswith("_"))
        raise UnknownField(f"Events cannot be chosen by time: none has a time in {named}.")
    return f"coalesce({', '.join(times)})"


def _record_fields(known: Fields) -> list[str]:
    return [name for name in known if name not in (*_CARRIED, _IDENTITIES, _EVENTS)]


def _condition(known: Fields, order: Extract) -> str:
    """Return which profiles the batch holds."""
    has_record = " OR ".join(f"{_P}.{quoted(name)} IS NOT NULL" for name in _record_fields(known)) or "FALSE"
    return _all_of(
        [
            f"{_P}._ingested > {_moment(order.ingested_after)}" if order.ingested_after else "",
            "" if order.empty_profiles else f"({has_record})",
            _is_qualified(order),
        ]
    )


def _is_qualified(order: Extract) -> str:
    """Return who is in the right segments. Of those that the sandbox lost: who left one, as an evaluation noticed."""
    is_there = f"_n NOT IN (SELECT _n FROM lost WHERE sandbox = {literal(order.sandbox)})"
    times = [
        f"since >= {_moment(order.qualified_from)}" if order.qualified_from else "",
        f"since <= {_moment(order.qualified_until)}" if order.qualified_until else "",
    ]
    if order.segments is not None:
        wanted = " OR ".join(_is_wanted(one, order) for one in order.segments) or "FALSE"
    elif any(times):
        wanted = "status <> 'exited'"  # no segment was named: in any of them. AEP contract 4.2
    else:
        return f"{_P}.{is_there}"
    # counted as exited, and so exported as that: whoever reads the batches would keep them as members for ever
    condition = _all_of(
        [f"sandbox = {literal(order.sandbox)}", f"({wanted})", f"(status = 'exited' OR {is_there})", *times]
    )
    return f"{_P}._n IN (SELECT _n FROM membership WHERE {condition})"


def _is_wanted(one: SegmentFilter, order: Extract) -> str:
    statuses = set(one.statuses)
    if order.realized_is_all:  # so that nobody is `existing` but by its other name
        statuses.discard("existing")
        if "realized" in statuses:
            statuses.add("existing")
    listed = ", ".join(literal(status) for status in sorted(statuses)) or "NULL"
    is_segment = f"segment_id = {literal(one.segment_id)} AND lower(namespace) = {literal(one.namespace.lower())}"
    return f"({is_segment} AND status IN ({listed}))"


def _status_shown(order: Extract) -> str:
    return "CASE status WHEN 'existing' THEN 'realized' ELSE status END" if order.realized_is_all else "status"


def _moment(at: datetime) -> str:
    return f"TIMESTAMPTZ {literal(at.astimezone(UTC).isoformat())}"


def _all_of(conditions: Iterable[str]) -> str:
    return " AND ".join(one for one in conditions if one) or "TRUE"
