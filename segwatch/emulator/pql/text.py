"""pql/text: from characters to a tree. This file and its grammar are all that knows lark."""

import re
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from typing import Any, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken
from lark.exceptions import UnexpectedEOF, UnexpectedInput

from segwatch.emulator.pql import scope
from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.functions import WITH_BODY, checked
from segwatch.emulator.pql.mistakes import explained
from segwatch.emulator.pql.tree import (
    ITEM,
    Call,
    Distance,
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
    Relation,
    Search,
    Source,
    Text,
    Truth,
    Unit,
    call,
    number,
)

MAX_LENGTH = 65_536
_SINGULAR = {"centuries": "century", "millennia": "millennium"}


def parse(source: str) -> Query:
    """Return the query that a text asks; raise PqlError with line, column and offset."""
    if len(source) > MAX_LENGTH:
        place = Place(line=1, column=1, offset=1)
        raise PqlError(f"the query has {len(source)} characters, and {MAX_LENGTH} are read. Write two segments.", place)
    try:
        tree: Any = _PARSER.parse(source)
    except UnexpectedToken as exc:
        token = exc.token
        position = len(source) if token.type == "$END" else token.start_pos or 0
        raise explained(source, position, str(token), exc.expected) from None
    except UnexpectedCharacters as exc:
        raise explained(source, cast(int, exc.pos_in_stream), "", exc.allowed) from None
    except (UnexpectedEOF, UnexpectedInput):
        raise explained(source, len(source), "", ()) from None
    parameter, root = tree if isinstance(tree, tuple) else (None, tree)
    return scope.query(cast(Expression, root), parameter=parameter)


def _place(token: Token) -> Place:
    return Place(line=token.line, column=token.column, offset=(token.start_pos or 0) + 1)


def _quoted(token: Token) -> str:
    # Only \" and \\ are escapes: a regular expression keeps its backslashes, as in Adobe's sample "@(\w+)".
    return re.sub(r'\\(["\\])', r"\1", str(token)[1:-1])


def _unit(token: Token) -> Unit:
    word = str(token).lower()
    return cast(Unit, _SINGULAR.get(word) or (word if word == "century" else word.removesuffix("s")))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """What follows `occurs`, before it is known what occurs."""

    relation: Relation
    times: tuple[Expression, ...]
    distance: Distance | None
    at: Place

    def of(self, value: Expression, at: Place) -> Occurs:
        return Occurs(value=value, relation=self.relation, times=self.times, distance=self.distance, at=at)


