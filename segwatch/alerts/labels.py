"""What an event is called when routes, groups and silences speak of it: labels, as Alertmanager has them."""

from typing import Any

from segwatch.alerts.effects import effects_of
from segwatch.jobs.events import Event, rows_in
from segwatch.jobs.model import JobState

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
_OF_LISTED = {
    "type": "type", "severity": "severity", "sandbox": "sandbox", "kind": "kind", "job_id": "job_id",
    "alert": "subject",
}  # fmt: skip


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


def labels_of_job(job: JobState) -> dict[str, tuple[str, ...]]:
    """Return the labels that all events about the job have, whatever happens to it."""
    return {
        "sandbox": (job.key.sandbox,),
        "kind": (job.key.kind,),
        "job_id": (job.key.id,),
        "segment": job.facts.segments,
        "dataset": (job.facts.dataset,) if job.facts.dataset else (),
    }


def labels_of_alert(subject: str, opened: Event) -> dict[str, tuple[str, ...]]:
    """Return the labels of the alert that an event opened: the event's, and of alerts that one alone."""
    return labels_of(opened) | {"alert": (subject,)}


def labels_of_notice(event: Event) -> dict[str, tuple[str, ...]]:
    """Return the labels of a message about alerts: its own, and those of the alerts that it lists."""
    labels, rows = labels_of(event), rows_in(event.details, "alerts")
    return labels | {
        label: tuple(dict.fromkeys([*labels[label], *(value for row in rows for value in _texts(row.get(key)))]))
        for label, key in _OF_LISTED.items()
    }


def _texts(value: Any) -> tuple[str, ...]:
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple(dict.fromkeys(str(one) for one in many if isinstance(one, str | int) and one not in ("", True, False)))
