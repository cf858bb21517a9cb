"""The pages about templates say what the code does: every name, every filter, every bound, every example."""

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from settings_files import settings_with

from segwatch.cli.message_panel import show_message
from segwatch.deliveries.message import message_of
from segwatch.deliveries.templates import budget, checking, language, rewriting, view
from segwatch.deliveries.templates.filters import PLAIN, form_of
from segwatch.deliveries.templates.rewriting import composed
from segwatch.jobs.events import Event, EventType, Severity

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference/templates.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to/write-a-template.md").read_text(encoding="utf-8")
EVENTS = (DOCS / "reference/events.md").read_text(encoding="utf-8")
EXAMPLES = [block for page in (REFERENCE, HOW_TO) for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
OWN = ("event_id", "sequence", "sandbox", "kind", "job_id", "status", "previous", "severity", "reason", "late", "links")
CHANNEL = """
[[channels]]
name = "ops"
kind = "log"
"""


def documented(type_: str) -> Event:
    """Return the event that the page of events shows for this type."""
    line = next(line for line in EVENTS.splitlines() if line.startswith(f'{{"type": "{type_}"'))
    told = json.loads(line)
    data, at = told["data"], datetime.fromisoformat(told["timestamp"])
    own = {name: data[name] for name in OWN if name not in ("event_id", "severity")}
    details = {name: value for name, value in data.items() if name not in OWN}
    stream = "/".join((data["sandbox"], data["kind"], data["job_id"]))
    return Event(
        type=EventType(type_), stream=stream, at=at, severity=Severity(data["severity"]), details=details, **own
    )


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading."""
    below = REFERENCE.partition(f"\n{heading}")[2]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table is not None
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in table[0].splitlines()[2:]
    ]


def test_every_variable_is_there_and_no_other():
    for name in view.KNOWN:
        below = rows(f"`{name}`: what")
        shown = {one for row in below for one in re.findall(rf"`{name}\.(\w+)`", row[0])}
        assert shown == set(view.KNOWN[name])


@pytest.mark.parametrize("row", rows("Not: calls of any kind"), ids=lambda row: row[0])
def test_a_filter_is_written_so_and_says_that(row):
    name = re.match(r"`(\w+)", row[0])[1]
    assert row[0] == f"`{form_of(name)}`"
    of = documented("job.failed")
    source, shown = row[2].strip("`"), row[3].strip("`")
    text = language.Text(source).render(view.view_of(of, message_of(of)), budget.Budget(at=of.at), 200)
    assert text.strip() == shown


def test_every_filter_and_test_is_there_and_no_other():
    assert [re.match(r"`(\w+)", row[0])[1] for row in rows("Not: calls of any kind")] == sorted(PLAIN)
    for test in checking.TESTS:
        assert f"`{test}`" in REFERENCE


def test_the_bounds_are_those_of_the_code():
    assert [row[1] for row in rows("## What it may cost")] == [
        f"{one:,}"
        for one in (
            language.SOURCE_MAX, checking.LOOPS_MAX, checking.DEPTH_MAX, budget.STEPS_MAX, budget.TEXT_MAX,
            view.TEXT_MAX, view.LIST_MAX,
        )
    ]  # fmt: skip
    said = {row[0].strip("`"): row[2] for row in rows("## What each text becomes")}
    r = rewriting
    assert said == {
        "title": f"{r.TITLE_MAX} runes, one line",
        "summary": f"{r.SUMMARY_MAX:,} runes, {r.LINES_MAX} lines",
        "explanation": f"{r.EXPLANATION_MAX} runes, {r.LINES_MAX} lines",
        "action": f"{r.ACTION_MAX} runes, {r.LINES_MAX} lines",
        "items": f"{r.ITEMS_MAX} lines of {r.ITEM_MAX} runes, an item each",
        "fields": f"{r.FIELDS_MAX} fields, names of {r.NAME_MAX} runes, "
        f"values of {r.VALUE_MAX} runes in {r.LINES_MAX} lines",
    }


def test_the_example_says_what_the_page_shows(tmp_path, capsys):
    of = documented("job.failed")
    (one,) = settings_with(tmp_path, CHANNEL + EXAMPLES[0]).templates
    told = composed(of, message_of(of), [one.rule], "ops")
    assert told.fault is None
    show_message("ops", told.message)
    assert capsys.readouterr().out == re.search(r"```text\n(.*?)```", REFERENCE, re.DOTALL)[1]


@pytest.mark.parametrize("block", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_words_the_documented_events_that_it_is_for(tmp_path, block):
    (one,) = settings_with(tmp_path, CHANNEL + block).templates
    rule, asked = one.rule, 0
    for type_ in EventType:
        of = replace(documented(type_.value), sandbox="prod")
        if rule.takes(of, "ops"):
            asked += 1
            told = composed(of, message_of(of), [rule], "ops")
            assert told.fault is None, (type_, str(told.fault))
            assert told.template == rule.name
    assert asked
