"""What an event is like, for matchers and groups."""

from typing import Any

from segwatch.alerts.effects import subject_of
from segwatch.jobs.events import Event

LABELS = (
    "type", "severity", "sandbox", "kind", "status", "reason", "job_id", "late",
    "segment", "dataset", "pipeline", "schedule", "channel", "alert",
)  # fmt: skip

_IN_DETAILS = ("dataset", "pipeline", "schedule", "channel")


def labels_of(event: Event) -> dict[str, tuple[str, ...]]:
    """Return the values of all LABELS, () where the event has none; `alert` is the subject of the alert it is about."""
    fields = {
        "type": event.type.value,
        "severity": event.severity.value,
        "sandbox": event.sandbox,
        "kind": event.kind,
        "status": event.status,
        "reason": event.reason,
        "job_id": event.job_id,
        "late": str(event.late).lower(),
        "alert": subject_of(event),
    } | {name: _text(event.details.get(name)) for name in _IN_DETAILS}
    found = {name: (value,) if value else () for name, value in fields.items()}
    return found | {"segment": _segments(event.details)}


def _segments(details: dict[str, Any]) -> tuple[str, ...]:
    """Return the segments that the event names: those of a job, or the one that a detector speaks of."""
    many = details.get("segments")
    named = many if isinstance(many, list) else [details.get("segment")]
    return tuple(one for one in map(_text, named) if one)


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
