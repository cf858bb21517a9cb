"""The page about digests shows what a channel is told."""

import re
from datetime import datetime
from pathlib import Path

from segwatch.deliveries import digest
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.message import message_of
from segwatch.deliveries.names import NameKey, Resource

PAGE = (Path(__file__).parents[2] / "docs/how-to/daily-digest.md").read_text(encoding="utf-8")
SAMPLE = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
AUDIENCE = "a1b2c3d4-0001-4000-8000-000000000001"
FIGURES = {
    "sandboxes": ["prod", "dev"], "silent": ["dev"], "runs": 44, "succeeded": 41, "failed": 3, "saved": 2,
    "work": [
        {"sandbox": "prod", "kind": "export_job", "runs": 42, "failed": 3, "median_s": 452.0, "usual_s": 361.0},
        {"sandbox": "prod", "kind": "segment_job", "runs": 2, "median_s": 886.0},
    ],
    "pipelines": [{"sandbox": "prod", "pipeline": "nightly", "runs": 3, "succeeded": 2, "failed": 1}],
    "failures": [
        {"sandbox": "prod", "kind": "export_job", "count": 3, "job_id": "24116", "code": "0090000009",
         "message": "Error writing profiles to output path"},
    ],
    "slowest": [{"sandbox": "prod", "kind": "export_job", "job_id": "24120", "took_s": 7800.0, "usual_s": 2400.0}],
    "moved": [{"sandbox": "prod", "segment": AUDIENCE, "members": 12345, "before": 10000}],
    "active": 2, "overdue": 1, "open_alerts": 1,
    "alerts": [{"title": "Export 24116 failed in prod", "since": "2026-01-05T02:20:00.000Z"}],
    "silences": 1, "silenced": [{"matchers": "sandbox=dev", "until": "2026-01-05T18:00:00.000Z"}],
}  # fmt: skip


def test_the_sample_is_what_is_said_of_such_a_day():
    now = datetime.fromisoformat("2026-01-05T07:00:00Z")
    event = digest.event_of(
        "digests/team", 1, "team", FIGURES, since=now.replace(day=4), until=now, zone="Europe/Amsterdam", now=now
    )
    known = Knowledge(names={NameKey(sandbox="prod", resource=Resource.SEGMENT, id=AUDIENCE): "Bought this week"})
    message = message_of(event, known)
    said, fields, items = SAMPLE.strip().split("\n\n")
    assert " ".join(said.split()) == " ".join(message.said)
    assert [tuple(re.split(r"  +", row)) for row in fields.splitlines()] == list(message.fields)
    assert items.splitlines() == [f"- {item}" for item in message.items]
