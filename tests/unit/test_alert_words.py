"""What alerts keep of the words for an event: the numbers in it, apart from the cause, and when it began."""

import pytest
from alert_builders import event, failed
from fakes import at

from segwatch.alerts.book import Book
from segwatch.alerts.grouping import Way
from segwatch.deliveries.alert_words import words_of
from segwatch.deliveries.message import message_of
from segwatch.jobs.events import EventType, rfc3339

EARLY = rfc3339(at(-5))
WHY = {"why": "503 Service Unavailable", "since": EARLY}
TOOK = {"duration_s": 9.0}
ERRORS = [{"code": "E17", "message": "the disk was full"}]
SCHEDULE = {"schedule": "s1", "name": "nightly", "expected_at": EARLY}


def told_in_a_group(one):
    """Return the message of a group that is told of this event alone."""
    book = Book((), ())
    book.take(one, words=words_of(one), ways=(Way(route="r", channel="ops"),))
    (telling,) = book.tick(at(1), lambda labels, now: False)
    return telling.event(about={one.id: one})


@pytest.mark.parametrize(
    ("type_", "fields", "summary"),
    [
        (
            EventType.JOB_FAILED, {"details": {"ended_at": EARLY, "duration_s": 240.0, "errors": ERRORS}},
            "Export 1 failed in prod after 4 m — the disk was full (E17), since 02:55:00 UTC.",
        ),
        (
            EventType.JOB_OVERDUE, {"status": "PROCESSING", "details": {"since": EARLY, "limit_s": 60.0}},
            "Export 1 is overdue in prod: still PROCESSING since 02:55:00 UTC, longer than its limit of 1 m.",
        ),
        (
            EventType.JOB_UNKNOWN_STATUS, {"status": "STRANGE"},
            'Export 1 has an unknown status in prod, "STRANGE", since 03:00:00 UTC.',
        ),
        (
            EventType.EXPORT_IMPLAUSIBLE, {"details": {"why": "it names no batch."}},
            "Export 1 cannot be right in prod — it names no batch, since 03:00:00 UTC.",
        ),
        (
            EventType.PIPELINE_FAILED, {"details": {"pipeline": "nightly", "run": "r1", "step": "check", "why": "odd"}},
            "Pipeline nightly failed in prod at check — odd, since 03:00:00 UTC.",
        ),
        (
            EventType.SANDBOX_UNREACHABLE, {"details": WHY},
            "Sandbox prod is unreachable since 02:55:00 UTC — 503 Service Unavailable.",
        ),
        (
            EventType.CHANNEL_FAILING, {"details": WHY | {"channel": "chat", "failures": 8}},
            "Channel chat is failing since 02:55:00 UTC, 8 failures in a row — 503 Service Unavailable.",
        ),
        (
            EventType.SCHEDULE_MISSED, {"details": SCHEDULE},
            "Schedule nightly did not fire in prod: it should have begun a job at 02:55:00 UTC.",
        ),
        (
            EventType.AUDIENCE_ANOMALY,
            {"reason": "shrunk", "details": {"segment": "g", "members": 108, "expected": 404}},
            "Audience g is much smaller than usual in prod: 108 members where 404 are usual, since 03:00:00 UTC.",
        ),
        (
            EventType.CREDENTIAL_EXPIRING, {"details": {"expires_at": rfc3339(at(58))}},
            "The token of sandbox prod ends at 03:58:00 UTC.",
        ),
        (
            EventType.FLAPPING_STARTED, {"details": {"last_job_id": "9", "times": 4, "window_s": 604800}},
            "Export 9 fails and recovers again and again in prod: 4 failures within 7 d, each made good,"
            " since 03:00:00 UTC.",
        ),
        (
            EventType.SCHEDULE_CHANGED,
            {"reason": "cron", "details": SCHEDULE | {"cron": "30 20 3 * * ?", "previous_cron": "2 20 2 * * ?"}},
            "Schedule nightly fires at another time in prod: it was 2 20 2 * * ?, and is now 30 20 3 * * ?.",
        ),
        (
            EventType.UNKNOWN_REPLY, {"details": {"why": "a row with no id"}},
            "Sandbox prod answers what segwatch cannot read — a row with no id.",
        ),
    ],
)  # fmt: skip
def test_a_group_is_told_the_numbers_of_the_event_and_when_it_began(type_, fields, summary):
    one = event(type_, **({"details": {}} | fields))
    notice = told_in_a_group(one)
    assert notice.details["summary"] == summary
    assert message_of(notice).action == message_of(one).action
    assert message_of(notice).items == (), "nothing is said twice"


def test_it_began_when_it_did_and_not_when_it_was_noticed():
    began = {
        type_: words_of(event(type_, details=details)).began
        for type_, details in (
            (EventType.JOB_FAILED, {"ended_at": EARLY}),
            (EventType.JOB_OVERDUE, {"since": EARLY, "limit_s": 60.0}),
            (EventType.SCHEDULE_MISSED, SCHEDULE),
            (EventType.SANDBOX_UNAUTHORIZED, WHY),
            (EventType.FLAPPING_STARTED, {}),
        )
    }
    assert [one and round((at() - one).total_seconds()) for one in began.values()] == [300, 240, 300, 300, None]


def test_a_message_about_one_alert_says_all_that_its_event_tells():
    one = failed(
        "24116", status="FAILED", previous="PROCESSING", reason="PROFILE_EXPORT", links={"job": "/export/jobs/24116"},
        details={"errors": [*ERRORS, {"code": "E2", "message": "more"}], "attempt": 1, "root": "24116"} | TOOK,
    )  # fmt: skip
    notice = told_in_a_group(one)
    assert notice.job_id == "", "it is no part of the job's history"
    fields, shown = dict(message_of(one).fields), dict(message_of(notice).fields)
    assert shown == fields
    assert {"Job", "Status", "Reason", "Further errors", "Attempt", "Took"} <= set(shown)


def test_what_opens_no_alert_says_all_of_it_too():
    one = event(EventType.UNKNOWN_REPLY, "", kind="", details={"why": "a row with no id."})
    message = message_of(told_in_a_group(one))
    assert (message.title, message.severity) == ("Sandbox prod answers what segwatch cannot read", one.severity)
