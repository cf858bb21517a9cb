"""How numbers are compared: as the numbers that they are, whatever holds them.

DuckDB compares a whole number with a DOUBLE by making a DOUBLE of both, and 9007199254740993 then equals
9007199254740992.0. And it has NaN equal to itself and greater than all else, so that `> 0` would find it.
"""

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.shape import COUNT, DOUBLES, NUMBER, WHOLE, WIDE, WIDE_NUMBER, Kind, Type
from segwatch.emulator.pql.tree import Number, Place
from segwatch.emulator.pql.values import Value

_EXACT_IN_DOUBLES = 2**53
_NAN = "CAST('nan' AS DOUBLE)"


def literal_type(node: Number) -> Type:
    """Return the type of a number that was written."""
    value = node.value
    if isinstance(value, int):
        return COUNT if abs(value) <= _EXACT_IN_DOUBLES else WIDE_NUMBER
    # A double with a fraction is so small that making a double of a whole number leaves that on its side of it.
    return NUMBER if value.is_integer() else Type(kind=Kind.NUMBER, storage="fraction")


def joined_type(types: list[Type]) -> Type:
    """Return the type that holds numbers of all these."""
    if all(one.storage in WHOLE for one in types):
        return WIDE_NUMBER if any(one.storage in WIDE for one in types) else COUNT
    return types[0] if len({one.storage for one in types}) == 1 else NUMBER


def compared(operator: str, left: Value, right: Value) -> str:
    """Return the comparison as SQL; NULL if one is missing."""
    if _is_mixed(left.type, right.type):
        return f"({_exact(left)} {operator} {_exact(right)})"
    return f"({left.sql} {operator} {right.sql})"


def comparable(left: Value, right: Value) -> tuple[str, str]:
    """Return two values, of which each may also be an array, as SQL of which the items can be compared."""
    kinds = tuple(_item(value) for value in (left, right))
    if all(kind.storage in WHOLE for kind in kinds):
        return _cast(left, "HUGEINT"), _cast(right, "HUGEINT")
    if _is_mixed(*kinds):
        return _exact(left), _exact(right)
    return _cast(left, "DOUBLE"), _cast(right, "DOUBLE")


def is_mixed(left: Value, right: Value) -> bool:
    """Return whether one holds whole numbers that the doubles of the other cannot all tell apart."""
    return _is_mixed(_item(left), _item(right))


def worked_out(operator: str, left: Value, right: Value, at: Place) -> Value:
    """Return what comes of two numbers; missing if that is no number, as of dividing by zero."""
    # DOUBLE all through: whole numbers would overflow with an error, and one row's error ends the whole run.
    first, second = (
        f"CAST({side.unchecked or side.of(Kind.NUMBER, operator).sql} AS DOUBLE)" for side in (left, right)
    )
    if operator in "/%":
        second = f"nullif({second}, 0)"
    sql = f"({first} {operator} {second})"
    return Value(sql=a_number(sql), type=NUMBER, at=at, unchecked=sql)


def a_number(sql: str) -> str:
    """Return a computed DOUBLE, or NULL for NaN."""
    # Not nullif, which writes its argument twice: twice at each of fifty levels would have no end.
    return f"list_extract(list_filter([{sql}], lambda n: NOT isnan(n)), 1)"


def stored(sql: str, kind: Type) -> str:
    """Return a number, or an array of them, that a field holds, in the type in which it is compared."""
    item = kind.item if kind.kind is Kind.ARRAY else kind
    if item is None or item.kind is not Kind.NUMBER or (item.storage in WHOLE and item.storage != "whole decimal"):
        return sql
    if item.storage in ("float", "double"):
        if kind.kind is Kind.ARRAY:
            return f"list_transform({sql}, lambda n: nullif(n, {_NAN}))"
        return a_number(sql) if "lambda" in sql else f"nullif({sql}, {_NAN})"
    # Decimals overflow when they are computed with, and an overflow ends the whole run.
    name = "HUGEINT" if item.storage in WHOLE else "DOUBLE"
    return f"CAST({sql} AS {name}{'[]' if kind.kind is Kind.ARRAY else ''})"


def check_together(items: list[Value]) -> None:
    """Raise PqlError for an array whose numbers no one type can hold."""
    wide = [item for item in items if item.type.storage in WIDE]
    if wide and any(item.type.storage not in WHOLE for item in items):
        raise PqlError(
            "whole numbers of this size and fractions cannot stand in one array. Write them in two arrays.", wide[0].at
        )


def _item(value: Value) -> Type:
    return value.item if value.kind is Kind.ARRAY else value.type


def _is_mixed(left: Type, right: Type) -> bool:
    return (left.storage in WIDE and right.storage in DOUBLES) or (left.storage in DOUBLES and right.storage in WIDE)


def _cast(value: Value, name: str) -> str:
    return f"CAST({value.sql} AS {name}{'[]' if value.kind is Kind.ARRAY else ''})"


def _exact(value: Value) -> str:
    """Return a number, or each of an array, as a pair that is in the order of the numbers: a double, and the rest."""
    rest = "0::HUGEINT"
    if _item(value).storage in WHOLE:
        # HUGEINT ends where the double next to its ends begins: those round away from zero.
        rest = "coalesce(n - TRY_CAST(CAST(n AS DOUBLE) AS HUGEINT), CASE WHEN n > 0 THEN -1 ELSE 1 END)"
    pair = f"lambda n: CASE WHEN n IS NOT NULL THEN {{'d': CAST(n AS DOUBLE), 'r': {rest}}} END"
    if value.kind is Kind.ARRAY:
        return f"list_transform({value.sql}, {pair})"
    return f"list_extract(list_transform([{value.sql}], {pair}), 1)"
