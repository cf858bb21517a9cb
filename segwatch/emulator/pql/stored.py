"""What a field holds, in the type with which it is compared."""

from segwatch.emulator.pql import numbers
from segwatch.emulator.pql.shape import Kind, Type
from segwatch.emulator.pql.tree import Place
from segwatch.emulator.pql.values import Value


def stored(sql: str, kind: Type, at: Place) -> Value:
    """Return the value of a field; a number that is none (NaN) is missing."""
    item = kind.item if kind.kind is Kind.ARRAY else kind
    if item is not None and item.kind is Kind.TEXT and item.storage != "varchar":
        # an enum refuses to be compared with a word that it does not have
        sql = f"CAST({sql} AS VARCHAR{'[]' if kind.kind is Kind.ARRAY else ''})"
    return Value(sql=numbers.stored(sql, kind), type=kind, at=at, is_path=True)
