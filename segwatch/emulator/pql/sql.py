"""From a tree to SQL: paths, conditions, comparisons, searches. Types are checked on the way."""

from collections.abc import Mapping
from itertools import count

from segwatch.emulator.pql import arrays, literals, numbers, strings, times
from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.missing import fields_instead
from segwatch.emulator.pql.shape import COUNT, NUMBER, TEXT, TRUTH, Kind, Shape, Type
from segwatch.emulator.pql.stored import stored
from segwatch.emulator.pql.tree import (
    Call,
    Each,
    Expression,
    Field,
    Items,
    Moment,
    Name,
    Number,
    Occurs,
    Period,
    Place,
    Profile,
    Query,
    Search,
    Source,
    Text,
    Truth,
    Variable,
)
from segwatch.emulator.pql.values import Found, Value, certain, condition, joined, truth

_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_ORDERED = (Kind.NUMBER, Kind.TIME)
# what the query calls a profile; no column of it may be called so, or DuckDB would take the one for the other
ROW = '"segwatch p"'
_Variables = Mapping[str, Value]


def to_sql(query: Query, shape: Shape) -> str:
    """Return the query as an SQL condition over a row of `profile` (alias ROW): true or false, never NULL.

    It has one parameter, $now (TIMESTAMPTZ). Raise PqlError where the query does not fit the shape.
    """
    return _Compiler(shape).condition(query.root, {})


