"""What is said of each event."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.deliveries.message import message_of
from segwatch.deliveries.phrases import moment, span, text
from segwatch.jobs.events import Event, EventType, severity_of

NOW = datetime(2026, 1, 5, 3, 12, 7, tzinfo=UTC)
ERROR = {"code": "0090000009", "message": "Error writing profiles to output path"}


def event(type_, details=None, **fields):
    subject = type_.value.split(".")[0]
    base = {"sandbox": "prod", "kind": "export_job", "job_id": "24116", "stream": "prod/export_job/24116"}
    if subject == "sandbox":
        base = {"sandbox": "prod", "stream": "sandbox/prod"}
    if subject == "channel":
        base = {"stream": "channel/ops"}
    base |= {"type": type_, "sequence": 3, "at": NOW, "severity": severity_of(type_), "details": details or {}}
    return Event(**(base | fields))


SAID = {
    EventType.SILENCE_ENDED: (
        {"open": 2, "matchers": 'sandbox=prod, segment=~"nl-.*"', "owner": "sam", "why": "moved"},
        'A silence ended: 2 alerts are open — sandbox=prod, segment=~"nl-.*", silenced by sam (moved). '
        "To hear no more of them: segwatch silence add 'sandbox=prod, segment=~\"nl-.*\"' --for 2h",
    ),
    EventType.WATCH_ENDED: (
        {"title": "Export 24116 failed in prod", "since": "2026-01-04T03:12:00.000Z", "why": "its sandbox was removed"},
        "No longer watched: Export 24116 failed in prod since 2026-01-04 03:12:00 UTC — its sandbox was removed. "
        "It may still be wrong: segwatch no longer hears of it.",
    ),
    EventType.DIGEST_DAILY: (
        {
            "from": "2026-01-04T07:00:00Z",
            "to": "2026-01-05T07:00:00Z",
            "zone": "Europe/Amsterdam",
            "runs": 3,
            "succeeded": 2,
            "failed": 1,
            "saved": 1,
            "sandboxes": ["prod"],
            "open_alerts": 1,
        },
        "Daily digest: 3 runs in prod, 1 failed, from Sun 4 Jan 08:00 to Mon 5 Jan 08:00 (Europe/Amsterdam); "
        "resubmissions saved 1 export. Still to be looked at: what is open.",
    ),
    EventType.JOB_DISCOVERED: ({}, "Export 24116 found in prod with status NEW. Watching it until it ends."),
    EventType.JOB_QUEUED: ({}, "Export 24116 is queued in prod."),
    EventType.JOB_PROCESSING: ({}, "Export 24116 is running in prod."),
    EventType.JOB_SUCCEEDED: (
        {"duration_s": 412.3, "exported": 1234567},
        "Export 24116 succeeded in prod after 6 m 52 s, 1,234,567 profiles written.",
    ),
    EventType.JOB_FAILED: (
        {"errors": [ERROR, {"code": "unknown", "message": "Job aborted."}], "attempt": 2, "root": "24110"},
        "Export 24116 failed in prod — Error writing profiles to output path (0090000009) and 1 more. "
        "This was attempt 2; the chain began with 24110. The retry rules decide what follows.",
    ),
    EventType.JOB_CANCELLING: ({}, "Export 24116 is being cancelled in prod."),
    EventType.JOB_CANCELLED: (
        {},
        "Export 24116 was cancelled in prod. Somebody ended it on purpose, so segwatch does not submit it again.",
    ),
    EventType.JOB_VANISHED: (
        {},
        "Export 24116 vanished in prod: the platform answers again and again that it does not know it. "
        "No longer watched; find out whether it was deleted.",
    ),
    EventType.JOB_OVERDUE: (
        {"since": "2026-01-05T01:10:00.000Z", "limit_s": 7200},
        "Export 24116 is overdue in prod: still NEW since 01:10:00 UTC, longer than its limit of 2 h. "
        "Still watching it. How long such jobs take is not known yet.",
    ),
    EventType.JOB_UNKNOWN_STATUS: (
        {},
        'Export 24116 has an unknown status in prod, "NEW". Not taken for an end: watching on.',
    ),
    EventType.JOB_ID_REUSED: (
        {"why": "a job in status NEW, created at 2026-01-05T02:20:00.000Z, has its id"},
        "Export 24116 has ended, and its id is in use again in prod — a job in status NEW, created at "
        "2026-01-05T02:20:00.000Z, has its id. That one is not watched: an id names one job for good.",
    ),
    EventType.RETRY_SCHEDULED: (
        {"root": "24116", "attempt": 2, "max_attempts": 3, "due_at": "2026-01-05T03:14:20.000Z", "mode": "auto"},
        "Export 24116 will be submitted again in prod as attempt 2 of 3. Resubmitting at 03:14:20 UTC.",
    ),
    EventType.RETRY_SUBMITTED: (
        {"root": "24116", "attempt": 2, "new_job_id": "24120", "settled_by": "post"},
        "Export 24116 was submitted again in prod as 24120, attempt 2. Watching the new job.",
    ),
    EventType.RETRY_ADOPTED: (
        {"attempt": 2, "new_job_id": "24120"},
        "Export 24116 is already answered in prod: 24120 does the same work and counts as attempt 2. "
        "Submitted nothing; watching that job.",
    ),
    EventType.RETRY_REFUSED: (
        {"why": "20 of 20 resubmissions of today are used"},
        "Export 24116 is not submitted again in prod — 20 of 20 resubmissions of today are used (budget). "
        "If it is wanted all the same: segwatch jobs retry 24116",
    ),
    EventType.RETRY_EXHAUSTED: (
        {"root": "24110", "attempts": 3},
        "Export 24116 failed for good in prod after 3 attempts; the chain began with 24110. "
        "A person decides now: segwatch jobs retry 24116",
    ),
    EventType.RETRIES_HELD: (
        {"failures": 5, "window_s": 900},
        "Resubmissions are held in prod: 5 different exports failed within 15 m. "
        "This looks like the platform, not the exports: one is tried, the rest wait.",
    ),
    EventType.RETRIES_RELEASED: ({}, "Resubmissions go on in prod. The exports that waited are submitted now."),
    EventType.RECOVERED: (
        {"root": "24116", "last_job_id": "24120", "attempts": 2},
        "Export 24116 recovered in prod: 24120 succeeded after 2 attempts.",
    ),
    EventType.SANDBOX_UNREACHABLE: (
        {"why": "http_503", "since": "2026-01-04T23:59:00Z"},
        "Sandbox prod is unreachable since 2026-01-04 23:59:00 UTC — http_503. "
        "Its jobs cannot be seen meanwhile; segwatch keeps trying and catches up.",
    ),
    EventType.SANDBOX_UNAUTHORIZED: (
        {"why": "invalid_client"},
        "Sandbox prod refuses our credentials — invalid_client. "
        "Check its credentials and permissions: segwatch check --online",
    ),
    EventType.SANDBOX_RECOVERED: ({}, "Sandbox prod answers again."),
    EventType.CHANNEL_FAILING: (
        {"channel": "ops", "why": "http_404: no_service", "failures": 1},
        "Channel ops is failing, 1 failure in a row — http_404: no_service. "
        "What it should have told is kept until its maximum age, then listed by: segwatch notify dead",
    ),
    EventType.CHANNEL_RECOVERED: ({}, "Channel ops works again. Sending what it missed."),
    EventType.SCHEDULE_MISSED: (
        {"name": "nightly", "schedule": "s1", "expected_at": "2026-01-05T01:00:00Z", "next": "2026-01-06T01:00:00Z"},
        "Schedule nightly did not fire in prod: it should have begun a job at 01:00:00 UTC. It should fire next at "
        "2026-01-06 01:00:00 UTC. If it must not wait: segwatch evaluate",
    ),
    EventType.SCHEDULE_RECOVERED: (
        {"schedule": "s1", "since": "2026-01-05T01:45:00Z"},
        "Schedule s1 is not expected any more in prod after trouble since 01:45:00 UTC.",
    ),
    EventType.SCHEDULE_CHANGED: ({"name": "nightly"}, "Schedule nightly was changed in prod."),
    EventType.AUDIENCE_ANOMALY: (
        {"segment": "nl", "members": 1200, "expected": 41950},
        "Audience nl has an unusual size in prod: 1,200 members where 41,950 are usual. "
        "Nothing is stopped: look at what it is made of before it is exported.",
    ),
    EventType.AUDIENCE_RECOVERED: (
        {"segment": "nl", "members": 41000},
        "Audience nl has its usual size again in prod: 41,000 members.",
    ),
    EventType.EXPORT_IMPLAUSIBLE: (
        {"why": "its record names no batch"},
        "Export 24116 cannot be right in prod — its record names no batch. "
        "The platform calls it a success, so nothing is submitted again. Look: segwatch export show 24116",
    ),
    EventType.EXPORT_PLAUSIBLE: ({"exported": 4195}, "Export 24116 looks right again in prod, 4,195 profiles written."),
    EventType.CREDENTIAL_EXPIRING: (
        {"expires_at": "2026-01-05T05:00:00Z"},
        "The token of sandbox prod ends at 05:00:00 UTC. Put a fresh one where access_token or access_token_file says.",
    ),
    EventType.CREDENTIAL_RENEWED: (
        {"expires_at": "2026-01-06T05:00:00Z"},
        "The token of sandbox prod was renewed: it ends at 2026-01-06 05:00:00 UTC.",
    ),
    EventType.UNKNOWN_REPLY: (
        {"why": "a row without a status"},
        "Sandbox prod answers what segwatch cannot read — a row without a status. The rest is read as ever. "
        "A newer segwatch may know it; told once a day while it goes on.",
    ),
    EventType.FLAPPING_STARTED: (
        {"times": 4, "window_s": 604800, "last_job_id": "24115"},
        "Export 24115 fails and recovers again and again in prod: 4 failures within 7 d, each made good. "
        "Each was told by itself; what they have in common needs somebody who looks.",
    ),
    EventType.FLAPPING_STOPPED: ({"last_job_id": "24115"}, "Export 24115 is steady again in prod."),
    EventType.PIPELINE_STARTED: ({"pipeline": "nightly"}, "Pipeline nightly began in prod."),
    EventType.PIPELINE_STEP_DONE: (
        {"pipeline": "nightly", "step": "export", "took_s": 61.2, "note": "export 24119 adopted"},
        "Pipeline nightly is past export in prod after 1 m 1 s — export 24119 adopted.",
    ),
    EventType.PIPELINE_SUCCEEDED: (
        {"pipeline": "nightly", "took_s": 754, "exported": 4195},
        "Pipeline nightly succeeded in prod after 12 m 34 s, 4,195 profiles exported.",
    ),
    EventType.PIPELINE_FAILED: (
        {"pipeline": "nightly", "run": "5f0c5f0c5f0c5f0c", "step": "check", "why": "batch b1 is aborted"},
        "Pipeline nightly failed in prod at check — batch b1 is aborted. "
        "What it did: segwatch pipeline show 5f0c5f0c5f0c5f0c. To run it again: segwatch pipeline run nightly",
    ),
    EventType.ALERT_FIRING: (
        {"title": "2 exports failed", "summary": "2 exports failed — Internal error.", "action": "Both wait."},
        "2 exports failed — Internal error. Both wait.",
    ),
    EventType.ALERT_RESOLVED: ({"title": "Resolved: 2 exports failed"}, "Resolved: 2 exports failed."),
    EventType.ALERT_NOTED: ({"title": "7 events"}, "7 events."),
}


@pytest.mark.parametrize("type_", EventType)
def test_every_type_says_what_happened_and_what_segwatch_does(type_):
    details, line = SAID[type_]
    fields = {"reason": "budget"} if type_ is EventType.RETRY_REFUSED else {}
    fields |= {"status": "NEW"} if type_.value.startswith("job.") else {}
    message = message_of(event(type_, details, **fields))
    assert message.line == line
    assert line.startswith(message.title)


def test_a_proposal_names_the_command_that_accepts_it():
    message = message_of(event(EventType.RETRY_SCHEDULED, {"mode": "propose", "attempt": 2}))
    assert message.line.endswith("Nothing happens until a person says so: segwatch jobs retry 24116")


def test_that_an_answer_has_vanished_names_the_command_that_submits_the_failed_export_again():
    message = message_of(event(EventType.JOB_VANISHED, {"failed_job_id": "24110", "attempt": 2}))
    assert message.line.endswith("No longer watched, and nothing answers 24110 now: segwatch jobs retry 24110")


def test_what_keeps_a_resubmission_waiting_is_said():
    details = {"attempt": 2, "due_at": "2026-01-05T02:21:59Z", "why": "it waits: the equal order cmd-1 is under way"}
    line = message_of(event(EventType.RETRY_SCHEDULED, details)).line
    assert "as attempt 2 — it waits: the equal order cmd-1 is under way. Resubmitting at 02:21:59 UTC." in line


@pytest.mark.parametrize("type_", [EventType.SANDBOX_UNAUTHORIZED, EventType.RETRY_REFUSED, EventType.CHANNEL_FAILING])
def test_a_cause_that_is_a_sentence_brings_no_second_full_stop(type_):
    summary = message_of(event(type_, {"why": "403 Forbidden. Check org_id."}, reason="never")).summary
    assert "Check org_id" in summary
    assert not re.search(r"\.\W*\.$|\. \(", summary)


def test_a_segment_job_is_called_one_and_no_retry_is_promised():
    message = message_of(event(EventType.JOB_FAILED, kind="segment_job"))
    assert message.line == (
        "Segment job 24116 failed in prod — the platform gave no error text. "
        "segwatch does not submit jobs of this kind again."
    )


def test_fields_hold_what_is_known_and_leave_out_the_rest():
    details = {
        "errors": [ERROR, {"code": "unknown", "message": "Job aborted."}], "duration_s": 61, "exported": 0,
        "profiles": {"seg-a": 5, "seg-b": 12000}, "skipped": ["PROCESSING"], "attempt": 1, "root": "24116",
    }  # fmt: skip
    said = event(EventType.JOB_FAILED, details, status="FAILED", previous="QUEUED", late=True)
    assert dict(message_of(said).fields) == {
        "Sandbox": "prod", "Kind": "export_job", "Job": "24116", "Status": "QUEUED -> FAILED",
        "Further errors": "Job aborted (unknown)", "Attempt": "1", "Took": "1 m 1 s", "Exported profiles": "0",
        "Audiences": "seg-b: 12,000, seg-a: 5", "Steps not seen": "PROCESSING",
        "Late": "it happened while segwatch was not watching",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.25, "0.2 s"),
        (59.6, "1 m"),
        (3600, "1 h"),
        (3605, "1 h"),
        (90061, "1 d 1 h"),
        (-1, ""),
        (None, ""),
        (True, ""),
    ],
)
def test_a_span_shows_its_two_largest_units(seconds, shown):
    assert span(seconds) == shown


def test_odd_times_and_texts_are_borne():
    assert moment("soon", NOW) == "soon"
    assert moment(None, NOW) == ""
    assert moment("2026-01-05T04:14:20+01:00", NOW) == "03:14:20 UTC"
    assert text("one\ntwo\x1b[31m\u202e") == "one two [31m"
    assert len(text("x" * 10_000)) == 600


@pytest.mark.parametrize("type_", EventType)
def test_nothing_that_is_said_steers_a_terminal(type_):
    odd = "a\x1b[2J\r\nb\x07\u202e"
    names = {name for details, _ in SAID.values() for name in details}
    details = dict.fromkeys(names, odd) | {"errors": [{"code": odd, "message": odd}] * 3, "skipped": [odd]}
    fields = {"job_id": odd, "sandbox": odd, "kind": odd, "status": odd, "previous": odd, "reason": odd}
    message = message_of(event(type_, details, **fields))
    told = [message.title, message.summary, message.action, *(value for _, value in message.fields)]
    assert all(line.isprintable() for one in told for line in one.split("\n"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(sorted({name for details, _ in SAID.values() for name in details} | {"profiles", "skipped"}))


@given(st.sampled_from(EventType), st.dictionaries(names, json_values), st.text(max_size=10))
def test_whatever_the_details_hold_there_is_a_sentence(type_, details, id_):
    message = message_of(event(type_, details, job_id=id_, sandbox=id_, status=id_, reason=id_))
    assert message.title.strip()
    assert message.summary.endswith(".")
    assert "None" not in message.line or "None" in repr(details) + id_
    assert all(name and value for name, value in message.fields)
