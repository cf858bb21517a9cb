"""Every example of docs/reference/pql.md is what the page says it is: taken, and of use, or refused."""

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from pql_profiles import selected, sql_of

from segwatch.emulator.lake import population, tables
from segwatch.emulator.lake.conditions import conditions
from segwatch.emulator.pql import ROW, PqlError
from segwatch.emulator.pql.functions import FUNCTIONS, METHODS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "pql.md").read_text(encoding="utf-8")
TAKEN, REFUSED = PAGE.split("\n## What is refused\n")
_ROW = re.compile(r"^\| [^|]+ \| `([^|`]+)` \|", re.MULTILINE)


def examples(part):
    return _ROW.findall(part.split("\n## The JSON form\n")[0])


@pytest.mark.parametrize("query", examples(TAKEN))
def test_an_example_is_computed(query):
    selected(sql_of(query), among=50)


# an afternoon, and right after midnight at the beginning of a week, a month and a year: periods are short or far then
@pytest.mark.parametrize("now", [datetime(2026, 11, 23, 14, tzinfo=UTC), datetime(2029, 1, 1, 0, 1, tzinfo=UTC)])
def test_every_example_finds_some_of_the_profiles_that_are_made_up_and_none_finds_all(now):
    size, queries = 10_000, examples(TAKEN)
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        tables.create(connection)
        population.create(connection, seed=0, size=size, now=population.anchor(now))  # as a platform does
        expressions = {query: {"type": "PQL", "format": "pql/text", "value": query} for query in queries}
        wanted = conditions(connection, expressions)
        counts = ", ".join(f"count(*) FILTER ({wanted[query]})" for query in queries)
        found = connection.execute(
            f"SELECT {counts} FROM profile AS {ROW} WHERE $now IS NOT NULL", {"now": now}
        ).fetchone()
    assert {query: count for query, count in zip(queries, found, strict=True) if not 0 < count < size} == {}


@pytest.mark.parametrize("query", examples(REFUSED))
def test_an_example_is_refused(query):
    with pytest.raises(PqlError):
        sql_of(query)


def test_there_are_examples():
    assert len(examples(TAKEN)) > 50
    assert len(examples(REFUSED)) > 10


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_every_function_is_on_the_page(name):
    assert re.search(rf"\b{name}\b", TAKEN)
