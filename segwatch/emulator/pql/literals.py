"""The only places where a query's own texts, names and numbers enter SQL."""

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.tree import Number, Place, Text


def quoted(value: str, at: Place) -> str:
    """Return a text as an SQL literal. DuckDB's plain strings know one escape: the doubled quote."""
    if "\0" in value:  # an SQL statement ends there for some who read it
        raise PqlError("a text cannot hold the character U+0000. Leave it out.", at)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PqlError("a text cannot hold half of a surrogate pair. Write the whole character.", at) from None
    return "'" + value.replace("'", "''") + "'"


def text(node: Text) -> str:
    return quoted(node.value, node.at)


def identifier(name: str, at: Place) -> str:
    """Return a column's name as an SQL identifier."""
    return '"' + quoted(name, at)[1:-1].replace("''", "'").replace('"', '""') + '"'


def number(node: Number) -> str:
    """Return a number as SQL: whole ones exactly, as far as a type of DuckDB reaches, others as DOUBLE.

    A bare 1.5 would be a DECIMAL.
    """
    if isinstance(node.value, int):
        return f"({node.value})" if node.value < 0 else str(node.value)
    return f"CAST('{node.value!r}' AS DOUBLE)"
