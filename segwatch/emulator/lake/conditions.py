"""From the expressions of segments to conditions over `profile`."""

from collections.abc import Mapping

from duckdb import DuckDBPyConnection

from segwatch.emulator import pql
from segwatch.emulator.lake.tables import OWN_COLUMNS
from segwatch.emulator.settings import Json


def conditions(cursor: DuckDBPyConnection, expressions: Mapping[str, Json]) -> dict[str, str]:
    """Return an SQL condition for each expression, over `profile AS {pql.ROW}` and with the parameter $now; never NULL.

    Raises pql.PqlError for the first that is wrong, that no profile has the fields for, or that is not supported.
    """
    described = cursor.execute("SELECT * FROM profile LIMIT 0").description or []
    shape = pql.shape_of([(column[0], column[1]) for column in described if column[0] not in OWN_COLUMNS])
    return {one: pql.to_sql(pql.parse(expression), shape) for one, expression in expressions.items()}