class _Builder(Transformer[Token, Any]):
    """Builds nodes as the parser reduces: bottom up, so that no text is too deep for it."""

    def with_parameter(self, parts: list[Any]) -> tuple[str, Expression]:
        head, body = parts
        names = [name.strip() for name in str(head).rpartition(")")[0].lstrip("(").split(",")]
        if len(names) > 1:
            raise PqlError("a segment has one parameter, the profile. Write (Profile) => ...", _place(head))
        return names[0], body

    def infix(self, parts: list[Any]) -> Call:
        left, operator, right = parts
        word = str(operator).lower()
        return call("notIn" if word == "notin" else word, left, right, at=_place(operator))

    def negation(self, parts: list[Any]) -> Call:
        return call("not", parts[1], at=_place(parts[0]))

    def negative(self, parts: list[Any]) -> Expression:
        sign, value = parts
        if isinstance(value, Number):
            return Number(value=-value.value, at=_place(sign))
        return call("-", Number(value=0, at=_place(sign)), value, at=_place(sign))

    def name(self, parts: list[Any]) -> Name:
        if parts[0].lower() == "null":
            raise PqlError(
                "nothing is compared with null. Write field.isNull() or field.isNotNull().", _place(parts[0])
            )
        return Name(name=str(parts[0]), at=_place(parts[0]))

    def parameter(self, parts: list[Any]) -> Profile:
        if str(parts[0]) != "$1":
            raise PqlError(f"a segment has one parameter, the profile. Write $1, not {parts[0]}.", _place(parts[0]))
        return Profile(at=_place(parts[0]))

    def text(self, parts: list[Any]) -> Text:
        return Text(value=_quoted(parts[0]), at=_place(parts[0]))

    def number(self, parts: list[Any]) -> Number:
        token = parts[0]
        double = float(token)
        if double == float("inf"):
            raise PqlError("the number is too large. Write one below 1.8e308.", _place(token))
        exact = Decimal(str(token))
        if double.is_integer() and exact != exact.to_integral_value():
            raise PqlError("a fraction of so many digits cannot be kept. Write fewer.", _place(token))
        return Number(value=number(exact), at=_place(token))

    def truth(self, parts: list[Any]) -> Truth:
        return Truth(value=str(parts[0]).lower() == "true", at=_place(parts[0]))

    def moment(self, parts: list[Any]) -> Moment:
        return Moment(word=cast(Any, str(parts[0]).lower()), at=_place(parts[0]))

    def period(self, parts: list[Any]) -> Period:
        which, unit = parts
        return Period(which=cast(Any, str(which).lower()), unit=_unit(unit), at=_place(which))

    def items(self, parts: list[Any]) -> Items:
        return Items(items=tuple(parts[1]), at=_place(parts[0]))

    def arguments(self, parts: list[Any]) -> list[Expression]:
        return parts

    def field(self, parts: list[Any]) -> Field:
        return Field(of=parts[0], name=str(parts[1]), at=_place(parts[1]))

    def function(self, parts: list[Any]) -> Call:
        made = call(str(parts[0]), *(parts[1] if len(parts) > 1 else ()), at=_place(parts[0]))
        checked(made, called_as="function")
        return made

    def method(self, parts: list[Any]) -> Call | Each:
        value, name, *rest = parts
        arguments = rest[0] if rest else []
        made: Call | Each
        if name in WITH_BODY and len(arguments) == 1:
            made = Each(function=str(name), array=value, variable=ITEM, body=arguments[0], at=_place(name))
        else:
            made = call(str(name), value, *arguments, at=_place(name))
        checked(made, called_as="method")
        return made

    def bracket(self, parts: list[Any]) -> Each:
        array, opening, body = parts
        if isinstance(body, Number):
            raise PqlError("items have no number. Write array.head() for the first one.", _place(opening))
        if isinstance(body, Text):
            raise PqlError('brackets hold a condition. Write map.get("key") to look into a map.', _place(opening))
        return Each(function="filter", array=array, variable=ITEM, body=body, at=_place(opening))

    def source(self, parts: list[Any]) -> Source:
        name, _, array, *where = parts
        return Source(variable=str(name), array=array, where=where[0] if where else None, at=_place(name))

    def search(self, parts: list[Any]) -> Search:
        word, *sources = parts
        return Search(quantifier=cast(Any, str(word).lower()), sources=tuple(sources), at=_place(word))

    def aggregate(self, parts: list[Any]) -> Each:
        word, body, _, source, *more = parts
        if more:
            raise PqlError(f"{word} goes over one variable here. Write one source.", more[0].at)
        array = source.array
        if source.where is not None:
            array = Each(function="filter", array=array, variable=source.variable, body=source.where, at=source.at)
        return Each(function=str(word).lower(), array=array, variable=source.variable, body=body, at=_place(word))

    def at_distance(self, parts: list[Any]) -> _Tail:
        comparison, amount, unit, direction, time = parts
        distance = Distance(comparison=str(comparison), amount=int(amount), unit=_unit(unit), at=_place(comparison))
        return self._aside(direction, time, distance)

    def on_side(self, parts: list[Any]) -> _Tail:
        return self._aside(parts[0], parts[1], None)

    def _aside(self, direction: Token, time: Expression, distance: Distance | None) -> _Tail:
        word = str(direction).lower()
        if word == "from":
            raise PqlError(
                "no document says whether `from` looks back or ahead. Write before or after.", _place(direction)
            )
        return _Tail(relation=cast(Relation, word), times=(time,), distance=distance, at=_place(direction))

    def on_time(self, parts: list[Any]) -> _Tail:
        return _Tail(relation="on", times=(parts[-1],), distance=None, at=parts[-1].at)

    def between(self, parts: list[Any]) -> _Tail:
        word, low, _, high = parts
        return _Tail(relation="between", times=(low, high), distance=None, at=_place(word))

    def occurs(self, parts: list[Any]) -> Occurs:
        value, word, tail = parts
        return cast(Occurs, tail.of(value, _place(word)))

    def step(self, parts: list[Any]) -> tuple[Token, list[Any]]:
        return parts[0], [part for part in parts[1:] if not isinstance(part, Token)]

    def chain(self, parts: list[Any]) -> Search:
        word, array, time, _, (_, conditions), *more = parts
        if more:
            raise PqlError(
                "a chain of several events is not computed here. Write select X from xEvent where ..., "
                "Y from xEvent where ... and Y.timestamp occurs after X.timestamp.",
                _place(more[0][0]),
            )
        # One step asks for an event that is so and happened then: an `exists`.
        name = Name(name=str(time), at=_place(time))
        wanted = [part.of(name, part.at) if isinstance(part, _Tail) else part for part in conditions]
        where = call("and", *wanted, at=_place(word)) if len(wanted) > 1 else (wanted or [None])[0]
        source = Source(variable=ITEM, array=array, where=where, at=_place(word))
        return Search(quantifier="exists", sources=(source,), at=_place(word))


_PARSER = Lark(
    files("segwatch.emulator.pql").joinpath("grammar.lark").read_text(encoding="utf-8"),
    parser="lalr",
    transformer=_Builder(visit_tokens=False),
    maybe_placeholders=False,
)
