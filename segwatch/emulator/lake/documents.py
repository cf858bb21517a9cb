"""Rows as JSON documents: what is NULL is left out, and times are written as the platform writes them."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from duckdb import DuckDBPyConnection

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

_TIMES = frozenset({"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"})


def column_types(cursor: DuckDBPyConnection, relation: str) -> dict[str, "DuckDBPyType"]:
    """Return the columns of a table and their types, in order."""
    described = cursor.execute(f"SELECT * FROM {relation} LIMIT 0").description or []
    return {column[0]: column[1] for column in described}


def parts(kind: "DuckDBPyType") -> "dict[str, DuckDBPyType]":
    """Return what a nested type is made of: a struct's fields, a list's `child`, a map's `key` and `value`."""
    return dict[str, Any](kind.children)


def document(text: str, fields: "Iterable[tuple[str, DuckDBPyType]]") -> dict[str, Any]:
    """Return the fields of a row that DuckDB wrote as JSON; types tell times from texts that look like one."""
    row = json.loads(text)
    shown = ((name, _shown(row.get(name), kind)) for name, kind in fields)
    return {name: value for name, value in shown if value is not None}


def iso(text: str) -> str:
    """Return a time that DuckDB wrote (in UTC) as ISO 8601."""
    return f"{_dated(text).removesuffix('+00').replace(' ', 'T', 1)}Z"


def _dated(text: str) -> str:
    """Return a day (and time) that DuckDB wrote with the years of ISO 8601, where 1 BC is 0000 and 2 BC -0001."""
    if " (BC)" not in text:
        return text
    year, rest = text.replace(" (BC)", "").split("-", 1)
    return f"{'-' if int(year) > 1 else ''}{int(year) - 1:04}-{rest}"


def _shown(value: Any, kind: "DuckDBPyType") -> Any:
    if value is None:
        return None
    match kind.id:
        case "struct":
            shown = ((name, _shown(value.get(name), child)) for name, child in parts(kind).items())
            return {name: one for name, one in shown if one is not None}
        case "list" | "array":
            return [_shown(item, parts(kind)["child"]) for item in value]
        case "map":
            return {name: _shown(one, parts(kind)["value"]) for name, one in value.items()}
        case storage if storage in _TIMES:
            return iso(value)
        case "date":
            return _dated(value)
        case _:
            return value
