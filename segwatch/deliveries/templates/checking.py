"""What may stand in a template: whatever is not here is refused before it is compiled, with what to write instead."""

from collections.abc import Iterable
from typing import NoReturn

from jinja2 import nodes

from segwatch.deliveries.templates import filters
from segwatch.deliveries.templates.budget import Refused
from segwatch.deliveries.templates.constants import Varies, constant
from segwatch.deliveries.templates.view import KNOWN
from segwatch.errors import hint

DEPTH_MAX = 40  # of what stands in one another; Python's own parser gives up at some hundred
LOOPS_MAX = 2  # in one another
TESTS = ("defined", "none", "number", "string", "undefined")  # Jinja's `odd` is a %, which makes texts of any length

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For,
    nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair,
    nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Keyword, nodes.Test,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat,
)  # fmt: skip
_INSTEAD: dict[type[nodes.Node], str] = {
    nodes.Call: "calls something, and nothing can be called. Write a filter, such as event.at|clock",
    nodes.Pow: "has **, which numbers here do not need. Write the number",
    nodes.Assign: "has {% set %}, and nothing can be kept. Write the expression where it is shown",
    nodes.AssignBlock: "has {% set %}, and nothing can be kept. Write the expression where it is shown",
    nodes.Macro: "has {% macro %}. Write a filter, or the text itself",
    nodes.CallBlock: "has {% call %}. Write the text itself",
    nodes.FilterBlock: "has {% filter %}. Write the filter behind each value: message.title|upper",
    nodes.With: "has {% with %}, and nothing can be kept. Write the expression where it is shown",
    nodes.Block: "has {% block %}. A template stands for itself: write the text",
    nodes.Extends: "has {% extends %}. A template stands for itself: write the text",
    nodes.Include: "has {% include %}. A template stands for itself: write the text",
    nodes.Import: "has {% import %}. A template stands for itself: write the text",
    nodes.FromImport: "has {% from %}. A template stands for itself: write the text",
    nodes.Scope: "has {% autoescape %}. Each channel escapes what it is given: leave it out",
}


class Unusable(Exception):
    """A template that cannot be used, or not for this event. line: where in it, from 1; the text says what to write."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def check(node: nodes.Node, names: frozenset[str], *, loops: int = 0, depth: int = 0) -> None:
    """Raise Unusable for what may not stand in a template.

    names: the variables that are known there. loops, depth: in how many loops, and in how much else, the node stands.
    """
    if depth > DEPTH_MAX:
        _refuse(node, "has too much in one another. Write it flatter")
    if not isinstance(node, _ALLOWED):
        _refuse(node, _INSTEAD.get(type(node), f"has {type(node).__name__}, which templates here do not have"))
    match node:
        case nodes.Name(ctx="load") if node.name not in names:
            _refuse(node, f'names "{node.name}", which is not known here. {_known(node.name, names)}')
        case nodes.Getattr(node=nodes.Name(name=root), attr=name) if root in KNOWN:
            _member(node, root, name)
        case nodes.Getitem(node=nodes.Name(name=root), arg=nodes.Const(value=str(name))) if root in KNOWN:
            _member(node, root, name)
        case nodes.Filter():
            _check_filter(node)
        case nodes.Test() if node.name not in TESTS:
            _refuse(node, f'asks whether something is "{node.name}", which is no test. {_known(node.name, TESTS)}')
        case nodes.For():
            return _check_loop(node, names, loops=loops, depth=depth)
        case _:
            pass
    for child in node.iter_child_nodes():
        check(child, names, loops=loops, depth=depth + 1)
    _check_constant(node)
    return None


def _check_constant(node: nodes.Node) -> None:
    """Refuse what is the same for every event, and can be right for none."""
    try:
        constant(node)
    except Varies:
        pass
    except Refused as error:
        _refuse(node, f"cannot be right: {error}")


def _member(node: nodes.Node, root: str, name: str) -> None:
    if name in KNOWN[root]:
        return
    if root == "event" and not hint(name, KNOWN[root]):
        _refuse(node, f"names event.{name}, which events do not have. What is of one type is in event.details.{name}")
    _refuse(node, f"names {root}.{name}, which is not there. {_known(name, KNOWN[root])}")


def _check_filter(node: nodes.Filter) -> None:
    if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
        _refuse(node, "gives a filter its arguments in another way than one by one. Write each")
    if node.name not in filters.PLAIN:
        _refuse(node, f'has the filter "{node.name}", which there is not. {_known(node.name, filters.PLAIN)}')
    kwargs: dict[str, object] = {str(one.key): one.value for one in node.kwargs}
    if filters.misused(node.name, node.args, kwargs):
        _refuse(node, f"gives {node.name} what it does not take. Write {filters.form_of(node.name)}")


def _check_loop(node: nodes.For, names: frozenset[str], *, loops: int, depth: int) -> None:
    if node.recursive:
        _refuse(node, "has a recursive loop. Write loops in one another, two at most")
    if loops == LOOPS_MAX:
        _refuse(node, f"has more than {LOOPS_MAX} loops in one another. Write fewer")
    targets = [node.target] if isinstance(node.target, nodes.Name) else list(node.target.find_all(nodes.Name))
    own = frozenset(one.name for one in targets)
    if taken := own & {*KNOWN, "loop"}:
        _refuse(node, f"loops with the name {min(taken)}, which is taken. Write another, such as one")
    inside = names | own
    check(node.iter, names, loops=loops, depth=depth + 1)
    check(node.target, inside, loops=loops, depth=depth + 1)
    if node.test is not None:
        check(node.test, inside, loops=loops, depth=depth + 1)
    for child in node.body:
        check(child, inside | {"loop"}, loops=loops + 1, depth=depth + 1)
    for child in node.else_:
        check(child, names, loops=loops, depth=depth + 1)


def _refuse(node: nodes.Node, why: str) -> NoReturn:
    raise Unusable(node.lineno or 1, why)


def _known(word: str, known: Iterable[str]) -> str:
    """Return what could stand in place of `word`."""
    names = sorted(known)
    return hint(word, names).lstrip() or f"Known: {', '.join(names)}"
