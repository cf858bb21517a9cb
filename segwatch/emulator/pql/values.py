"""What an expression becomes: SQL with a type."""

from dataclasses import dataclass

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.shape import TRUTH, Kind, Type
from segwatch.emulator.pql.tree import Place

# Where the SQL of one expression ends: pieces are repeated in it, so that a small query could make it endless.
MAX_SQL = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time from `start` to just before `end`, both SQL of type TIMESTAMP, in UTC."""

    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The items of an array for which a condition holds; all SQL. variable: what the condition calls an item.

    Whether there are any, and how many, is asked of the conditions: copying the items costs DuckDB twice as much.
    """

    array: str
    variable: str
    condition: str

    @property
    def items(self) -> str:
        return f"list_filter({self.array}, lambda {self.variable}: {self.condition})"

    @property
    def any(self) -> str:
        verdicts = f"list_transform({self.array}, lambda {self.variable}: {self.condition})"
        return f"coalesce(list_contains({verdicts}, true), false)"

    @property
    def count(self) -> str:
        held = f"list_transform({self.array}, lambda {self.variable}: nullif({self.condition}, false))"
        return f"coalesce(list_count({held}), 0)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """sql: the value; NULL is a missing one, unless `never_null`.

    span: the stretch that a day or a period covers; its sql is then the start.
    is_path: it names something of a profile, so that a condition may ask whether it is there.
    text: the text that was written, of a literal one.
    items: those of an array that was written out.
    unchecked: the SQL of a computed number that may also be NaN, for computing on.
    found: how an array was searched for, if it was.
    """

    sql: str
    type: Type
    at: Place
    span: Span | None = None
    never_null: bool = False
    is_path: bool = False
    text: str | None = None
    items: "tuple[Value, ...]" = ()
    unchecked: str = ""
    found: Found | None = None

    def __post_init__(self) -> None:
        if len(self.sql) > MAX_SQL:
            raise PqlError("the query becomes too large when it is written out. Write two segments.", self.at)

    @property
    def kind(self) -> Kind:
        return self.type.kind

    @property
    def item(self) -> Type:
        assert self.type.item is not None
        return self.type.item

    def of(self, kind: Kind, what: str) -> "Value":
        """Return it if it is of a kind; else raise PqlError, which says that `what` takes that kind."""
        if self.kind is kind:
            return self
        raise PqlError(f"{what} takes {kind}, and this is {self.kind}.{_instead(self.kind, kind)}", self.at)


def truth(sql: str, at: Place) -> Value:
    """Return a condition; one without a value is false, so that `not` of it is true."""
    return Value(sql=f"coalesce({sql}, false)", type=TRUTH, at=at, never_null=True)


def certain(sql: str, at: Place) -> Value:
    """Return a condition that has a value whatever is missing."""
    return Value(sql=sql, type=TRUTH, at=at, never_null=True)


def condition(value: Value) -> str:
    """Return a value as a condition, never NULL: an array holds if it has items, what else is named if it is there."""
    match value.kind:
        case Kind.TRUTH:
            return value.sql if value.never_null else f"coalesce({value.sql}, false)"
        case Kind.ARRAY if value.found is not None:
            return value.found.any
        case Kind.ARRAY:
            return f"coalesce(len({value.sql}) > 0, false)"
        case _ if value.is_path:
            return f"({value.sql} IS NOT NULL)"
        case kind:
            raise PqlError(f"a condition is needed, and this is {kind}. Write a comparison.", value.at)


def joined(conditions: list[str], word: str) -> str:
    """Return conditions as one, with AND or OR between them."""
    # In halves: a thousand of them would else stand a thousand levels deep for those who parse by recursion.
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return f"({joined(conditions[:half], word)} {word} {joined(conditions[half:], word)})"


def _instead(found: Kind, wanted: Kind) -> str:
    match found, wanted:
        case Kind.ARRAY, _:
            return " Write array.count(), or select X from array where ..."
        case Kind.MAP, _:
            return ' Write map.get("key") first.'
        case Kind.OBJECT, _:
            return " Write one of its fields."
        case Kind.TEXT | Kind.NUMBER, Kind.ARRAY:
            return " Write a field that is an array, or items in brackets, such as [0, 1]."
        case Kind.TEXT, Kind.NUMBER:
            return " Write the number without quotes, or compare another field."
        case Kind.NUMBER, Kind.TEXT:
            return " Write the text in double quotes, or compare another field."
        case _:
            return " Write another field."
