"""Profiles out of a file of the user's own, with whatever fields they have."""

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from segwatch.emulator.lake import own_columns, tables
from segwatch.emulator.lake.fields import literal, quoted
from segwatch.emulator.lake.tables import reserved

# how DuckDB calls what is in each kind of file, by the end of its name
READERS = {
    ".parquet": "parquet",
    ".ndjson": "newline_delimited",
    ".jsonl": "newline_delimited",
    ".json": "auto",
}
_IDENTITIES = '"MAP(VARCHAR, STRUCT(id VARCHAR, \\"primary\\" BOOLEAN)[])"'
_DEEPEST = 127  # objects and lists within each other that DuckDB's reader of JSON takes (measured: 2.0)
_INGESTED = ("_ingested", "ingestTimestamp")
_ROW, _INCOMING, _KEYED = (reserved(name) for name in ("row", "incoming", "keyed"))
# of a file whose events are all empty lists: what is known of any
_EVENTS_EMPTY = "STRUCT(_id VARCHAR, timestamp TIMESTAMPTZ, eventType VARCHAR)[]"

_READ = f"""
CREATE OR REPLACE TEMP TABLE {_INCOMING} AS
SELECT row_number() OVER () - 1 AS {_ROW}, * FROM {{reader}}
"""

_KEY = f"""
CREATE OR REPLACE TEMP TABLE {_KEYED} AS
SELECT _n, map_from_entries(list_filter(
  list_transform(map_entries(json_transform(identities, $form)), lambda entry: {{{{
    'k': entry.key, 'v': list_filter(entry.value, lambda one: one.id <> '')
  }}}}),
  lambda entry: len(entry.v) > 0
)) AS identityMap
FROM (SELECT {_ROW} AS _n, {{identities}} AS identities FROM {_INCOMING})
"""

_PROFILES = f"""
CREATE TABLE profile AS
SELECT
  {_KEYED}._n,
  'BV' || to_hex(hash(hash(map_entries({_KEYED}.identityMap)[1].key, map_entries({_KEYED}.identityMap)[1].value[1].id)))
    || 'x' || {_KEYED}._n AS _xid,
  {{ingested}} AS _ingested,
  {_KEYED}.identityMap{{fields}}
FROM {_INCOMING} JOIN {_KEYED} ON {_KEYED}._n = {_INCOMING}.{_ROW}
ORDER BY {_KEYED}._n
"""

_ANONYMOUS = f"SELECT _n + 1 FROM {_KEYED} WHERE coalesce(cardinality(identityMap), 0) = 0 ORDER BY 1 LIMIT 1"
_PRIMARY = f"""
SELECT namespace, one.id, _n FROM (
  SELECT _n, entry.key AS namespace, unnest(list_filter(entry.value, lambda one: one.primary)) AS one
  FROM (SELECT _n, unnest(map_entries(identityMap)) AS entry FROM {_KEYED})
)
"""
_TWO_PRIMARIES = f"SELECT _n + 1 FROM ({_PRIMARY}) GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
_SHARED_PRIMARY = f"""
SELECT namespace, id, min(_n) + 1 AS first, max(_n) + 1 FROM ({_PRIMARY})
GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY first LIMIT 1
"""


def load(cursor: DuckDBPyConnection, path: Path, *, now: datetime) -> None:
    """Create `profile` from a .parquet, .ndjson, .jsonl or .json file, and fill `identity`.

    Each row needs `identityMap`: {"email": [{"id": "...", "primary": true}]}, as a map, a struct of lists or JSON text.
    `xEvent`, if there is one, is a list of structs. A time in `_ingested` or `ingestTimestamp` says when a row was
    ingested, else it is now. Raises ValueError, which says which row is wrong and what to write instead.
    """
    try:
        _read(cursor, path)  # before the transaction, which an attempt that fails would end
        cursor.begin()
        try:
            _load(cursor, path, now)
        except BaseException:
            cursor.rollback()
            raise
        cursor.commit()
    finally:
        for table in (_INCOMING, _KEYED):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
    cursor.execute("CHECKPOINT")


def _load(cursor: DuckDBPyConnection, path: Path, now: datetime) -> None:
    columns = {column[0]: str(column[1]) for column in cursor.execute(f"FROM {_INCOMING} LIMIT 0").description or []}
    columns.pop(_ROW.strip('"'))
    _key(cursor, path, columns)
    fields = [f"{_INCOMING}.{quoted(name)}" for name in columns if name not in tables.PROMISED_COLUMNS]
    if "xEvent" in columns:
        fields.append(_events(cursor, path, columns["xEvent"]))  # last: it is by far the widest
    times = [name for name in _INGESTED if columns.get(name, "").startswith("TIMESTAMP")]
    known = ", ".join([*(f"CAST({_INCOMING}.{quoted(name)} AS TIMESTAMPTZ)" for name in times), "$now"])
    projected = "".join(f",\n  {field}" for field in fields)
    cursor.execute(_PROFILES.format(ingested=f"coalesce({known})", fields=projected), {"now": now})
    tables.note_identities(cursor)


