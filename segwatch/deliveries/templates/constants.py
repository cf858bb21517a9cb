"""What in a template is the same for every event, and what operators and filters make of it."""

import operator as python
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from jinja2 import Undefined, nodes

from segwatch.deliveries.templates import filters
from segwatch.deliveries.templates.budget import Refused

NUMBER_MAX = 1e18

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": python.add, "-": python.sub, "*": python.mul, "/": python.truediv, "//": python.floordiv, "%": python.mod,
}  # fmt: skip
OPERATORS = frozenset(_OPERATORS)
_DIVIDE = frozenset({"/", "//", "%"})
_NEAR = datetime(2026, 1, 5, 2, 20, tzinfo=UTC)  # any time will do
_FITTING: dict[str, Any] = {  # to each filter what it takes, so that only its arguments can be wrong; a text to others
    **dict.fromkeys(("ago", "clock", "date"), _NEAR.isoformat()),
    **dict.fromkeys(("number", "plural", "round", "span"), 1),
    "items": {},
}


class Varies(Exception):
    """An expression depends on the event."""


def operand(operator: str, value: Any) -> None:
    """Raise Refused for what no operator here works on, and UndefinedError for what is not there."""
    if isinstance(value, Undefined):
        str(value)  # raises, and says what is not there
    if isinstance(value, bool) or not isinstance(value, int | float):
        instead = "Write ~ to put texts together" if operator in "+%" else "Take the number itself"
        raise Refused(f"{operator} works on numbers only. {instead}")
    if abs(value) > NUMBER_MAX:
        raise Refused(f"{operator} has a number above {NUMBER_MAX:g}. Work with smaller ones")


def divisor(operator: str, value: Any) -> None:
    """Raise Refused where `operator` would divide by zero."""
    if operator in _DIVIDE and value == 0:
        raise Refused(f"{operator} divides by zero. Write {{% if ... %}} around it, or another number")


def constant(node: nodes.Node) -> Any:
    """Return what an expression is for every event. Raises Varies, and Refused for what can be right for none."""
    match node:
        case nodes.Const(value=value):
            if isinstance(value, float) and not isfinite(value):
                raise Refused("a number is too large. Write a smaller one")
            return value
        case nodes.Neg() | nodes.Pos():
            value = constant(node.node)
            operand(node.operator, value)
            return -value if isinstance(node, nodes.Neg) else value
        case nodes.BinExpr() if node.operator in _OPERATORS:
            return _calculated(node)
        case nodes.Filter() if node.node is not None:
            return _filtered(node)
        case _:
            raise Varies


def _calculated(node: nodes.BinExpr) -> Any:
    """Return the number; each side that is known is also judged where the other one varies."""
    known = []
    for side in (node.left, node.right):
        try:
            value = constant(side)
        except Varies:
            continue
        operand(node.operator, value)
        if side is node.right:
            divisor(node.operator, value)
        known.append(value)
    if len(known) < 2:
        raise Varies
    return _OPERATORS[node.operator](*known)


def _filtered(node: nodes.Filter) -> Any:
    """Return what the filter makes of it; arguments that are known are also judged where the value varies."""
    args = [constant(one) for one in node.args]
    kwargs = {str(one.key): constant(one.value) for one in node.kwargs}
    try:
        value, varies = constant(node.node), False  # type: ignore[arg-type]  # the caller has seen that it has one
    except Varies:
        value, varies = _FITTING.get(node.name, "x"), True
    made = filters.plain(node.name, value, *args, near=_NEAR, **kwargs)
    if varies or filters.is_timed(node.name):
        raise Varies
    return made
