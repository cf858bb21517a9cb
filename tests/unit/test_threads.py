"""Which messages a channel keeps together."""

from datetime import UTC, datetime

from segwatch.alerts.model import Turn
from segwatch.deliveries.threads import subjects_of, turns_of
from segwatch.jobs.events import Event, EventType, severity_of


def event(type_, *, stream="prod/export_job/7", **fields):
    job = {"sandbox": "prod", "kind": "export_job", "job_id": "7"} if stream.startswith("prod/") else {}
    at = datetime(2026, 1, 5, tzinfo=UTC)
    return Event(type=type_, stream=stream, sequence=1, at=at, severity=severity_of(type_), **(job | fields))


def test_a_notice_is_about_its_group():
    firing, resolved = (
        turns_of(event(type_, stream="alerts/g1")) for type_ in (EventType.ALERT_FIRING, EventType.ALERT_RESOLVED)
    )
    assert [(one.subject, one.turn) for one in firing] == [("alerts/g1", Turn.OPENS)]
    assert [(one.subject, one.turn) for one in resolved] == [("alerts/g1", Turn.CLOSES)]


def test_a_job_that_failed_belongs_to_its_work_and_to_what_was_odd_about_it():
    told = event(EventType.JOB_FAILED, details={"fingerprint": "f1"})
    work, *odd = subjects_of(told)
    assert work == "work/prod/export_job/f1"
    assert set(odd) == {"overdue/prod/export_job/7", "unknown_status/prod/export_job/7"}
    assert {one.turn for one in turns_of(told) if one.subject != work} == {Turn.CLOSES}


def test_what_only_tells_the_story_belongs_nowhere():
    assert subjects_of(event(EventType.JOB_DISCOVERED)) == ()