class _Compiler:
    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._numbers = count(1)

    def condition(self, node: Expression, seen: _Variables) -> str:
        return condition(self.value(node, seen))

    def value(self, node: Expression, seen: _Variables) -> Value:
        match node:
            case Text(value=text, at=at):
                return Value(sql=literals.text(node), type=TEXT, at=at, text=text)
            case Number(at=at):
                return Value(sql=literals.number(node), type=numbers.literal_type(node), at=at)
            case Truth(value=holds, at=at):
                return Value(sql="true" if holds else "false", type=TRUTH, at=at, never_null=True)
            case Items():
                return self._items(node, seen)
            case Profile(at=at):
                return Value(sql="", type=Type(kind=Kind.OBJECT, fields=self._shape.fields), at=at)
            case Variable(name=name, at=at):
                found = seen[name]
                return Value(sql=found.sql, type=found.type, at=at, is_path=True)
            case Field():
                return self._field(node, seen)
            case Moment():
                return times.moment(node)
            case Period():
                return times.period(node)
            case Occurs():
                return times.occurs(node, self.value(node.value, seen), [self.value(time, seen) for time in node.times])
            case Search():
                return self._search(node, seen)
            case Each():
                return self._each(node, seen)
            case Call():
                return self._call(node, seen)
            case Name(name=name, at=at):
                raise AssertionError(f"{name} at {at} was not resolved")

    def _items(self, node: Items, seen: _Variables) -> Value:
        items = [self.value(item, seen) for item in node.items]
        if not items:
            raise PqlError("an empty array holds nothing to compare with. Write at least one item.", node.at)
        for item in items:
            if item.kind not in (Kind.TEXT, Kind.NUMBER, Kind.TRUTH):
                raise PqlError(
                    f"an array that is written out holds texts or numbers, and this is {item.kind}. Write literals.",
                    item.at,
                )
            item.of(items[0].kind, "every item of this array")
        kind = items[0].type
        if kind.kind is Kind.NUMBER:
            numbers.check_together(items)
            kind = numbers.joined_type([item.type for item in items])
        cast = "CAST({} AS DOUBLE)" if kind == NUMBER else "{}"
        rows = ", ".join(cast.format(item.sql) for item in items)
        return Value(sql=f"[{rows}]", type=Type(kind=Kind.ARRAY, item=kind), at=node.at, items=tuple(items))

    def _field(self, node: Field, seen: _Variables) -> Value:
        of, name = self.value(node.of, seen), node.name
        match of.kind:
            case Kind.ARRAY:
                raise PqlError(
                    f"{name} cannot be read through an array. Write exists X from array where X.{name} = ..., "
                    f"or array.map({name}).",
                    node.at,
                )
            case Kind.MAP:
                raise PqlError(f'a map has no fields. Write map.get("{name}").', node.at)
            case Kind.OBJECT:
                pass
            case kind:
                raise PqlError(f"{name} cannot be read here: what stands before it is {kind}. Leave it out.", node.at)
        kind_of = of.type.fields.get(name)
        if kind_of is None:
            whose = "profiles have" if not of.sql else "there is"
            hint = fields_instead(name, of.type)
            if of.sql and name in self._shape.fields:
                hint = f" Write $1.{name} for the profile's."
            raise PqlError(f"{whose} no field {name}{' here' if of.sql else ''}.{hint}", node.at)
        if of.sql:
            sql = f"struct_extract({of.sql}, {literals.quoted(name, node.at)})"
        else:
            sql = f"{ROW}.{literals.identifier(name, node.at)}"
        return stored(sql, kind_of, node.at)

    def _call(self, node: Call, seen: _Variables) -> Value:
        name, at = node.function, node.at
        if name in ("and", "or"):
            return certain(joined([self.condition(part, seen) for part in node.arguments], name.upper()), at)
        if name == "not":
            return certain(f"(NOT {self.condition(node.arguments[0], seen)})", at)
        if name == "count" and isinstance(node.arguments[0], Search):
            return self._count(node.arguments[0], seen, at)
        if name == "if":
            return self._if(node, seen)
        if name == "date" and all(isinstance(part, Number) for part in node.arguments):
            return times.calendar_day([part for part in node.arguments if isinstance(part, Number)], at)
        if name in ("matches", "regexGroup"):
            return strings.by_pattern(node, self.value(node.arguments[0], seen))
        parts = [self.value(part, seen) for part in node.arguments]
        if name in _COMPARISONS:
            return _compared(name, parts[0], parts[1], at)
        if name in _ARITHMETIC:
            return numbers.worked_out(name, parts[0], parts[1], at)
        if name == "date":
            return times.computed_day([part.of(Kind.NUMBER, "date").sql for part in parts], at)
        if name in times.PARTS:
            time = times.as_time(parts[0]).sql if parts else times.NOW
            return Value(sql=f"{times.PARTS[name]}({time})", type=COUNT, at=at)
        if name in ("isNull", "isNotNull"):
            return certain(f"({_present(parts[0])} IS {'' if name == 'isNull' else 'NOT '}NULL)", at)
        if name in strings.FUNCTIONS:
            return strings.call(node, parts)
        return arrays.call(node, parts)

    def _if(self, node: Call, seen: _Variables) -> Value:
        test = self.condition(node.arguments[0], seen)
        yes, no = (self.value(part, seen) for part in node.arguments[1:])
        if yes.kind is Kind.TIME or no.kind is Kind.TIME:
            yes, no = times.as_time(yes), times.as_time(no)
        if yes.kind not in (Kind.TEXT, Kind.NUMBER, Kind.TRUTH, Kind.TIME):
            raise PqlError(
                f"if gives a text, a number, a boolean or a time, and this is {yes.kind}. Write one of its fields.",
                yes.at,
            )
        no.of(yes.kind, "the other side of this if")
        kind = numbers.joined_type([yes.type, no.type]) if yes.kind is Kind.NUMBER else yes.type
        return Value(sql=f"CASE WHEN {test} THEN {yes.sql} ELSE {no.sql} END", type=kind, at=node.at)

    def _search(self, node: Search, seen: _Variables) -> Value:
        if node.quantifier == "forall":
            return self._forall(node, seen)
        if node.quantifier == "exists" or len(node.sources) > 1:
            return certain(self._exists(node.sources, seen), node.at)
        array, variable, within = self._source(node.sources[0], seen)
        where = node.sources[0].where
        if where is None:
            return array
        found = Found(array=array.sql, variable=variable, condition=self.condition(where, within))
        return Value(sql=found.items, type=array.type, at=node.at, found=found)

    def _exists(self, sources: tuple[Source, ...], seen: _Variables) -> str:
        source, rest = sources[0], sources[1:]
        array, variable, within = self._source(source, seen)
        found = None
        if source.where is not None:
            found = Found(array=array.sql, variable=variable, condition=self.condition(source.where, within))
        if rest:
            # Among the items found: DuckDB works out both sides of an AND, and this side is a search per item.
            among = array.sql if found is None else found.items
            found = Found(array=among, variable=variable, condition=self._exists(rest, within))
        return condition(array) if found is None else found.any

    def _forall(self, node: Search, seen: _Variables) -> Value:
        source = node.sources[0]
        if len(node.sources) > 1:
            raise PqlError(
                "forall goes over one variable here. Write forall X from array where "
                "(forall Y from X.items where ...).",
                node.sources[1].at,
            )
        if source.where is None:
            raise PqlError("forall says of every item that a condition holds. Write where and the condition.", node.at)
        array, variable, within = self._source(source, seen)
        broken = Found(array=array.sql, variable=variable, condition=f"(NOT {self.condition(source.where, within)})")
        return certain(f"(NOT {broken.any})", node.at)

    def _count(self, node: Search, seen: _Variables, at: Place) -> Value:
        if node.quantifier != "select":
            raise PqlError("only what select finds can be counted. Write (select X from ...).count().", at)
        return Value(sql=self._found(node.sources, seen), type=COUNT, at=at)

    def _found(self, sources: tuple[Source, ...], seen: _Variables) -> str:
        """Return how many combinations of items there are."""
        source, rest = sources[0], sources[1:]
        array, variable, within = self._source(source, seen)
        if source.where is None:
            among, how_many = array.sql, f"coalesce(len({array.sql}), 0)"
        else:
            found = Found(array=array.sql, variable=variable, condition=self.condition(source.where, within))
            among, how_many = found.items, found.count
        if not rest:
            return how_many
        return f"coalesce(list_sum(list_transform({among}, lambda {variable}: {self._found(rest, within)})), 0)"

    def _each(self, node: Each, seen: _Variables) -> Value:
        source = Source(variable=node.variable, array=node.array, where=None, at=node.at)
        array, variable, within = self._source(source, seen)
        if node.function == "filter":
            found = Found(array=array.sql, variable=variable, condition=self.condition(node.body, within))
            return Value(sql=found.items, type=array.type, at=node.at, found=found)
        body = self.value(node.body, within)
        if body.kind is Kind.TIME:
            body = times.as_time(body)
        sql = f"list_transform({array.sql}, lambda {variable}: {_present(body)})"
        mapped = Value(sql=sql, type=Type(kind=Kind.ARRAY, item=body.type), at=body.at)
        return mapped if node.function == "map" else arrays.summed_up(node.function, mapped, node.at)

    def _source(self, source: Source, seen: _Variables) -> tuple[Value, str, _Variables]:
        """Return the array, the SQL name of its items, and what is in sight of a condition on one of them.

        Every lambda has a name of its own: an inner one that took an outer one's name would hide it.
        """
        array = self.value(source.array, seen).of(Kind.ARRAY, "a search")
        variable = f"v{next(self._numbers)}"
        item = Value(sql=variable, type=array.item, at=source.at, is_path=True)
        return array, variable, {**seen, source.variable: item}


