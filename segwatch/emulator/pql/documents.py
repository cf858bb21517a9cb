"""pql/json: from a document of nodes to a tree.

Adobe shows the nodes in its samples (segment definitions, and the filter expressions of its XDM schemas) and describes
no others. What a public document does not show is refused: `occurs` and `chain` among it, and every key that is not a
node's own, since a condition under a misspelled key would silently select everybody.
"""

import json
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from segwatch.emulator.pql import scope
from segwatch.emulator.pql.errors import PqlError, nearest
from segwatch.emulator.pql.functions import checked
from segwatch.emulator.pql.tree import (
    Expression,
    Field,
    Items,
    Number,
    Place,
    Profile,
    Query,
    Search,
    Source,
    Text,
    Truth,
    Variable,
    call,
    number,
)

MAX_LENGTH = 1_000_000
# what each kind of node may have beside its nodeType
_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "fnApply": ("fnName", "params"),
        "fieldLookup": ("fieldName", "object"),
        "literal": ("literalType", "value"),
        "parameterReference": ("position",),
        "varRef": ("varName",),
        "select": ("variables",),
        "quantification": ("quantifier", "variables"),
        "varDecl": ("varName", "from", "where"),
    }
)
_QUANTIFIERS = {"some": "exists", "exists": "exists", "all": "forall", "forall": "forall"}
_EVENTS = "https://ns.adobe.com/xdm/context/experienceevent"
# what pql/text has, and no public document shows as a node
_TEXT_ONLY = frozenset({"occurs", "chain", "now", "today", "yesterday", "tomorrow"})
_NAME = re.compile(r"[A-Za-z_@][A-Za-z0-9_]*")


def parse(document: dict[str, Any] | str) -> Query:
    """Return the query that a document asks; raise PqlError with the JSON pointer of the node."""
    if isinstance(document, str):
        document = _loaded(document)
    return scope.query(_node(document, ""))


def _loaded(source: str) -> dict[str, Any]:
    root = Place(pointer="")
    if len(source) > MAX_LENGTH:
        raise PqlError(f"the document has more than {MAX_LENGTH} characters. Write two segments.", root)
    try:
        found = json.loads(source, object_pairs_hook=_unique)
    except RecursionError:
        raise PqlError("the document is nested too deeply. Write two segments.", root) from None
    except ValueError as exc:
        raise PqlError(f"this is no JSON ({exc}). Write a document of nodes, or the format pql/text.", root) from None
    return cast(dict[str, Any], found)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _node(node: Any, pointer: str) -> Expression:
    at = Place(pointer=pointer)
    if pointer.count("/") > 4 * scope.MAX_DEPTH:
        raise PqlError("the nodes are nested too deeply. Write two segments.", at)
    kind = _kind(node, at)
    match kind:
        case "fnApply":
            return _call(node, at)
        case "fieldLookup":
            of = _node(node["object"], f"{pointer}/object") if "object" in node else Profile(at=at)
            return Field(of=of, name=_text(node, "fieldName", at).removeprefix("xdm:"), at=at)
        case "literal":
            return _literal(node, at)
        case "parameterReference":
            if node.get("position") != 1 or not isinstance(node["position"], int) or node["position"] is True:
                raise PqlError('a segment has one parameter, the profile. Write "position": 1.', at)
            return Profile(at=at)
        case "varRef":
            return Variable(name=_variable(node, at), at=at)
        case "select":
            return Search(quantifier="select", sources=_sources(node, at), at=at)
        case "quantification":
            word = _text(node, "quantifier", at)
            if word not in _QUANTIFIERS:
                raise PqlError(f'there is no quantifier {word}. Write "some" or "all".', at)
            return Search(quantifier=cast(Any, _QUANTIFIERS[word]), sources=_sources(node, at), at=at)
        case _:
            raise PqlError('varDecl stands in "variables" only. Write select or quantification around it.', at)


def _kind(node: Any, at: Place) -> str:
    """Return which of the known kinds a node is of; raise PqlError for another one, and for a key that it cannot have.

    Whoever reads a key afterwards checks what is under it.
    """
    kind = _text(node, "nodeType", at)
    if kind not in _KEYS:
        nodes = [one for one in _KEYS if one != "varDecl"]
        hint = nearest(kind, nodes) or f" Write one of {', '.join(nodes)}, or the format pql/text."
        raise PqlError(f"no public document shows the nodeType {kind[:40]}.{hint}", at)
    for key in node:
        if key != "nodeType" and key not in _KEYS[kind]:
            place = Place(pointer=f"{at.pointer}/{key.replace('~', '~0').replace('/', '~1')}")
            hint = nearest(key, _KEYS[kind]) or " Leave it out."
            raise PqlError(f"a {kind} has no such key: it has {', '.join(_KEYS[kind])}.{hint}", place)
    return kind


