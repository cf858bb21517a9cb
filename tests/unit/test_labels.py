"""What events are called."""

from fakes import at

from segwatch.alerts.labels import LABELS, labels_of, labels_of_notice
from segwatch.jobs.events import Event, EventType, Severity


def event(type_=EventType.JOB_FAILED, **fields):
    base = {"stream": "prod/export_job/7", "sequence": 1, "at": at(0), "severity": Severity.CRITICAL}
    return Event(type=type_, **(base | fields))


def test_an_event_has_every_label_and_empty_ones_have_no_value():
    labels = labels_of(event(sandbox="prod", kind="export_job", job_id="7", details={"root": "5"}))
    assert tuple(labels) == (*LABELS[:8], *LABELS[8:])
    assert labels["severity"] == ("critical",)
    assert labels["type"] == ("job.failed",)
    assert labels["late"] == ("false",)
    assert labels["reason"] == labels["segment"] == labels["schedule"] == ()


def test_an_export_is_called_by_each_of_its_segments():
    labels = labels_of(event(details={"segments": ["a", "b", "a", ""], "dataset": "d1"}))
    assert labels["segment"] == ("a", "b")
    assert labels["dataset"] == ("d1",)


def test_what_speaks_of_one_segment_or_schedule_has_it_too():
    labels = labels_of(event(details={"segment": "a", "schedule_id": "s1", "pipeline": "nightly", "channel": 7}))
    assert (labels["segment"], labels["schedule"], labels["pipeline"]) == (("a",), ("s1",), ("nightly",))
    assert labels["channel"] == ("7",)


def test_odd_details_are_passed_over():
    labels = labels_of(event(details={"segments": {"a": 1}, "dataset": None, "pipeline": True, "channel": 1.5}))
    assert labels["segment"] == labels["dataset"] == labels["pipeline"] == labels["channel"] == ()


def test_the_alert_is_whatever_the_event_opens_or_closes():
    job = {"sandbox": "prod", "kind": "export_job", "job_id": "7", "details": {"fingerprint": "f"}}
    assert "work/prod/export_job/f" in labels_of(event(**job))["alert"]
    assert "work/prod/export_job/f" in labels_of(event(EventType.JOB_SUCCEEDED, **job))["alert"]
    assert "overdue/prod/export_job/7" in labels_of(event(EventType.JOB_SUCCEEDED, **job))["alert"]
    assert labels_of(event(EventType.JOB_DISCOVERED, **job))["alert"] == ()


def test_a_message_about_alerts_is_called_as_what_it_lists_too():
    rows = [{"sandbox": "prod", "type": "job.failed", "subject": "work/prod/export_job/7"}, {"sandbox": "dev"}, "odd"]
    labels = labels_of_notice(event(EventType.ALERT_FIRING, sandbox="prod", details={"alerts": rows}))
    assert labels["sandbox"] == ("prod", "dev")
    assert labels["type"] == ("alert.firing", "job.failed")
    assert labels["alert"] == ("work/prod/export_job/7",)
