"""What a message says beside its event: names, what errors mean, usual durations, what follows, links."""

from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.alerts.matching import Condition, parse
from segwatch.deliveries.alert_words import words_of
from segwatch.deliveries.error_codes import ErrorCode
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.links import PLACEHOLDERS, Link
from segwatch.deliveries.message import message_of
from segwatch.deliveries.names import NAME_MAX, NameKey, Naming, Resource, as_name
from segwatch.jobs.events import Event, EventType, severity_of

NOW = datetime(2026, 1, 5, 3, 12, 7, tzinfo=UTC)
GOLD, SILVER, DATASET = "a1b2c3d4-0001", "a1b2c3d4-0002", "65a1b2c3d4e5f60718293a4b"
WRITE = {"code": "0090000009", "message": "Error writing profiles to output path"}


def key(resource, id_, sandbox="prod"):
    return NameKey(sandbox=sandbox, resource=resource, id=id_)


NAMES = {
    key(Resource.SEGMENT, GOLD): "Gold members", key(Resource.SEGMENT, SILVER): "Silver members",
    key(Resource.DATASET, DATASET): "Nightly profiles",
}  # fmt: skip
KNOWN = Knowledge(names=NAMES)


def event(type_=EventType.JOB_FAILED, details=None, **fields):
    base = {
        "type": type_, "stream": "prod/export_job/24116", "sequence": 3, "at": NOW, "severity": severity_of(type_),
        "sandbox": "prod", "kind": "export_job", "job_id": "24116", "details": details or {},
    }  # fmt: skip
    return Event(**(base | fields))


@pytest.mark.parametrize(
    ("details", "title"),
    [
        (
            {"segments": [GOLD], "dataset": DATASET},
            'Export 24116 of "Gold members" to "Nightly profiles" failed in prod',
        ),
        ({"segments": [GOLD, SILVER, "x"]}, 'Export 24116 of "Gold members" and 2 more failed in prod'),
        ({"segments": ["x", SILVER]}, 'Export 24116 of "Silver members" and 1 more failed in prod'),
        ({"dataset": DATASET}, 'Export 24116 to "Nightly profiles" failed in prod'),
        ({"segments": ["x"], "dataset": "y"}, "Export 24116 failed in prod"),
        ({"segments": "odd", "dataset": 7}, "Export 24116 failed in prod"),
    ],
)  # fmt: skip
def test_a_headline_says_what_the_job_works_on_as_far_as_there_are_names(details, title):
    assert message_of(event(details=details), KNOWN).title == title


def test_a_name_of_another_sandbox_is_not_taken():
    elsewhere = Knowledge(names={key(Resource.SEGMENT, GOLD, "dev"): "Other"})
    assert message_of(event(details={"segments": [GOLD]}), elsewhere).title == "Export 24116 failed in prod"


def test_fields_have_the_id_beside_the_name():
    details = {"profiles": {GOLD: 5, "x": 12_000}, "dataset": DATASET}
    fields = dict(message_of(event(EventType.JOB_SUCCEEDED, details), KNOWN).fields)
    assert fields["Audiences"] == f"x: 12,000, Gold members ({GOLD}): 5"
    assert fields["Dataset"] == f"Nightly profiles ({DATASET})"


def test_an_audience_that_is_odd_is_called_by_its_name():
    message = message_of(event(EventType.AUDIENCE_ANOMALY, {"segment": GOLD}, reason="empty", kind=""), KNOWN)
    assert message.title == 'Audience "Gold members" is empty in prod'
    assert dict(message.fields)["Audiences"] == f"Gold members ({GOLD})"


def test_what_alerts_say_has_names_too():
    words = words_of(event(details={"segments": [GOLD], "errors": [WRITE]}), KNOWN)
    assert words.title == 'Export 24116 of "Gold members" failed in prod'
    assert (words.code, words.cause) == ("0090000009", "Error writing profiles to output path (0090000009)")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Gold", "Gold"), (" a\x1b[31m\u202e\r\nb ", "a [31m b"), ("", ""), ("\x00\x01", ""),
        ("x" * 4096, "x" * (NAME_MAX - 1) + "…"),
    ],
)  # fmt: skip
def test_a_stranger_s_name_is_one_short_line(given, kept):
    assert as_name(given) == kept


def test_long_names_leave_room_in_a_headline():
    names = {key(Resource.SEGMENT, GOLD): "g" * NAME_MAX, key(Resource.DATASET, DATASET): "d" * NAME_MAX}
    title = message_of(event(details={"segments": [GOLD], "dataset": DATASET}), Knowledge(names=names)).title
    assert len(title) < 150
    assert title.endswith('…" failed in prod')


# what errors mean

