"""docs/reference/events.md lists every event, and its examples are what segwatch sends."""

import json
import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from segwatch.deliveries.message import message_of
from segwatch.jobs.events import Event, EventType, Severity, severity_of
from segwatch.jobs.resubmission import Refusal

PAGE = (Path(__file__).parents[2] / "docs/reference/events.md").read_text(encoding="utf-8")
PARTS = {part.partition("`")[0]: part for part in re.split(r"^### `", PAGE, flags=re.MULTILINE)[1:]}
COMMON = {"event_id", "sequence", "sandbox", "kind", "job_id", "status", "previous", "severity", "reason", "late"}

_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def example(type_):
    (block,) = re.findall(r"```json\n(.+)\n```", PARTS[type_.value])
    return json.loads(block)


def test_the_page_lists_every_type_once_and_no_other():
    assert sorted(re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)) == sorted(type_.value for type_ in EventType)


@pytest.mark.parametrize("type_", EventType)
def test_an_example_has_the_public_form(type_):
    body = example(type_)
    data = body["data"]
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == type_.value
    assert data.keys() >= COMMON
    told = re.search(r"^Severity (.+?)\. ", PARTS[type_.value], re.MULTILINE)[1]
    assert told == ("by reason" if type_ is EventType.RETRY_REFUSED else f"`{severity_of(type_).value}`")
    if told != "by reason":
        assert data["severity"] == severity_of(type_).value


@pytest.mark.parametrize("type_", EventType)
def test_an_example_can_be_said_in_words(type_):
    data = example(type_)["data"]
    known = {field.name for field in fields(Event)} & data.keys()
    event = Event(
        type=type_, stream="prod/export_job/1", at=_NOON, severity=Severity(data["severity"]),
        details={name: value for name, value in data.items() if name not in COMMON},
        **{name: data[name] for name in known - {"severity"}},
    )  # fmt: skip
    message = message_of(event)
    assert message.summary.endswith(".")
    assert "None" not in message.line


def test_the_fields_of_every_example_are_explained():
    for type_ in EventType:
        for name in example(type_)["data"]:
            assert f"`{name}`" in PAGE or f"`data.{name}`" in PAGE, f"{type_}: {name}"


def test_every_reason_of_a_refusal_is_explained():
    retry = (Path(__file__).parents[2] / "docs/reference/retry.md").read_text(encoding="utf-8")
    for reason in Refusal:
        assert f"| `{reason.value}` |" in retry
        assert f"`{reason.value}`" in PARTS["export.retry_refused"]
