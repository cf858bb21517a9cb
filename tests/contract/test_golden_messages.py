"""What each chat is sent, whole, as it lies in tests/fixtures/channels; and that it keeps the receiver's limits.

After a change that is meant, run this file with SEGWATCH_GOLDEN=write, and look at the diff.
"""

import json
import os
from functools import partial

import aiohttp
import pytest
from channel_cases import CASES, CHATS, FIXTURES, assert_within_limits, delivery, event
from receiver import Answer, Receiver

from segwatch.deliveries.error_codes import ErrorCode
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.links import Link
from segwatch.deliveries.message import message_of
from segwatch.deliveries.names import NameKey, Resource
from segwatch.jobs.events import Event, EventType, Severity

LINKS = {"Job": "https://segwatch.example.test/jobs/prod/export_job/24116", "Runbook": "https://wiki.example.test/x"}
SAMPLES: dict[str, Event] = {
    "failed": event(
        previous="PROCESSING", links=LINKS,
        details={
            "errors": [
                {"code": "0090000009", "message": "Zürich <output> & *path* — 路径"},
                {"code": "0090000010", "message": "see [this](https://evil.test) @channel"},
            ],
            "attempt": 1, "max_attempts": 3, "root": "24116", "dataset": "65a1b2c3d4e5f60718293a4b",
            "profiles": {"nl_customers": 12_345, "de_customers": 678}, "started_at": "2026-01-05T03:05:00Z",
            "ended_at": "2026-01-05T03:12:00Z", "duration_s": 420,
        },
    ),
    "scheduled": event(
        type=EventType.RETRY_SCHEDULED, severity=Severity.INFO, sequence=4,
        details={"attempt": 2, "max_attempts": 3, "due_at": "2026-01-05T03:14:07Z", "root": "24116"},
    ),
    "recovered": event(
        type=EventType.RECOVERED, severity=Severity.INFO, sequence=5, status="", job_id="24116",
        details={"root": "24116", "last_job_id": "24190", "attempts": 2},
    ),
    "notice": event(
        type=EventType.ALERT_FIRING, stream="alerts/prod-exports", kind="export_job", job_id="", status="",
        links={"Dashboard": "https://segwatch.example.test/alerts"},
        details={
            "title": "3 exports failed in prod", "summary": "3 exports failed in prod since 03:12:07 UTC.",
            "action": "This looks like the platform, not the exports: one is tried, the rest wait.",
            "firing": 3, "items": [f"Export 2411{n} failed — Job aborted (unknown)" for n in (6, 7, 8)],
        },
    ),
    "digest": event(
        type=EventType.DIGEST_DAILY, stream="digests/ops", sequence=4, severity=Severity.INFO, kind="", job_id="",
        status="",
        details={
            "channel": "ops", "from": "2026-01-04T07:00:00Z", "to": "2026-01-05T07:00:00Z", "zone": "Europe/Amsterdam",
            "sandboxes": ["prod", "dev"], "silent": ["dev"], "runs": 44, "succeeded": 41, "failed": 3, "saved": 2,
            "given_up": 1, "active": 2, "overdue": 1, "open_alerts": 1, "silences": 1, "dead_letters": 2,
            "work": [
                {"sandbox": "prod", "kind": "export_job", "runs": 42, "succeeded": 39, "failed": 3, "median_s": 452.0,
                 "usual_s": 361.0},
                {"sandbox": "prod", "kind": "segment_job", "runs": 2, "succeeded": 2, "median_s": 886.0},
            ],
            "failures": [{"sandbox": "prod", "kind": "export_job", "count": 3, "job_id": "24116", "code": "0090000009",
                          "message": "Zürich <output> & *path* — 路径"}],
            "slowest": [{"sandbox": "prod", "kind": "export_job", "job_id": "24120", "took_s": 7800.0,
                         "usual_s": 2400.0}],
            "moved": [{"sandbox": "prod", "segment": "nl_customers", "members": 12_345, "before": 10_000}],
            "alerts": [{"title": "Export 24116 failed in prod", "since": "2026-01-05T02:20:00Z"}],
            "silenced": [{"id": "5f0c1d2e", "matchers": "sandbox=dev", "until": "2026-01-05T18:00:00Z"}],
        },
    ),
    "resolved": event(
        type=EventType.ALERT_RESOLVED, stream="alerts/prod-exports", severity=Severity.INFO, sequence=4,
        kind="export_job", job_id="", status="",
        details={"title": "Resolved: 3 exports in prod", "summary": "3 exports recovered in prod after 41 m."},
    ),
}  # fmt: skip


DATASET, SEGMENT = "65a1b2c3d4e5f60718293a4b", "a1b2c3d4-0001-4000-8000-000000000001"
SAMPLES["known"] = event(
    previous="PROCESSING",
    details={
        "errors": [{"code": "0090000009", "message": "Error writing profiles to output path"}], "attempt": 1,
        "root": "24116", "dataset": DATASET, "segments": [SEGMENT, "s2"], "created_at": "2026-01-05T02:30:02Z",
        "started_at": "2026-01-05T02:31:07Z", "ended_at": "2026-01-05T03:12:02Z", "duration_s": 2520, "usual_s": 1080,
        "p95_s": 1500,
        "retry": {"step": "scheduled", "attempt": 2, "max_attempts": 3, "due_at": "2026-01-05T03:14:07Z"},
    },
)  # fmt: skip
KNOWN = Knowledge(
    names={
        NameKey(sandbox="prod", resource=Resource.SEGMENT, id=SEGMENT): "Gold <members> & *friends*",
        NameKey(sandbox="prod", resource=Resource.DATASET, id=DATASET): (
            "Nightly [profiles](https://evil.test) @channel"
        ),
    },
    errors=(
        ErrorCode(
            code="0090000009", cause="The platform could not <b>write</b> *them*.", advice="Wait for attempt_2_.",
            runbook="https://wiki.example.test/0090000009?a=(b)",
        ),
    ),
    links=(Link(name="Logs <here>", url="https://logs.example.test/{sandbox}?q={job_id}"),),
)  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", CHATS)
async def test_a_message_looks_as_it_should_and_keeps_the_limits(name, sample):
    case, golden = CASES[name], FIXTURES / CASES[name].kind / f"{name}-{sample}.json"
    async with aiohttp.ClientSession() as session, Receiver(case.answered(Answer())) as receiver:
        compose = partial(message_of, knowledge=KNOWN) if sample == "known" else message_of
        await case.build(receiver.url, session, compose=compose).send(delivery(SAMPLES[sample]))
    (got,) = receiver.got
    assert_within_limits(name, got.body)
    if os.environ.get("SEGWATCH_GOLDEN") == "write":
        golden.write_text(json.dumps(json.loads(got.body), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    assert json.loads(got.body) == json.loads(golden.read_text(encoding="utf-8"))