def _read(cursor: DuckDBPyConnection, path: Path) -> None:
    form = READERS.get(path.suffix.lower())
    if form is None:
        raise ValueError(f"{path} is of no known kind. Known kinds: {', '.join(sorted(READERS))}.")
    if not path.is_file():
        raise ValueError(f"{path} is not there, or no file.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} holds no profiles.")
    try:
        if form == "parquet":
            own_columns.check_names(path, own_columns.parquet_names(cursor, path))
            readers = [f"read_parquet({literal(str(path))})"]
        else:
            readers = own_columns.json_readers(cursor, path, form)
        for reader in readers[:-1]:
            with suppress(duckdb.Error):
                cursor.execute(_READ.format(reader=reader))
                break
        else:
            cursor.execute(_READ.format(reader=readers[-1]))
    except (duckdb.Error, own_columns.NoRows) as exc:
        reason = _first_bad_line(path) if form == "newline_delimited" else None
        if reason is None and isinstance(exc, own_columns.NoRows):
            raise
        raise ValueError(f"{path} cannot be read: {reason or str(exc).splitlines()[0]}") from exc
    if cursor.execute(f"SELECT 1 FROM {_INCOMING} LIMIT 1").fetchone() is None:
        raise ValueError(f"{path} holds no profiles.")


def _key(cursor: DuckDBPyConnection, path: Path, columns: dict[str, str]) -> None:
    """Create `keyed`, who the profiles are. Raises ValueError."""
    if "identityMap" not in columns:
        raise ValueError(
            f'{path} has no identityMap. Write {{"email": [{{"id": "...", "primary": true}}]}} into each row;'
            f" it has {', '.join(columns)}."
        )
    match columns["identityMap"]:
        case "VARCHAR":
            identities = "TRY_CAST(identityMap AS JSON)"
        case "JSON":
            identities = "if(json_type(identityMap) = 'VARCHAR', TRY_CAST(identityMap->>'$' AS JSON), identityMap)"
        case _:
            identities = "to_json(identityMap)"
    cursor.execute(_KEY.format(identities=identities), {"form": _IDENTITIES})
    if (row := cursor.execute(_ANONYMOUS).fetchone()) is not None:
        raise ValueError(
            f'{path}: row {row[0]} has no identity in its identityMap; an id that is null or "" is none.'
            ' Write {"email": [{"id": "...", "primary": true}]}.'
        )
    if (row := cursor.execute(_TWO_PRIMARIES).fetchone()) is not None:
        raise ValueError(f"{path}: row {row[0]} has more than one primary identity. Mark one.")
    if (row := cursor.execute(_SHARED_PRIMARY).fetchone()) is not None:
        raise ValueError(f"{path}: rows {row[2]} and {row[3]} have the same primary identity, {row[0]} {row[1]!r}.")


def _events(cursor: DuckDBPyConnection, path: Path, kind: str) -> str:
    """Return the events of a row as SQL. kind: their type, as DuckDB writes it. Raises ValueError if they are none."""
    if kind.startswith("STRUCT") and kind.endswith("[]"):
        return f"{_INCOMING}.xEvent"
    some = f"SELECT 1 FROM {_INCOMING} WHERE CAST(to_json(xEvent) AS VARCHAR) NOT IN ('[]', 'null') LIMIT 1"
    if cursor.execute(some).fetchone() is not None:
        raise ValueError(f"{path}: xEvent is {kind}. Write a list of events, each an object.")
    return f"CASE WHEN {_INCOMING}.xEvent IS NOT NULL THEN CAST([] AS {_EVENTS_EMPTY}) END AS xEvent"


def _first_bad_line(path: Path) -> str | None:
    """Return which line is no object that can be read; the reader itself counts on over those it cannot tell apart."""
    too_deep = f"is nested more than {_DEEPEST} levels deep. Write it flatter."
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode().strip()
                if text.startswith("\ufeff"):
                    return f"row {number} begins with a byte order mark. Save the file without one."
                found = json.loads(text) if text else {}
            except UnicodeDecodeError as exc:
                return f"row {number} is not UTF-8: {exc.reason} at byte {exc.start + 1}."
            except ValueError as exc:
                return f"row {number} is not JSON: {exc}."
            except RecursionError:
                return f"row {number} {too_deep}"
            if not isinstance(found, dict):
                return f"row {number} is no object."
            if _depth(found) > _DEEPEST:
                return f"row {number} {too_deep}"
    return None


def _depth(value: Any) -> int:
    """Return how many objects and lists stand within each other."""
    level, depth = [value], 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [item for one in level for item in (one.values() if isinstance(one, dict) else one)]
    return depth
