"""Profiles out of a file of the user's own, with whatever fields they have."""

import json
from datetime import datetime
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from segwatch.emulator.lake import tables

# how each kind of file is read, by the end of its name
READERS = {
    ".parquet": "read_parquet($path)",
    # every row is looked at before the fields have their types: a late one is no surprise then
    ".ndjson": "read_json($path, format = 'newline_delimited', sample_size = -1, maximum_depth = -1, records = true)",
    ".jsonl": "read_json($path, format = 'newline_delimited', sample_size = -1, maximum_depth = -1, records = true)",
    ".json": "read_json($path, sample_size = -1, maximum_depth = -1, records = true)",
}
_IDENTITIES = '"MAP(VARCHAR, STRUCT(id VARCHAR, \\"primary\\" BOOLEAN)[])"'
_INGESTED = ("_ingested", "ingestTimestamp")
# ours, or what evaluations decide here
_NOT_THEIRS = ("_n", "_xid", "_ingested", "identityMap", "segmentMembership", "xEvent")

_INCOMING = """
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT row_number() OVER () - 1 AS "segwatch row", * FROM {reader}
"""

_KEYED = """
CREATE OR REPLACE TEMP TABLE keyed AS
SELECT "segwatch row" AS _n, map_from_entries(list_filter(
  list_transform(map_entries(json_transform({identities}, $form)), lambda entry: {{
    'k': entry.key, 'v': list_filter(entry.value, lambda one: one.id IS NOT NULL)
  }}),
  lambda entry: len(entry.v) > 0
)) AS identityMap
FROM incoming
"""

_PROFILES = """
CREATE TABLE profile AS
SELECT
  keyed._n,
  'BV' || to_hex(hash(hash(map_entries(keyed.identityMap)[1].key, map_entries(keyed.identityMap)[1].value[1].id)))
    || 'x' || keyed._n AS _xid,
  {ingested} AS _ingested,
  keyed.identityMap{fields}
FROM incoming JOIN keyed ON keyed._n = incoming."segwatch row"
ORDER BY keyed._n
"""

_ANONYMOUS = "SELECT _n + 1 FROM keyed WHERE coalesce(cardinality(identityMap), 0) = 0 ORDER BY 1 LIMIT 1"
_PRIMARY = """
SELECT namespace, one.id, _n FROM (
  SELECT _n, entry.key AS namespace, unnest(list_filter(entry.value, lambda one: one.primary)) AS one
  FROM (SELECT _n, unnest(map_entries(identityMap)) AS entry FROM keyed)
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
    cursor.begin()
    try:
        _load(cursor, path, now)
    except BaseException:
        cursor.rollback()
        raise
    cursor.commit()
    cursor.execute("CHECKPOINT")


def _load(cursor: DuckDBPyConnection, path: Path, now: datetime) -> None:
    _read(cursor, path)
    columns = {column[0]: str(column[1]) for column in cursor.execute("FROM incoming LIMIT 0").description or []}
    columns.pop("segwatch row")
    _key(cursor, path, columns)
    fields = [f"incoming.{_quoted(name)}" for name in columns if name not in _NOT_THEIRS]
    if "xEvent" in columns:
        if "[]" not in columns["xEvent"] or not columns["xEvent"].startswith("STRUCT"):
            raise ValueError(f"{path}: xEvent is {columns['xEvent']}. Write a list of events, each an object.")
        fields.append('incoming."xEvent"')  # last: it is by far the widest
    times = [name for name in _INGESTED if columns.get(name, "").startswith("TIMESTAMP")]
    known = ", ".join([*(f"CAST(incoming.{_quoted(name)} AS TIMESTAMPTZ)" for name in times), "$now"])
    projected = "".join(f",\n  {field}" for field in fields)
    cursor.execute(_PROFILES.format(ingested=f"coalesce({known})", fields=projected), {"now": now})
    for table in ("incoming", "keyed"):
        cursor.execute(f"DROP TABLE {table}")
    tables.note_identities(cursor)


def _read(cursor: DuckDBPyConnection, path: Path) -> None:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path} is of no known kind. Known kinds: {', '.join(sorted(READERS))}.")
    if not path.is_file():
        raise ValueError(f"{path} is not there, or no file.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} holds no profiles.")
    try:
        cursor.execute(_INCOMING.format(reader=reader), {"path": str(path)})
    except duckdb.Error as exc:
        reason = _first_bad_line(path) if "json" in reader else None
        raise ValueError(f"{path} cannot be read: {reason or str(exc).splitlines()[0]}") from exc
    if cursor.execute("SELECT 1 FROM incoming LIMIT 1").fetchone() is None:
        raise ValueError(f"{path} holds no profiles.")


def _key(cursor: DuckDBPyConnection, path: Path, columns: dict[str, str]) -> None:
    """Create `keyed`, who the profiles are. Raises ValueError."""
    if "identityMap" not in columns:
        raise ValueError(
            f'{path} has no identityMap. Write {{"email": [{{"id": "...", "primary": true}}]}} into each row;'
            f" it has {', '.join(columns)}."
        )
    is_text = columns["identityMap"] == "VARCHAR"
    identities = 'TRY_CAST("identityMap" AS JSON)' if is_text else 'to_json("identityMap")'
    cursor.execute(_KEYED.format(identities=identities), {"form": _IDENTITIES})
    if (row := cursor.execute(_ANONYMOUS).fetchone()) is not None:
        raise ValueError(
            f"{path}: row {row[0]} has no identity in its identityMap."
            ' Write {"email": [{"id": "...", "primary": true}]}.'
        )
    if (row := cursor.execute(_TWO_PRIMARIES).fetchone()) is not None:
        raise ValueError(f"{path}: row {row[0]} has more than one primary identity. Mark one.")
    if (row := cursor.execute(_SHARED_PRIMARY).fetchone()) is not None:
        raise ValueError(f"{path}: rows {row[2]} and {row[3]} have the same primary identity, {row[0]} {row[1]!r}.")


def _first_bad_line(path: Path) -> str | None:
    """Return which line is no JSON object; the reader itself counts on over those that it cannot tell apart."""
    if path.suffix.lower() == ".json":
        return None
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                if line.strip() and not isinstance(json.loads(line), dict):
                    return f"row {number} is no object."
            except ValueError as exc:
                return f"row {number} is not JSON: {exc}."
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
