"""The columns of a file of the user's own: their names, none of which may be mistaken for another, and their types."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from duckdb import DuckDBPyConnection

from segwatch.emulator.lake.documents import parts
from segwatch.emulator.lake.fields import literal, quoted
from segwatch.emulator.lake.tables import PROMISED_COLUMNS, RESERVED, is_event_time

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

# Every row is looked at before the fields have their types: a late one is no surprise then. No object is taken for a
# map: DuckDB would, where fields are rare or many, and even a whole row.
_DETECTED = (
    "read_json({path}, format = '{format}', sample_size = -1, maximum_depth = -1, map_inference_threshold = -1,"
    " records = true)"
)
_READ = "read_json({path}, format = '{format}', records = true, columns = {{{columns}}})"
_OBJECTS = "read_json_objects({path}, format = '{format}')"
# rows in which a name may be empty; also some with such a thing in a text
_PERHAPS_UNNAMED = """SELECT json FROM {objects} WHERE regexp_matches(CAST(json AS VARCHAR), '""\\s*:')"""

_NUMBERS = frozenset({"bigint", "ubigint", "hugeint", "double", "boolean"})
_TIMES = frozenset({"date", "timestamp", "timestamp with time zone"})


class NoRows(ValueError):
    """A file holds no profiles, or its first row was cut off."""


def check_names(path: Path, names: Sequence[str]) -> None:
    """Raise ValueError for a column that cannot stand beside the others, or beside the platform's own."""
    promised = {_folded(name): name for name in PROMISED_COLUMNS}
    for name in names:
        if promised.get(_folded(name), name) != name:
            raise ValueError(
                f"{path}: its field {name} differs only in case from {promised[_folded(name)]},"
                " which is the platform's. Rename it."
            )
        if name.lower().startswith(RESERVED):
            raise ValueError(f"{path}: its field {name!r} begins with a word that is reserved. Rename it.")
    _check_alike(path, names, within=())


def parquet_names(cursor: DuckDBPyConnection, path: Path) -> list[str]:
    """Return the columns of a Parquet file by the names in it. Raises ValueError for two that are alike."""
    rows = iter(cursor.execute("SELECT name, coalesce(num_children, 0) FROM parquet_schema(?)", [str(path)]).fetchall())
    _, count = next(rows)
    return _children(path, rows, count, within=())


def json_readers(cursor: DuckDBPyConnection, path: Path, form: str) -> list[str]:
    """Return how SQL may read a JSON file so that every text stays as it is written. form: DuckDB's name of the format.

    DuckDB's own choice takes a text for a UUID, a time or a date where all of them look like one, and writes it in a
    way of its own afterwards. Here only the times that `is_event_time` knows become times; by the second reader, for
    those that were recognised and are in a form that cannot be read, not even these. What is a text in one row and
    something else in another is a text, and so is what never holds anything.
    Raises ValueError for names that are alike or empty and for a file without rows or without fields, and duckdb.Error.
    """
    given = {"path": literal(str(path)), "format": form}
    names = [
        name
        for (name,) in cursor.execute(
            f"SELECT DISTINCT unnest(json_keys(json)) FROM {_OBJECTS.format(**given)}"
        ).fetchall()
    ]
    if not names:
        _check_rows(cursor, path, _OBJECTS.format(**given))
    check_names(path, sorted(names))
    try:
        described = cursor.execute(f"FROM {_DETECTED.format(**given)} LIMIT 0").description or []
    except duckdb.NotImplementedException:
        _check_structure(cursor, path, _OBJECTS.format(**given))
        raise
    kinds = {name: kind for name, kind, *_ in described}
    if any("JSON" in str(kind) for kind in kinds.values()):  # as which an object with an empty name is taken
        _check_named(cursor, path, _OBJECTS.format(**given))
    return [_READ.format(**given, columns=_columns(kinds, times=times)) for times in (True, False)]


def _columns(kinds: "Mapping[str, DuckDBPyType]", *, times: bool) -> str:
    # whose namespaces and ids are texts, too; it gets its form later
    types = {name: "JSON" if name == "identityMap" else _type(kind, (name,), times) for name, kind in kinds.items()}
    return ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items())


def _type(kind: "DuckDBPyType", path: tuple[str, ...], times: bool) -> str:
    match kind.id:
        case "struct":
            members = (f"{quoted(name)} {_type(one, (*path, name), times)}" for name, one in parts(kind).items())
            return f"STRUCT({', '.join(members)})"
        case "list":
            return f"{_type(parts(kind)['child'], path, times)}[]"
        case one if one in _NUMBERS or (times and one in _TIMES and is_event_time(path)):
            return str(kind)
        case _:
            return "VARCHAR"


def _children(path: Path, rows: Iterator[Any], count: int, *, within: tuple[str, ...]) -> list[str]:
    names = []
    for _ in range(count):
        name, below = next(rows)
        names.append(name)
        _children(path, rows, below, within=(*within, name))
    _check_alike(path, names, within=within)
    return names


def _check_rows(cursor: DuckDBPyConnection, path: Path, objects: str) -> None:
    """Raise ValueError (NoRows) if there are no rows, or none but empty objects; others are left to who reads them."""
    kinds = {kind for (kind,) in cursor.execute(f"SELECT DISTINCT json_type(json) FROM {objects}").fetchall()}
    if not kinds:
        raise NoRows(f"{path} holds no profiles.")
    if kinds == {"OBJECT"}:
        raise ValueError(f"{path}: its rows have no fields. Write an identityMap into each.")


def _check_named(cursor: DuckDBPyConnection, path: Path, objects: str) -> None:
    """Raise ValueError for the first object with a field whose name is empty."""
    for (row,) in cursor.execute(_PERHAPS_UNNAMED.format(objects=objects)).fetchall():
        _check_within(path, json.loads(row))


def _check_structure(cursor: DuckDBPyConnection, path: Path, objects: str) -> None:
    """Raise ValueError for the first object of which two fields are alike."""
    ((structure,),) = cursor.execute(f"SELECT json_group_structure(json) FROM {objects}").fetchall()
    _check_within(path, json.loads(structure))


def _check_within(path: Path, value: Any) -> None:
    """Raise ValueError for the first object in a value of JSON of whose fields two are alike, or one has no name."""
    waiting: list[tuple[Any, tuple[str, ...]]] = [(value, ())]
    while waiting:
        node, within = waiting.pop()
        if isinstance(node, list):
            waiting += [(item, within) for item in node]
        elif isinstance(node, dict):
            _check_alike(path, node, within=within)
            waiting += [(below, (*within, name)) for name, below in node.items()]


def _check_alike(path: Path, names: Iterable[str], *, within: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not name:
            place = f"its field {'.'.join(within)}" if within else "a row"
            raise ValueError(f'{path}: {place} has a field whose name is empty (""). Rename it.')
        other = seen.setdefault(_folded(name), name)
        if other != name:
            first, second = (".".join((*within, one)) for one in (other, name))
            raise ValueError(f"{path}: its fields {first} and {second} differ only in case. Rename one.")


def _folded(name: str) -> str:
    """Return the name as DuckDB compares it: it knows the case of the letters from A to Z."""
    return "".join(one.lower() if one.isascii() else one for one in name)