CODES = (
    ErrorCode(code="0090000009", advice="Ask Kim.", runbook="https://wiki.example.test/9"),
    ErrorCode(code="0090000009", text="writing", cause="It could not write.", advice="Wait."),
    ErrorCode(code="00900*", cause="The writer failed."),
    ErrorCode(text="quota", cause="The quota is used up."),
    ErrorCode(code="403025", cause="No access to this organization."),
    ErrorCode(code="unknown", cause="The general end of a failure."),
)
KNOWS = Knowledge(errors=CODES)


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"errors": [WRITE]}, "It could not write. Ask Kim."),
        ({"errors": [{"code": "0090000009", "message": "other"}]}, "The writer failed. Ask Kim."),
        ({"errors": [{"code": "0090077", "message": ""}]}, "The writer failed."),
        ({"errors": [{"code": "1", "message": "Over QUOTA"}]}, "The quota is used up."),
        ({"errors": [{"code": "1", "message": "?"}, WRITE]}, "It could not write. Ask Kim."),
        ({"errors": [{"code": "1", "message": "?"}]}, ""),
        ({"errors": "odd"}, ""),
        ({"errors": [7, None, {"code": [], "message": {}}]}, ""),
        ({"why": "GET /x: 403 403025 Profile is not valid [request 1]"}, "No access to this organization."),
        ({"why": "GET /x: 403 1403025 unknown words"}, ""),
        ({"why": "the quota of today"}, "The quota is used up."),
    ],
)
def test_the_first_error_of_which_something_is_known_is_explained(details, said):
    message = message_of(event(details=details), KNOWS)
    assert message.explanation == said
    assert said in message.line


def test_the_runbook_of_an_error_is_a_link():
    assert message_of(event(details={"errors": [WRITE]}), KNOWS).links == (("Runbook", "https://wiki.example.test/9"),)


def test_a_message_about_alerts_explains_what_most_of_them_share():
    details = {"title": "3 exports failed", "code": "0090000009", "cause": "Error writing profiles (0090000009)"}
    firing = event(EventType.ALERT_FIRING, details, stream="alerts/g", job_id="")
    assert message_of(firing, KNOWS).explanation == "It could not write. Ask Kim."
    over = event(EventType.ALERT_RESOLVED, details, stream="alerts/g", job_id="")
    assert message_of(over, KNOWS).explanation == ""


# duration, timeline, what follows


def test_an_ended_job_says_how_long_such_jobs_take():
    details = {"duration_s": 2520, "usual_s": 1080, "p95_s": 1500, "errors": [WRITE]}
    assert message_of(event(details=details)).summary == (
        "Export 24116 failed in prod after 42 m, usually 18 m (p95 25 m) — "
        "Error writing profiles to output path (0090000009)."
    )
    well = message_of(event(EventType.JOB_SUCCEEDED, {"duration_s": 60, "usual_s": 1080, "exported": 3}))
    assert well.summary == "Export 24116 succeeded in prod after 1 m, usually 18 m, 3 profiles written."


@pytest.mark.parametrize(
    ("at", "fields"),
    [
        (("02:30:02", "02:31:07", "03:12:02"), {
            "Timeline": "created 02:30:02 UTC -> running 02:31:07 UTC (queued 1 m 5 s) -> ended 03:12:02 UTC",
        }),
        (("02:30:02", "", "03:12:02"), {"Timeline": "created 02:30:02 UTC -> ended 03:12:02 UTC"}),
        (("", "02:31:07", ""), {"Started": "02:31:07 UTC"}),
        (("03:12:02", "02:31:07", ""), {"Timeline": "created 03:12:02 UTC -> running 02:31:07 UTC"}),
    ],
)  # fmt: skip
def test_a_timeline_shows_what_is_known(at, fields):
    names = ("created_at", "started_at", "ended_at")
    details = {name: f"2026-01-05T{clock}Z" for name, clock in zip(names, at, strict=True) if clock}
    told = dict(message_of(event(details=details)).fields)
    assert {name: told[name] for name in ("Timeline", "Created", "Started", "Ended") if name in told} == fields


@pytest.mark.parametrize("odd", ["soon", 7, None, "2026-01-05T02:30:02", []])
def test_an_odd_time_leaves_a_timeline_that_can_be_read(odd):
    message = message_of(event(details={"created_at": odd, "started_at": "2026-01-05T02:31:07Z", "ended_at": odd}))
    assert "02:31:07 UTC" in str(message.fields)


