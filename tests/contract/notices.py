"""Notices as the alerter writes them: what a group of alerts says when it fires, and when it no longer does."""

from datetime import UTC, datetime, timedelta

from segwatch.deliveries.model import Delivery
from segwatch.jobs.events import Event, EventType, Severity, rfc3339

NOW = datetime(2026, 1, 5, 3, 12, 7, 900_000, tzinfo=UTC)
SUBJECT = "work/prod/export_job/f-nl"
ODD = "*b* _i_ `c` <!channel> <b>&amp;</b> [x](http://x) \x1b[31m\u202e\r\nZürich 路径"


def an_alert(subject: str = SUBJECT, **fields) -> dict:
    return {
        "subject": subject, "standing": "firing", "title": "Export 24116 failed in prod",
        "since": rfc3339(NOW - timedelta(minutes=3)), "ended_at": None, "severity": "critical", "type": "job.failed",
        "event_id": "evt_5f0c", "sandbox": "prod", "kind": "export_job", "job_id": "24116",
    } | fields  # fmt: skip


def notice(type_: EventType, *, sequence: int = 1, labels: dict | None = None, alerts: list | None = None, **fields):
    """Return a notice; of the group of one subject unless `labels` say otherwise."""
    listed = [an_alert()] if alerts is None else alerts
    details = {
        "group": "g-5f0c", "labels": {"alert": SUBJECT} if labels is None else labels,
        "title": "Export 24116 failed in prod",
        "summary": "Export 24116 failed in prod — Zürich <output> & path — 路径 (0090000009).",
        "action": "This was attempt 1 of 3. The retry rules decide what follows.",
        "firing": 1, "resolved": 0, "notes": 0, "repeat": False,
        "items": ["Export 24116 failed in prod since 03:09:07 UTC"], "alerts": listed,
    } | fields.pop("details", {})  # fmt: skip
    base = {
        "type": type_, "stream": "alerts/g-5f0c", "sequence": sequence, "at": NOW, "severity": Severity.CRITICAL,
        "sandbox": "prod", "kind": "export_job", "job_id": "24116", "details": details,
    }  # fmt: skip
    return Event(**(base | fields))


def firing(**fields) -> Event:
    return notice(EventType.ALERT_FIRING, **fields)


def resolved(**fields) -> Event:
    ended = an_alert(standing="resolved", ended_at=rfc3339(NOW))
    words = {"title": "Export 24116 recovered in prod", "summary": "Export 24116 recovered in prod.", "action": ""}
    counts = {"firing": 0, "resolved": 1, "items": ["Export 24116 recovered in prod after 3 m"]}
    usual = {"sequence": 2, "severity": Severity.INFO, "alerts": [ended], "details": words | counts}
    return notice(EventType.ALERT_RESOLVED, **(usual | fields))


def delivery_of(event: Event, channel: str = "ops") -> Delivery:
    return Delivery(event=event, channel=channel, promised_at=event.at, due_at=event.at)
