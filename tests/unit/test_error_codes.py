"""The error codes that come along: where each is from, and that the page and the messages have them."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from segwatch.config.error_codes import known_codes, reference
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.message import message_of
from segwatch.jobs.events import Event, EventType, Severity

ROOT = Path(__file__).parents[2]
ENTRIES = tomllib.loads((ROOT / "segwatch/config/error_codes.toml").read_text(encoding="utf-8"))["error_codes"]
WRITE_AGAIN = (
    "python -c \"from segwatch.config.error_codes import reference; print(reference(), end='')\""
    " > docs/reference/error-codes.md"
)


def explained(**details):
    event = Event(
        type=EventType.JOB_FAILED, stream="s", sequence=1, at=datetime(2026, 1, 5, tzinfo=UTC),
        severity=Severity.CRITICAL, kind="export_job", details=details,
    )  # fmt: skip
    return message_of(event, Knowledge(errors=known_codes())).explanation


def test_the_reference_page_is_up_to_date():
    page = (ROOT / "docs/reference/error-codes.md").read_text(encoding="utf-8")
    assert page == reference(), f"write it again: {WRITE_AGAIN}"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["code"] + entry.get("text", "")[:10])
def test_each_says_what_is_wrong_in_sentences_and_where_that_is_from(entry):
    assert entry.keys() <= {"code", "text", "cause", "advice", "basis", "source"}
    assert entry["basis"] in ("documented", "observed")
    assert entry["basis"] == "observed" or "https://" in entry["source"]
    for words in filter(None, (entry["cause"], entry.get("advice"))):
        assert words.endswith(".")
        assert len(words) <= 200


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["code"] + entry.get("text", "")[:10])
def test_each_can_be_met(entry):
    assert explained(errors=[{"code": entry["code"], "message": entry.get("text", "")}]).startswith(entry["cause"])


def test_the_errors_of_the_tutorial_are_explained_by_the_specific_one():
    errors = [
        {"code": "0090000009", "message": "Error writing profiles to output path 'adl://x/snapshot/722'"},
        {"code": "unknown", "message": "Job aborted."},
    ]
    assert explained(errors=errors).startswith("The platform could not write")
    assert explained(errors=errors[::-1]).startswith("The computation behind the job was stopped")


def test_a_refused_credential_is_explained_where_the_answer_is_only_quoted():
    why = "Sandbox prod: GET /data/core/ups/export/jobs: 403 403025 Profile is not valid [request 4f2a]"
    assert explained(why=why).startswith("The credential has no access")
    why = "Sandbox prod: POST /ims/token/v3: 400 invalid_client invalid client_secret parameter"
    assert "does not accept the client secret" in explained(why=why)


def test_what_nobody_has_documented_is_not_explained():
    assert explained(errors=[{"code": "8.0000018E7", "message": "Something"}]) == ""