@pytest.mark.parametrize(
    ("retry", "said"),
    [
        (
            {"step": "scheduled", "attempt": 2, "max_attempts": 3, "due_at": "2026-01-05T03:14:07Z"},
            "This was attempt 1 of 3; attempt 2 follows at 03:14:07 UTC.",
        ),
        ({"step": "scheduled", "max_attempts": 3}, "This was attempt 1 of 3."),
        (
            {"step": "proposed", "max_attempts": 3},
            "This was attempt 1 of 3. Nothing happens until a person says so: segwatch jobs retry 24116",
        ),
        (
            {"step": "refused", "max_attempts": 1, "reason": "attempts"},
            "This was attempt 1 of 1. It is not submitted again: all attempts are used up. "
            "If it is wanted all the same: segwatch jobs retry 24116",
        ),
        (
            {"step": "off", "max_attempts": 3},
            "This was attempt 1 of 3. Nothing is submitted again by itself: segwatch jobs retry 24116",
        ),
        ({"step": "later"}, "This was attempt 1. The retry rules decide what follows."),
        ("odd", "This was attempt 1. The retry rules decide what follows."),
    ],
)
def test_a_failed_export_says_what_was_decided_in_the_same_breath(retry, said):
    assert message_of(event(details={"attempt": 1, "retry": retry})).action == said


def test_events_of_resubmissions_say_which_attempt_of_how_many():
    details = {"attempt": 2, "max_attempts": 3, "new_job_id": "24120", "segments": [GOLD], "dataset": DATASET}
    assert message_of(event(EventType.RETRY_SUBMITTED, details), KNOWN).summary == (
        'Export 24116 of "Gold members" to "Nightly profiles" was submitted again in prod as 24120, attempt 2 of 3.'
    )


# learning


def test_what_the_platform_no_longer_knows_keeps_its_name():
    learned = KNOWN.with_names([Naming(key=key(Resource.SEGMENT, SILVER), name="Silver fans", at=NOW),
                                Naming(key=key(Resource.SEGMENT, GOLD), name="", at=NOW)])  # fmt: skip
    assert learned.name("prod", Resource.SEGMENT, SILVER) == "Silver fans"
    assert learned.name("prod", Resource.SEGMENT, GOLD) == "Gold members"
    assert KNOWN.name("prod", Resource.SEGMENT, SILVER) == "Silver members", "whoever reads the old one may go on"


# links


def linked(url, details=None, *, of=None, **link):
    return message_of(
        of or event(details=details), Knowledge(links=(Link(name="Logs", url=url, condition=Condition(**link)),))
    ).links


def test_a_link_is_filled_in():
    details = {"errors": [WRITE], "segments": [GOLD, SILVER], "dataset": DATASET}
    url = "https://x.example.test/{sandbox}/{kind}/{job_id}?{type}&{dataset}&{segment}&{code}#{event_id}"
    ((name, led),) = linked(url, details)
    told = event(details=details)
    assert name == "Logs"
    filled = f"prod/export_job/24116?job.failed&{DATASET}&{GOLD}&0090000009#{told.id}"
    assert led == f"https://x.example.test/{filled}"


@pytest.mark.parametrize("name", ["dataset", "segment", "code", "reason"])
def test_a_link_with_nothing_to_fill_in_is_left_out(name):
    assert linked(f"https://x.example.test/{{{name}}}") == ()


@pytest.mark.parametrize(
    ("link", "fits"),
    [
        ({"match": {"type": ("job.failed",), "sandbox": ("dev", "prod")}}, True),
        ({"match": {"sandbox": ("dev",)}}, False),
        ({"matchers": parse("severity!=info")}, True),
        ({"matchers": parse("severity=info")}, False),
    ],
)
def test_a_link_is_only_of_what_it_is_for(link, fits):
    assert bool(linked("https://x.example.test/", **link)) is fits


def test_a_message_about_one_alert_has_the_links_of_what_it_is_about():
    row = {"type": "job.failed", "severity": "critical", "sandbox": "prod", "kind": "export_job", "job_id": "24116"}
    of = event(EventType.ALERT_FIRING, {"alerts": [row, "odd"], "dataset": DATASET}, stream="alerts/g", job_id="")
    match = {"type": ("job.failed",)}
    url = "https://x.example.test/{job_id}/{dataset}"
    assert linked(url, of=of, match=match) == (("Logs", f"https://x.example.test/24116/{DATASET}"),)
    of.details["alerts"].append(row | {"job_id": "24117"})
    assert linked(url, of=of, match=match) == ()


@given(st.text(min_size=1, max_size=30))
def test_no_value_leads_a_link_elsewhere(value):
    base = "https://x.example.test/jobs/"
    for _, url in linked(base + "{job_id}?q={reason}", of=event(job_id=value, reason=value)):
        parts = urlsplit(url)
        assert (parts.netloc, parts.fragment) == ("x.example.test", "")
        assert parts.path.count("/") == 2
        assert unquote(parts.path.rpartition("/")[2]) == value.encode(errors="replace").decode()


def test_every_placeholder_can_be_filled():
    details = {"errors": [WRITE], "segments": [GOLD], "dataset": DATASET}
    url = "https://x.example.test/?" + "&".join(f"{{{name}}}" for name in PLACEHOLDERS)
    assert linked(url, of=event(details=details, reason="attempts"))
