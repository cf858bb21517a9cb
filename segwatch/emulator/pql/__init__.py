"""Profile Query Language: from its text and JSON forms to SQL.

docs/reference/pql.md says what is covered, what is refused, and what a missing value does.
"""

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.shape import Shape, shape_of
from segwatch.emulator.pql.sql import ROW, to_sql
from segwatch.emulator.pql.times import time_of
from segwatch.emulator.pql.tree import Place, Query
from segwatch.emulator.settings import Json

__all__ = ["ROW", "PqlError", "Query", "Shape", "parse", "shape_of", "time_of", "to_sql"]


def parse(expression: Json) -> Query:
    """Return the query of a segment definition's `expression`; raise PqlError where it is none.

    A value that is no JSON object is read as text whatever the format says: Adobe's samples carry such ones.
    """
    from segwatch.emulator.pql import documents, text  # lark is an extra: only who parses needs it

    nowhere = Place(line=1, column=1, offset=1)
    kind, form, value = expression.get("type"), expression.get("format"), expression.get("value")
    if kind != "PQL":
        raise PqlError(f'expression.type is {kind!r}. Write "PQL".', nowhere)
    if form not in ("pql/text", "pql/json"):
        raise PqlError(f'expression.format is {form!r}. Write "pql/text" or "pql/json".', nowhere)
    if form == "pql/json" and (isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{"))):
        return documents.parse(value)
    if not isinstance(value, str):
        raise PqlError("expression.value is no text. Write the query.", nowhere)
    return text.parse(value)
