"""The language of templates: Jinja, of which only that is left whose cost is bounded by its length and its loops.

The sandbox of Jinja keeps a template from Python's insides, not from `range(10**9)`, `'x' * 10**9` or a text that is
put together with itself forty times over. So nothing here can be called, assigned or defined: a template is one
expression after the other, loops go over lists that are there, and each turn of a loop costs as many steps as its body
has parts. Operators work on numbers of bearable size. What a name leads to is in a table or a list: no attribute of a
Python object can be reached at all.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from jinja2 import Template, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS

from segwatch.deliveries.phrases import printable
from segwatch.deliveries.runes import clip
from segwatch.deliveries.templates import filters
from segwatch.deliveries.templates.budget import Budget, Refused
from segwatch.deliveries.templates.checking import TESTS, Unusable, check
from segwatch.deliveries.templates.constants import OPERATORS, divisor, operand
from segwatch.deliveries.templates.filters import BUDGET, text_of
from segwatch.deliveries.templates.view import KNOWN, Table

SOURCE_MAX = 4000  # runes of one template
_WHY_MAX = 400  # runes: an error may name what a template has put together
_FILE = "<a template of the settings>"
_LOOP = ("first", "index", "index0", "last", "length")
_EACH, _SHOWN = "for each", "as shown"  # ours; no template can write these names, for their blanks


class Missing(Undefined):
    """What is not there: it may be asked for (`if`, `default`, `is defined`, loops) and may not be shown."""

    __slots__ = ()

    def __str__(self) -> str:
        return self._fail_with_undefined_error()


def _missing(path: str) -> Missing:
    return Missing(f'{path} is not there. Write {path}|default("..."), or {{% if {path} %}} around it', name=path)


def _lacking(what: str, argument: object) -> Missing:
    said = f'{what} has no {argument!r}. Write |default("...") behind what asks for it, or {{% if ... %}} around it'
    return Missing(said, name=f"what {what} does not have")


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with tables and lists in place of attributes, and operators for numbers only."""

    intercepted_binops = OPERATORS
    intercepted_unops = frozenset({"+", "-"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return _missing(f"{obj._undefined_name}.{argument}")
        if isinstance(obj, Mapping):
            if argument in obj:
                return obj[argument]
            return _missing(f"{obj.path}.{argument}") if isinstance(obj, Table) else _lacking("the table", argument)
        if isinstance(obj, LoopContext) and argument in _LOOP:
            return getattr(obj, argument)
        if isinstance(obj, str | list | tuple) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return obj[argument]
        return _lacking("the list" if isinstance(obj, list | tuple) else "a text or a number", argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for one in (left, right):
            operand(operator, one)
        divisor(operator, right)
        return super().call_binop(context, operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        operand(operator, arg)
        return super().call_unop(context, operator, arg)


@pass_context
def _shown(context: Context, value: Any) -> str:
    return text_of(value)


@pass_context
def _each(context: Context, value: Any, cost: int) -> Sequence[Any]:
    """Return what is looped over. cost: the steps of one turn."""
    if isinstance(value, Mapping):
        raise Refused("a loop goes over a list, and this is a table. Write {% for name, value in ...|items %}")
    if not isinstance(value, list | tuple | Undefined):
        raise Refused("a loop goes over a list, such as message.items, and this is none")
    budget: Budget = context.parent[BUDGET]
    budget.spend(len(value) * cost)
    return list(value)


def _environment() -> _Environment:
    found = _Environment(undefined=Missing, autoescape=False, optimized=False, finalize=_shown, cache_size=0)
    found.globals.clear()
    found.filters = {name: filters.metered(name) for name in filters.PLAIN} | {_SHOWN: _shown, _EACH: _each}
    found.tests = {name: JINJA_TESTS[name] for name in TESTS}
    return found


_ENVIRONMENT = _environment()


class Text:
    """A compiled template. Raises Unusable if it is none, names what nobody knows, or could run for long."""

    def __init__(self, source: str) -> None:
        if len(source) > SOURCE_MAX:
            raise Unusable(1, f"has {len(source):,} runes, more than {SOURCE_MAX:,}. Write less")
        try:
            tree = _ENVIRONMENT.parse(source)
            check(tree, frozenset(KNOWN))
            self._cost = _cost(tree)
            bounded = _bounded(tree)
            self._template = Template.from_code(_ENVIRONMENT, _ENVIRONMENT.compile(bounded, filename=_FILE), {})
        except TemplateSyntaxError as error:
            raise Unusable(error.lineno, _syntax(error)) from None
        except (RecursionError, MemoryError, SyntaxError, OverflowError):  # Python's words for what is too deep
            raise Unusable(1, "has too much in one another. Write it flatter") from None

    def render(self, view: Mapping[str, Any], budget: Budget, most: int) -> str:
        """Return the text for an event; no more than begins `most` + 1 runes of it. Raises Unusable."""
        parts, length = [], 0
        try:
            budget.spend(self._cost)
            context = self._template.new_context({**view, BUDGET: budget})
            for part in self._template.root_render_func(context):
                parts.append(part[: most + 1])
                length += len(part)
                if length > most:
                    break
        except Exception as error:  # noqa: BLE001 - whatever a template of somebody's stumbles over, the message goes out
            raise Unusable(self._line(error), _words(error)) from None
        return "".join(parts)[: most + 1]

    def _line(self, error: Exception) -> int:
        """Return the line of the template at which it failed; 1 where that is not known."""
        lines, trace = [1], error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == _FILE:
                lines.append(self._template.get_corresponding_lineno(trace.tb_lineno))
            trace = trace.tb_next
        return lines[-1]


def _words(error: Exception) -> str:
    if isinstance(error, Refused | UndefinedError):
        return clip(printable(str(error)), _WHY_MAX)
    return f"fails with {type(error).__name__}: {clip(printable(str(error)), _WHY_MAX // 2)}".removesuffix(": ")


def _syntax(error: TemplateSyntaxError) -> str:
    said = (error.message or "is no template").splitlines()[0].removesuffix(".")
    return f"cannot be read: {said}"


def _cost(node: nodes.Node) -> int:
    return 1 + sum(map(_cost, node.iter_child_nodes()))


def _bounded(tree: nodes.Template) -> nodes.Template:
    """Return the tree with what counts its turns at each loop, and what refuses lists where texts are put together."""
    for loop in tree.find_all(nodes.For):
        tests = [loop.test] if loop.test is not None else []
        cost = sum(map(_cost, chain(loop.body, tests))) + 1
        loop.iter = _filtered(loop.iter, _EACH, nodes.Const(cost))
    for concat in tree.find_all(nodes.Concat):
        concat.nodes = [_filtered(one, _SHOWN) for one in concat.nodes]
    for choice in tree.find_all(nodes.CondExpr):
        choice.expr2 = choice.expr2 or nodes.Const("", lineno=choice.lineno)
    return tree


def _filtered(node: Any, name: str, *args: nodes.Expr) -> nodes.Filter:
    made = nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)
    made.set_environment(_ENVIRONMENT)
    return made
