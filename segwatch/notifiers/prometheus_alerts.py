"""An alert as Alertmanager takes it: labels, by which it is known, annotations, and when it fires.

Source: the OpenAPI of Alertmanager's API v2, `postableAlert`; prometheus.io, "Alerting: Sending alerts".
"""

import re
from datetime import datetime, timedelta
from typing import Any

from segwatch.deliveries.marking import TEST_SUBJECT
from segwatch.deliveries.message import Message, Standing
from segwatch.deliveries.runes import clip, listed
from segwatch.jobs.events import Event, Severity, moment_of, rfc3339, rows_in

_DESCRIPTION_MAX = 8000

_NAMES = {  # by the first part of the subject; of others that part itself
    "work": "JobFailed", "overdue": "JobOverdue", "unknown_status": "JobUnknownStatus", "pipeline": "PipelineFailed",
    "sandbox": "SandboxFailing", "channel": "ChannelFailing", "retries": "RetriesHeld",
}  # fmt: skip


def alert_of(event: Event, message: Message, now: datetime, *, fires_for: timedelta) -> dict[str, Any]:
    """Return the alert that a notice, or a single event that opens or closes one, is to Alertmanager."""
    told = rows_in(event.details, "alerts")
    begun = min([since for one in told if (since := moment_of(one.get("since")))], default=event.at)
    begun = min(begun, event.at, now)
    ends = now + fires_for if message.standing is Standing.FIRING else now
    alert = {
        "labels": labels_of(event, message),
        "annotations": _annotations(event, message),
        "startsAt": rfc3339(begun),
        "endsAt": rfc3339(max(ends, begun + timedelta(milliseconds=1))),  # an alert may not end before it begins
    }
    source = next((url for _, url in message.links if url.startswith(("https://", "http://"))), "")
    return alert | ({"generatorURL": source} if source else {})


def labels_of(event: Event, message: Message) -> dict[str, str]:
    """Return what the alert is known by: the same when it fires and when it is resolved.

    So nothing is in it that may change meanwhile, but for the severity, which routes need. An alert that grows worse
    is another one to Alertmanager; the former is not told again, and ends. All tests of one severity are one alert.
    """
    if message.subject == TEST_SUBJECT:
        severity = event.severity if message.standing is Standing.FIRING else Severity.CRITICAL
        return {"alertname": "SegwatchTest", "sandbox": event.sandbox, "severity": severity.value}
    grouped = event.details.get("labels")
    labels = {_word(name): str(value) for name, value in grouped.items()} if isinstance(grouped, dict) else {}
    if not isinstance(grouped, dict):
        labels["alert"] = message.subject
    if "alert" in labels:
        labels |= {"sandbox": event.sandbox, "kind": event.kind}
    if isinstance(event.details.get("group"), str):
        labels["group"] = event.details["group"]
    labels |= {"alertname": _alertname(labels.get("alert", "")), "severity": _severity(event, message).value}
    return {name: value for name, value in labels.items() if value}


def _alertname(subject: str) -> str:
    """Return a name such as `SegwatchJobFailed`, by the first part of the subject; of a group, one for all."""
    first = subject.partition("/")[0]
    words = _NAMES.get(first) or "".join(word.capitalize() for word in re.split("[^a-zA-Z0-9]+", first))
    return f"Segwatch{words or 'Alerts'}"


def _severity(event: Event, message: Message) -> Severity:
    """Return how bad it is; of what is resolved, how bad it was told to be, which may be worse than all in it now."""
    if message.standing is Standing.FIRING:
        return event.severity
    if (told := event.details.get("was_severity")) in tuple(Severity):
        return Severity(told)
    was = {str(one.get("severity")) for one in rows_in(event.details, "alerts")}
    return max((one for one in Severity if one in was), key=lambda one: one.rank, default=event.severity)


def _annotations(event: Event, message: Message) -> dict[str, str]:
    said = clip(message.line, _DESCRIPTION_MAX // 2)
    left = _DESCRIPTION_MAX - len(said) - 1
    items = [f"- {item}" for item in message.items]
    lines = listed(items, left, more=message.items_left, by=message.listed_by) if items else []
    description = "\n".join([said, *lines])
    fields = {_word(name).lower(): value for name, value in message.fields}
    links = {f"{_word(name).lower()}_url": url for name, url in message.links}
    told = fields | links | {"summary": message.title, "description": description, "event_id": event.id}
    return {name: value for name, value in told.items() if value}


def _word(name: str) -> str:
    """Return a name as labels and annotations must be written."""
    word = re.sub("[^a-zA-Z0-9_]", "_", name)
    return f"_{word}" if word[:1].isdigit() else word