def _text(node: Any, key: str, at: Place) -> str:
    if not isinstance(node, dict):
        raise PqlError('a node is a JSON object. Write {"nodeType": ...}.', at)
    _demand(node, key, "a text", at)
    if not isinstance(node[key], str) or not node[key]:
        raise PqlError(f'"{key}" is no text, or an empty one. Write one.', Place(pointer=f"{at.pointer}/{key}"))
    return cast(str, node[key])


def _list(node: Any, key: str, at: Place) -> list[Any]:
    _demand(node, key, "an array of nodes", at)
    if not isinstance(node[key], list):
        raise PqlError(f'"{key}" is no array. Write it as an array of nodes.', Place(pointer=f"{at.pointer}/{key}"))
    return cast(list[Any], node[key])


def _demand(node: dict[str, Any], key: str, what: str, at: Place) -> None:
    if key not in node:
        raise PqlError(f'the node lacks "{key}". Write it as {what}.', at)


def _variable(node: Any, at: Place) -> str:
    name = _text(node, "varName", at)
    if not _NAME.fullmatch(name):
        raise PqlError("a variable's name is made of letters, digits and _. Write another.", at)
    return name


def _call(node: Any, at: Place) -> Expression:
    name = _text(node, "fnName", at)
    if name == "modelInstances":
        return _events(node, at)
    if name in _TEXT_ONLY:
        raise PqlError(f"no public document shows {name} as a node. Write this segment as pql/text.", at)
    parts = [_node(part, f"{at.pointer}/params/{place}") for place, part in enumerate(_list(node, "params", at))]
    if name in ("filter", "map") or (name in ("sum", "average", "min", "max") and len(parts) > 1):
        raise PqlError(f"no public document shows {name} with an expression as a node. Write it as pql/text.", at)
    made = call(name, *parts, at=at)
    checked(made, called_as="any")
    return made


def _events(node: Any, at: Place) -> Expression:
    parts = [_node(part, f"{at.pointer}/params/{place}") for place, part in enumerate(_list(node, "params", at))]
    match parts:
        case [Text(value=model)] if model == _EVENTS:
            return Field(of=Profile(at=at), name="xEvent", at=at)
        case _:
            raise PqlError(f'only the events of a profile are known here. Write "{_EVENTS}".', at)


def _sources(node: Any, at: Place) -> tuple[Source, ...]:
    found = []
    for index, declared in enumerate(_list(node, "variables", at)):
        place = Place(pointer=f"{at.pointer}/variables/{index}")
        if _kind(declared, place) != "varDecl":
            raise PqlError('variables are declared one by one. Write "nodeType": "varDecl".', place)
        _demand(declared, "from", "the node of an array", place)
        array = _node(declared["from"], f"{place.pointer}/from")
        where = _node(declared["where"], f"{place.pointer}/where") if "where" in declared else None
        found.append(Source(variable=_variable(declared, place), array=array, where=where, at=place))
    if not found:
        raise PqlError('a search needs a variable. Write a varDecl into "variables".', at)
    return tuple(found)


def _literal(node: Any, at: Place) -> Expression:
    _demand(node, "value", "a text, a number, a boolean or an array of these", at)
    kind, value = _text(node, "literalType", at) if "literalType" in node else None, node["value"]
    if kind == "XDMObject":
        if value != "profile":
            raise PqlError('the profile is the only object that is known here. Write "value": "profile".', at)
        return Profile(at=at)
    if kind == "List" or (kind is None and isinstance(value, list)):
        if not isinstance(value, list):
            raise PqlError('a List has an array for its "value". Write ["a", "b"].', at)
        items = (_scalar(item, Place(pointer=f"{at.pointer}/value/{n}")) for n, item in enumerate(value))
        return Items(items=tuple(items), at=at)
    found = _scalar(value, at)
    match kind, found:
        case (None, _) | ("String", Text()) | ("Boolean", Truth()) | ("Double" | "Number", Number()):
            return found
        case "Integer", Number(value=int()):
            return found
        case "String" | "Boolean" | "Integer" | "Double" | "Number", _:
            raise PqlError(f"the value is no {kind}. Write one, or another literalType.", at)
        case _:
            raise PqlError(
                f"no public document shows the literalType {kind[:40]}. "
                "Write String, Integer, Double, Boolean or List.",
                at,
            )


def _number(value: int | float, at: Place) -> Number:
    """Return a number; as in pql/text, as far as doubles reach."""
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # a whole number
        is_finite = False
    if not is_finite:
        raise PqlError("the number is too large. Write one below 1.8e308.", at)
    return Number(value=number(value), at=at)


def _scalar(value: Any, at: Place) -> Expression:
    match value:
        case bool():
            return Truth(value=value, at=at)
        case str():
            return Text(value=value, at=at)
        case int() | float() if value == value:  # not so: NaN
            return _number(value, at)
        case {"nodeType": "literal"} if _kind(value, at):
            return _literal(value, at)
        case _:
            raise PqlError("a literal is a text, a number or a boolean. Write one.", at)
