"""What an event is called when routes, groups and silences speak of it: labels, as Alertmanager has them."""

from typing import Any

from segwatch.alerts.effects import effects_of
from segwatch.jobs.events import Event

LABELS = (
    "type", "severity", "sandbox", "kind", "status", "reason", "job_id", "late",
    "segment", "dataset", "pipeline", "schedule", "channel", "alert",
)  # fmt: skip

_OF_DETAILS = {  # other versions, and other producers, name the same thing in one of these ways
    "segment": ("segments", "segment"),
    "dataset": ("dataset",),
    "pipeline": ("pipeline",),
    "schedule": ("schedule", "schedule_id"),
    "channel": ("channel",),
}


def labels_of(event: Event) -> dict[str, tuple[str, ...]]:
    """Return the values of all LABELS, () where the event has none: an export of three segments has three of `segment`.

    alert: the subjects of the alerts that it opens, adds to or closes.
    """
    own = {
        "type": event.type.value,
        "severity": event.severity.value,
        "sandbox": event.sandbox,
        "kind": event.kind,
        "status": event.status,
        "reason": event.reason,
        "job_id": event.job_id,
        "late": "true" if event.late else "false",
    }
    named = {
        label: next((found for key in keys if (found := _texts(event.details.get(key)))), ())
        for label, keys in _OF_DETAILS.items()
    }
    subjects = tuple(dict.fromkeys(effect.subject for effect in effects_of(event)))
    return {label: (value,) if value else () for label, value in own.items()} | named | {"alert": subjects}


def _texts(value: Any) -> tuple[str, ...]:
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple(dict.fromkeys(str(one) for one in many if isinstance(one, str | int) and one not in ("", True, False)))
