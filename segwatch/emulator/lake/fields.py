"""Which fields a projection keeps: from dot paths to SQL that leaves every kept field where it is."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from segwatch.emulator.lake.tables import reserved

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

Fields = Mapping[str, "DuckDBPyType"]
# what is kept below a field; an empty one keeps all of it
Tree = dict[str, "Tree"]


class UnknownField(ValueError):
    """A path that leads nowhere; says which, and what there is instead."""


def tree(paths: Iterable[str]) -> Tree:
    """Return the paths as one tree. A path that is a part of another keeps the whole of it."""
    kept: Tree = {}
    for path in sorted(
        paths, key=lambda path: path.count(".")
    ):  # the shorter first: they keep the whole of a longer one
        node = kept
        for name in path.split("."):
            if name in node and not node[name]:
                break
            node = node.setdefault(name, {})
    return kept


def select_list(kept: Tree, known: Fields, *, source: str) -> dict[str, str]:
    """Return an SQL expression for each top-level field that is kept. source: what qualifies the columns.

    Raises UnknownField.
    """
    return {
        name: _projected(f"{source}.{quoted(name)}", _type_of(name, known, path=name), below, path=name, depth=0)
        for name, below in kept.items()
    }


def quoted(name: str) -> str:
    """Return a name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL writes it, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"


def packed(expression: str, members: Mapping[str, str]) -> str:
    """Return SQL for a struct of the members, NULL where the expression is."""
    pairs = ", ".join(f"{quoted(name)} := {member}" for name, member in members.items())
    return f"CASE WHEN {expression} IS NOT NULL THEN struct_pack({pairs}) END"


def members_of(struct: "DuckDBPyType") -> Fields:
    """Return the fields of a struct."""
    return dict[str, Any](struct.children)


def item_of(array: "DuckDBPyType") -> "DuckDBPyType":
    """Return what the items of a list are."""
    return members_of(array)["child"]


def _projected(expression: str, kind: "DuckDBPyType", kept: Tree, *, path: str, depth: int) -> str:
    if not kept:
        return expression
    if kind.id in ("list", "array"):
        one = reserved(f"item {depth}")
        inner = _projected(one, item_of(kind), kept, path=path, depth=depth + 1)
        return f"list_transform({expression}, lambda {one}: {inner})"
    if kind.id != "struct":
        raise UnknownField(
            f"No field {path}.{next(iter(kept))}: {path} is a {str(kind).lower()}, with nothing below it."
        )
    known = members_of(kind)
    members = {
        name: _projected(
            f"struct_extract({expression}, {literal(name)})",
            _type_of(name, known, path=f"{path}.{name}"),
            below,
            path=f"{path}.{name}",
            depth=depth,
        )
        for name, below in kept.items()
    }
    return packed(expression, members)


def _type_of(name: str, known: Fields, *, path: str) -> "DuckDBPyType":
    if name not in known:
        raise UnknownField(f"No field {path!r}. There are: {', '.join(sorted(known)) or 'none'}.")
    return known[name]