def _present(value: Value) -> str:
    if value.sql:
        return value.sql
    raise PqlError("the profile itself is no value. Write one of its fields, such as $1.person.", value.at)


def _compared(operator: str, left: Value, right: Value, at: Place) -> Value:
    if Kind.TIME in (left.kind, right.kind):
        return times.compared(operator, left, right, at)
    left, right = _as_truth(left, right), _as_truth(right, left)
    for side in (left, right):
        if side.kind not in (Kind.TEXT, Kind.NUMBER, Kind.TRUTH):
            side.of(Kind.TEXT if right.kind is side.kind else right.kind, operator)
    right.of(left.kind, f"{operator} after {left.kind}")
    if operator not in ("=", "!=") and left.kind not in _ORDERED:
        hint = " Of times in texts: a occurs before date(2020, 3, 14)." if left.kind is Kind.TEXT else ""
        raise PqlError(f"{operator} compares numbers and times, and this is {left.kind}. Write = or !=.{hint}", at)
    if left.kind is Kind.NUMBER:
        return truth(numbers.compared(operator, left, right), at)
    return truth(f"({left.sql} {operator} {right.sql})", at)


def _as_truth(value: Value, other: Value) -> Value:
    """Return a written "true" or "false" as what it says where a boolean is met: Adobe's samples write both."""
    if other.kind is Kind.TRUTH and value.text in ("true", "false"):
        return Value(sql=value.text, type=TRUTH, at=value.at, never_null=True)
    return value
