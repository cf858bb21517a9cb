"""The functions on texts."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from segwatch.emulator.pql import literals, patterns
from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.shape import TEXT, Kind
from segwatch.emulator.pql.tree import Call, Number, Text, Truth
from segwatch.emulator.pql.values import Value, truth

# name: (what makes it true, in SQL, whether it must not)
FUNCTIONS: Mapping[str, tuple[Callable[[str, str], str], bool]] = MappingProxyType(
    {
        "like": (lambda text, other: f"({text} LIKE {other})", False),
        "startsWith": (lambda text, other: f"starts_with({text}, {other})", False),
        "doesNotStartWith": (lambda text, other: f"starts_with({text}, {other})", True),
        "endsWith": (lambda text, other: f"ends_with({text}, {other})", False),
        "doesNotEndWith": (lambda text, other: f"ends_with({text}, {other})", True),
        "contains": (lambda text, other: f"contains({text}, {other})", False),
        "doesNotContain": (lambda text, other: f"contains({text}, {other})", True),
        "equals": (lambda text, other: f"({text} = {other})", False),
        "notEqualTo": (lambda text, other: f"({text} = {other})", True),
    }
)


def call(node: Call, parts: list[Value]) -> Value:
    """Return what a function says of two texts; false if one is missing, for `doesNotContain` and its like too."""
    value, other = (part.of(Kind.TEXT, node.function) for part in parts[:2])
    first, second = value.sql, other.sql
    if len(parts) > 2:
        flag = node.arguments[2]
        if not isinstance(flag, Truth):
            raise PqlError(f"{node.function} takes true or false last, for whether case counts. Write one.", flag.at)
        if not flag.value:
            first, second = f"lower({first})", f"lower({second})"
    found, negated = FUNCTIONS[node.function]
    sql = found(first, second)
    return truth(f"(NOT {sql})" if negated else sql, node.at)


def by_pattern(node: Call, value: Value) -> Value:
    """Return whether a text has a part that matches, or the part that a group matched (missing if it is empty)."""
    value = value.of(Kind.TEXT, node.function)
    written = node.arguments[1]
    if not isinstance(written, Text):
        raise PqlError("a pattern is written out. Write a text in double quotes.", written.at)
    _, groups = patterns.checked(written)
    if node.function == "matches":
        return truth(f"regexp_matches({value.sql}, {literals.text(written)})", node.at)
    group = node.arguments[2]
    if not isinstance(group, Number) or not isinstance(group.value, int) or not 0 <= group.value <= min(groups, 9):
        raise PqlError(f"the pattern has {groups} groups. Write one of their numbers, or 0 for all of it.", group.at)
    sql = f"nullif(regexp_extract({value.sql}, {literals.text(written)}, {group.value}), '')"
    return Value(sql=sql, type=TEXT, at=node.at)
