"""A query as a tree: what pql/text and pql/json are both read into.

Two trees are equal when they ask the same; where a node stood in its source does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal as OneOf

ITEM = "$item"  # the variable of `array[...]`, which its writer never names; no text can hold this name

Unit = OneOf[
    "millisecond", "second", "minute", "hour", "day", "week", "month", "year", "decade", "century", "millennium"
]
Relation = OneOf["on", "before", "after", "between"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a node begins: line, column and offset from 1, or a JSON pointer."""

    line: int | None = None
    column: int | None = None
    offset: int | None = None
    pointer: str | None = None

    def __str__(self) -> str:
        if self.pointer is not None:
            return f"at {self.pointer or 'the root'}"
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Node):
    value: int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth(Node):
    value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Node):
    """An array written out: `["US", "CA"]`."""

    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Node):
    """The profile that is looked at: `$1`, or what every path without a variable begins at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    """A first word whose meaning depends on what surrounds it. None is left once `scope.resolve` has passed."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Node):
    of: "Expression"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """An operator or a function, by the name that pql/json gives it: `=`, `and`, `startsWith`, `count`."""

    function: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Each(Node):
    """A function whose second argument is worked out for every item: filter, map, sum, average, min, max."""

    function: str
    array: "Expression"
    variable: str
    body: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Node):
    """`variable from array where condition`."""

    variable: str
    array: "Expression"
    where: "Expression | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(Node):
    quantifier: OneOf["select", "exists", "forall"]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment(Node):
    word: OneOf["now", "today", "yesterday", "tomorrow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period(Node):
    which: OneOf["this", "last", "next"]
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance(Node):
    """`<= 3 days`: how far from a time."""

    comparison: str
    amount: int
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurs(Node):
    """A time against another: `on` one, `before` or `after` one (perhaps by a distance), `between` two."""

    value: "Expression"
    relation: Relation
    times: tuple["Expression", ...]
    distance: Distance | None = None


Expression = (
    Text | Number | Truth | Items | Profile | Variable | Name | Field | Call | Each | Search | Moment | Period | Occurs
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One parsed query; equal to any other that asks the same."""

    root: Expression


def number(value: float | Decimal) -> int | float:
    """Return a number as it is computed with: whole ones exactly, as far as a type of DuckDB reaches, else a double."""
    whole = int(value)
    return whole if whole == value and abs(whole) < 2**127 else float(value)


def call(function: str, *arguments: Expression, at: Place) -> Call:
    """Return the call; `and` and `or` take in nested ones of their kind, so that grouping makes no other tree."""
    if function not in ("and", "or"):
        return Call(function=function, arguments=arguments, at=at)
    flat: list[Expression] = []
    for argument in arguments:
        if isinstance(argument, Call) and argument.function == function:
            flat += argument.arguments
        else:
            flat.append(argument)
    return Call(function=function, arguments=tuple(flat), at=at)


def parts(node: Expression) -> Iterator[Expression]:
    """Yield the expressions that a node is made of, those of a search excepted: they have variables in sight."""
    match node:
        case Items(items=items):
            yield from items
        case Field(of=of):
            yield of
        case Call(arguments=arguments):
            yield from arguments
        case Occurs(value=value, times=times):
            yield value
            yield from times
        case _:
            return
