"""The functions that this platform computes, and those that it knows and refuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from segwatch.emulator.pql.errors import PqlError, nearest
from segwatch.emulator.pql.tree import Call, Each


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """example: how a call is written; least, most: its arguments, the value before the dot among them."""

    example: str
    least: int
    most: int


def _signatures(*rows: tuple[str, str, int, int]) -> Mapping[str, Signature]:
    return MappingProxyType(
        {name: Signature(example=example, least=least, most=most) for name, example, least, most in rows}
    )


FUNCTIONS = _signatures(
    ("date", "date(2020, 3, 14)", 3, 3),
    ("currentMonth", "currentMonth()", 0, 0),
    ("currentYear", "currentYear()", 0, 0),
    ("currentDayOfMonth", "currentDayOfMonth()", 0, 0),
    ("if", "if(condition, 1, 2)", 3, 3),
)
METHODS = _signatures(
    *((name, f'text.{name}("a")', 2, 3) for name in ("startsWith", "endsWith", "contains", "equals")),
    *((name, f'text.{name}("a")', 2, 3) for name in ("doesNotStartWith", "doesNotEndWith", "doesNotContain")),
    ("notEqualTo", 'text.notEqualTo("a")', 2, 3),
    ("matches", 'text.matches("^a")', 2, 2),
    ("regexGroup", 'text.regexGroup("@(.+)", 1)', 3, 3),
    ("isNull", "field.isNull()", 1, 1),
    ("isNotNull", "field.isNotNull()", 1, 1),
    ("getMonth", "time.getMonth()", 1, 1),
    ("getYear", "time.getYear()", 1, 1),
    ("getDayOfMonth", "time.getDayOfMonth()", 1, 1),
    ("count", "array.count()", 1, 1),
    *((name, f"array.{name}(field)", 1, 2) for name in ("sum", "average", "min", "max")),
    ("filter", "array.filter(condition)", 2, 2),
    ("map", "array.map(field)", 2, 2),
    ("head", "array.head()", 1, 1),
    ("distinct", "array.distinct()", 1, 1),
    ("includes", 'array.includes("a")', 2, 2),
    *((name, f'array.{name}(["a", "b"])', 2, 2) for name in ("intersects", "subsetOf", "supersetOf", "intersection")),
    ("get", 'map.get("key")', 2, 2),
    ("keys", "map.keys()", 1, 1),
    ("values", "map.values()", 1, 1),
)
OPERATORS = _signatures(
    *((name, f"a {name} b", 2, 2) for name in ("=", "!=", "<", "<=", ">", ">=")),
    *((name, f"a {name} b", 2, 2) for name in ("+", "-", "*", "/", "%", "like")),
    *((name, f'a {name} ["b", "c"]', 2, 2) for name in ("in", "notIn")),
    *((name, f"a {name} b", 2, 1_000_000) for name in ("and", "or")),
    ("not", "not (a)", 1, 1),
)
WITH_BODY = frozenset({"filter", "map", "sum", "average", "min", "max"})
KNOWN = MappingProxyType({**OPERATORS, **FUNCTIONS, **METHODS})

_ORDER = "Adobe's documents contradict each other about its order. Write array.max(field) or array.min(field)"
_REFUSED = MappingProxyType(
    {
        "inSegment": "Write the other segment's condition itself: a query sees profiles, not who is in which segment",
        "groupBy": "Write array.filter(condition).count() for the group that you look for",
        "topN": _ORDER,
        "bottomN": _ORDER,
        "let": "Write the expression out where its name would stand",
        "between": "Write a >= 1 and a <= 2, or for times: a occurs between date(2020, 1, 1) and today",
        "chain": 'Write chain(xEvent, timestamp, [A: WHAT(eventType = "a") WHEN(today)])',
        "notLike": 'Write not (text like "a%")',
        "exists": "Write field.isNotNull(), or for arrays: exists X from array where X.field = 1",
    }
)


def checked(node: Call | Each, *, called_as: str) -> None:
    """Raise PqlError unless the function is one of ours and has as many arguments as it takes.

    called_as: `function`, `method` or `operator`, by how it is written; `any` for pql/json, where all look alike.
    """
    name = node.function
    if name in _REFUSED:
        raise PqlError(f"{name} is not computed here. {_REFUSED[name]}.", node.at)
    known = {"function": FUNCTIONS, "method": METHODS, "operator": OPERATORS}.get(called_as, KNOWN)
    signature = known.get(name)
    if signature is None:
        if name in KNOWN:
            raise PqlError(f"{name} is not written as a {called_as}. Write {KNOWN[name].example}.", node.at)
        hint = nearest(name, known) or " docs/reference/pql.md lists those that are."
        raise PqlError(f"{name} is no function that is computed here.{hint}", node.at)
    count = len(node.arguments) if isinstance(node, Call) else 2
    if not signature.least <= count <= signature.most:
        raise PqlError(
            f"{name} has too {'few' if count < signature.least else 'many'} arguments. Write {signature.example}.",
            node.at,
        )
