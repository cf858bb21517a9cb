"""What profiles look like: the type of every field that a query may name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol


class ColumnType(Protocol):
    """A DuckDB type; this room needs to know no more of it, and so imports no DuckDB."""

    @property
    def id(self) -> str: ...

    @property
    def children(self) -> list[tuple[str, Any]]: ...


class Kind(StrEnum):
    TEXT = "a text"
    NUMBER = "a number"
    TRUTH = "a boolean"
    TIME = "a time"
    OBJECT = "an object"
    ARRAY = "an array"
    MAP = "a map"
    OTHER = "of a type that PQL does not know"


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """kind: what PQL may do with a value. storage: DuckDB's name for how it is kept.

    fields: of an object. item: of an array, or the values of a map.
    """

    kind: Kind
    storage: str = ""
    fields: Mapping[str, "Type"] = field(default_factory=lambda: MappingProxyType({}))
    item: "Type | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The columns of `profile` that PQL can see."""

    fields: Mapping[str, Type]


TEXT = Type(kind=Kind.TEXT, storage="varchar")
NUMBER = Type(kind=Kind.NUMBER, storage="double")
COUNT = Type(kind=Kind.NUMBER, storage="integer")
WIDE_NUMBER = Type(kind=Kind.NUMBER, storage="hugeint")
TRUTH = Type(kind=Kind.TRUTH, storage="boolean")
TIME = Type(kind=Kind.TIME, storage="timestamp")

WIDE = frozenset({"bigint", "ubigint", "hugeint", "whole decimal"})  # whole numbers that a DOUBLE may not hold
WHOLE = WIDE | {"tinyint", "smallint", "integer", "utinyint", "usmallint", "uinteger"}
DOUBLES = frozenset({"float", "double", "decimal", "uhugeint", "bignum"})  # the latter are read as DOUBLE
_NUMBERS = WHOLE | DOUBLES
_TEXTS = frozenset({"varchar", "enum", "uuid"})
_TIMES = frozenset(
    {"date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"},
)


def shape_of(columns: Iterable[tuple[str, ColumnType]]) -> Shape:
    """Return the shape of profiles by the columns that a query may name."""
    return Shape(fields={name: type_of(kind) for name, kind in columns})


def type_of(column: ColumnType) -> Type:
    """Return what PQL may do with what is kept so."""
    match column.id:
        case storage if storage in _TEXTS:
            return Type(kind=Kind.TEXT, storage=storage)
        case "decimal" if dict(column.children).get("scale") == 0:
            return Type(kind=Kind.NUMBER, storage="whole decimal")
        case storage if storage in _NUMBERS:
            return Type(kind=Kind.NUMBER, storage=storage)
        case storage if storage in _TIMES:
            return Type(kind=Kind.TIME, storage=storage)
        case "boolean":
            return TRUTH
        case "struct":
            return Type(kind=Kind.OBJECT, fields={name: type_of(child) for name, child in column.children})
        case "list" | "array" as storage:
            return Type(kind=Kind.ARRAY, storage=storage, item=type_of(column.children[0][1]))
        case "map":
            (_, key), (_, value) = column.children
            if key.id == "varchar":
                return Type(kind=Kind.MAP, item=type_of(value))
            return Type(kind=Kind.OTHER, storage="map")
        case storage:
            return Type(kind=Kind.OTHER, storage=storage)
