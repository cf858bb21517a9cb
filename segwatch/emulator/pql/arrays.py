"""The functions on arrays and maps."""

from segwatch.emulator.pql import numbers
from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.shape import COUNT, NUMBER, TEXT, Kind, Type
from segwatch.emulator.pql.stored import stored
from segwatch.emulator.pql.times import as_time
from segwatch.emulator.pql.tree import Call, Items, Place
from segwatch.emulator.pql.values import Value, joined, truth

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
            return Value(sql=sql, type=COUNT, at=at)
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
    if function in ("min", "max"):
        return Value(sql=f"list_{function}({array.sql})", type=item, at=at)
    doubles = f"CAST({array.sql} AS DOUBLE[])"
    sql = f"coalesce(list_sum({doubles}), 0)" if function == "sum" else f"list_avg({doubles})"
    return Value(sql=numbers.a_number(sql), type=NUMBER, at=at, unchecked=sql)


def _member(node: Call, value: Value, array: Value) -> Value:
    array = array.of(Kind.ARRAY, node.function)
    if isinstance(node.arguments[1], Items):
        value.of(array.item.kind, f"an array of {_plural(array.item.kind)}")
        if array.item.kind is Kind.NUMBER and numbers.is_mixed(array, value):
            found = joined([numbers.compared("=", value, item) for item in array.items], "OR")
        else:
            found = f"({value.sql} IN ({array.sql[1:-1]}))"
    else:
        found = _contains(array, value, node.at, bare=True).sql
    return truth(f"(NOT {found})" if node.function == "notIn" else found, node.at)


def _contains(array: Value, value: Value, at: Place, *, bare: bool = False) -> Value:
    _of_scalars(array)
    value.of(array.item.kind, f"an array of {_plural(array.item.kind)}")
    items, one = _comparable(array, value)
    sql = f"list_contains({items}, {one})"
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
    first, second = _comparable(left, right)
    match function:
        case "intersects":
            return truth(f"list_has_any({first}, {second})", at)
        case "subsetOf":
            return truth(f"list_has_all({second}, {first})", at)
        case "supersetOf":
            return truth(f"list_has_all({first}, {second})", at)
        case _:
            sql, kind = f"list_intersect({first}, {second})", left.type
            if left.item.kind is Kind.NUMBER and numbers.is_mixed(left, right):
                sql = f"list_transform({sql}, lambda n: struct_extract(n, 'd'))"
                kind = Type(kind=Kind.ARRAY, item=NUMBER)  # what equals a double is one
            return Value(sql=sql, type=kind, at=at)


def _comparable(left: Value, right: Value) -> tuple[str, str]:
    return numbers.comparable(left, right) if left.item.kind is Kind.NUMBER else (left.sql, right.sql)


def _of_scalars(array: Value) -> Value:
    if array.item.kind in _SCALARS:
        return array
    raise PqlError(
        f"whole items cannot be compared where they are {_plural(array.item.kind)}. "
        "Write exists X from array where X.field = ..., or array.map(field).",
        array.at,
    )


def _plural(kind: Kind) -> str:
    return "of unknown type" if kind is Kind.OTHER else kind.removeprefix("an ").removeprefix("a ") + "s"
