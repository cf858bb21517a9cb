"""Every example of docs/reference/pql.md is what the page says it is: taken, or refused."""

import re
from pathlib import Path

import pytest
from pql_profiles import selected, sql_of

from segwatch.emulator.pql import PqlError
from segwatch.emulator.pql.functions import FUNCTIONS, METHODS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "pql.md").read_text(encoding="utf-8")
TAKEN, REFUSED = PAGE.split("\n## What is refused\n")
_ROW = re.compile(r"^\| [^|]+ \| `([^|]+)` \|", re.MULTILINE)


def examples(part):
    return _ROW.findall(part.split("\n## The JSON form\n")[0])


@pytest.mark.parametrize("query", examples(TAKEN))
def test_an_example_is_computed(query):
    selected(sql_of(query), among=50)


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
