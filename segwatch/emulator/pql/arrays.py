"""The functions on arrays and maps."""

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.shape import NUMBER, TEXT, Kind, Type
from segwatch.emulator.pql.times import as_time
from segwatch.emulator.pql.tree import Call, Items, Place
from segwatch.emulator.pql.values import Value, stored, truth

_SCALARS = (Kind.TEXT, Kind.NUMBER, Kind.TRUTH)


def call(node: Call, parts: list[Value]) -> Value:
    name, at = node.function, node.at
    match name:
        case "in" | "notIn":
            return _member(node, parts[0], parts[1])
        case "includes":
            array = parts[0].of(Kind.ARRAY, name)
            return _contains(array, parts[1], at)
        case "intersects" | "subsetOf" | "supersetOf" | "intersection":
            return _both(name, parts[0].of(Kind.ARRAY, name), parts[1].of(Kind.ARRAY, name), at)
        case "count":
            array = parts[0].of(Kind.ARRAY, name)
            sql = array.found.count if array.found is not None else f"coalesce(len({array.sql}), 0)"
            return Value(sql=sql, type=NUMBER, at=at)
        case "head":
            array = parts[0].of(Kind.ARRAY, name)
            return stored(f"list_extract({array.sql}, 1)", array.item, at)
        case "distinct":
            array = _of_scalars(parts[0].of(Kind.ARRAY, name))
            return Value(sql=f"list_distinct({array.sql})", type=array.type, at=at)
        case "get":
            held, key = parts[0].of(Kind.MAP, name), parts[1].of(Kind.TEXT, name)
            return stored(f"{held.sql}[{key.sql}]", held.item, at)
        case "keys":
            kind = Type(kind=Kind.ARRAY, item=TEXT)
            return Value(sql=f"map_keys({parts[0].of(Kind.MAP, name).sql})", type=kind, at=at)
        case "values":
            held = parts[0].of(Kind.MAP, name)
            return stored(f"map_values({held.sql})", Type(kind=Kind.ARRAY, item=held.item), at)
        case _:  # sum, average, min, max without a field
            return summed_up(name, parts[0].of(Kind.ARRAY, name), at)


def summed_up(function: str, array: Value, at: Place) -> Value:
    """Return the sum (0 of nothing), average, least or greatest (missing of nothing) of the items that are there."""
    item = array.item
    if item.kind is Kind.TIME and function in ("min", "max"):
        read = as_time(Value(sql="t", type=item, at=array.at))
        sql = array.sql if read.sql == "t" else f"list_transform({array.sql}, lambda t: {read.sql})"
        return Value(sql=f"list_{function}({sql})", type=read.type, at=at)
    if item.kind is not Kind.NUMBER:
        raise PqlError(f"{function} takes numbers, and these are {_plural(item.kind)}. Write .{function}(field).", at)
    numbers = f"CAST({array.sql} AS DOUBLE[])"
    match function:
        case "sum":
            sql = f"coalesce(list_sum({numbers}), 0)"
        case "average":
            sql = f"list_avg({numbers})"
        case _:
            sql = f"list_{function}({numbers})"
    return Value(sql=sql, type=NUMBER, at=at)


def _member(node: Call, value: Value, array: Value) -> Value:
    array = array.of(Kind.ARRAY, node.function)
    if isinstance(node.arguments[1], Items):
        value.of(array.item.kind, f"an array of {_plural(array.item.kind)}")
        found = f"({value.sql} IN ({array.sql[1:-1]}))"
    else:
        found = _contains(array, value, node.at, bare=True).sql
    return truth(f"(NOT {found})" if node.function == "notIn" else found, node.at)


def _contains(array: Value, value: Value, at: Place, *, bare: bool = False) -> Value:
    _of_scalars(array)
    value.of(array.item.kind, f"an array of {_plural(array.item.kind)}")
    sql = f"list_contains({_wide(array)}, {_wide_one(value)})"
    return Value(sql=sql, type=NUMBER, at=at) if bare else truth(sql, at)


def _both(function: str, left: Value, right: Value, at: Place) -> Value:
    for array in (left, right):
        _of_scalars(array)
    if left.item.kind is not right.item.kind:
        raise PqlError(
            f"{function} takes two arrays alike, and here are {_plural(left.item.kind)} and "
            f"{_plural(right.item.kind)}. Write items of one type.",
            right.at,
        )
    first, second = _wide(left), _wide(right)
    match function:
        case "intersects":
            return truth(f"list_has_any({first}, {second})", at)
        case "subsetOf":
            return truth(f"list_has_all({second}, {first})", at)
        case "supersetOf":
            return truth(f"list_has_all({first}, {second})", at)
        case _:
            return Value(sql=f"list_intersect({first}, {second})", type=left.type, at=at)


def _of_scalars(array: Value) -> Value:
    if array.item.kind in _SCALARS:
        return array
    raise PqlError(
        f"whole items cannot be compared where they are {_plural(array.item.kind)}. "
        "Write exists X from array where X.field = ..., or array.map(field).",
        array.at,
    )


def _wide(array: Value) -> str:
    return f"CAST({array.sql} AS DOUBLE[])" if array.item.kind is Kind.NUMBER else array.sql


def _wide_one(value: Value) -> str:
    return f"CAST({value.sql} AS DOUBLE)" if value.kind is Kind.NUMBER else value.sql


def _plural(kind: Kind) -> str:
    return "of unknown type" if kind is Kind.OTHER else kind.removeprefix("an ").removeprefix("a ") + "s"
