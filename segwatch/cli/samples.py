"""Events that did not happen, to try channels and routes with."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from segwatch.alerts.labels import LABELS
from segwatch.alerts.notices import NOTICES
from segwatch.cli.options import EVENT_TYPES
from segwatch.cli.output import Exit, fail
from segwatch.deliveries.digest import event_of
from segwatch.deliveries.digest_times import stream_of
from segwatch.errors import hint
from segwatch.jobs.events import Event, EventType, Severity, rfc3339, severity_of

_TEST = "This is a sample of `segwatch notify`"
_SEGMENT = "a1b2c3d4-0001-4000-8000-000000000001"
_FIELDS = ("sandbox", "kind", "status", "reason", "job_id")
_DETAILS = ("dataset", "pipeline", "schedule", "channel")
_WORDS = {"severity": tuple(one.value for one in Severity), "late": ("true", "false")}
_GIVEN = tuple(label for label in LABELS if label not in ("type", "alert"))

Labels = Annotated[
    list[str] | None,
    Parameter(name="--label", help="Of an event that is only thought of: such as sandbox=prod; may be repeated."),
]


def type_of(text: str) -> EventType:
    """Return the type of event that is meant; ends the command for what is none."""
    if text not in EVENT_TYPES:
        likely = hint(text, EVENT_TYPES)
        fail(Exit.USAGE, f'event is "{text}", which is neither a type of event nor an id (evt_...).{likely}')
    return EventType(text)


def bare(type_: EventType, now: datetime) -> Event:
    """Return an event of which nothing but the type is known, to be given labels."""
    return Event(type=type_, stream="", sequence=0, at=now, severity=severity_of(type_))


def labelled(event: Event, labels: list[str]) -> Event:
    """Return the event with these labels, written as sandbox=prod; ends the command for what no event can have."""
    given: dict[str, list[str]] = {}
    for text in labels:
        name, value = _label(text)
        given.setdefault(name, []).append(value)
    fields: dict[str, Any] = {name: values[-1] for name, values in given.items() if name in _FIELDS}
    fields |= {"late": given["late"] == ["true"]} if "late" in given else {}
    fields |= {"severity": Severity(given["severity"][-1])} if "severity" in given else {}
    details = {name: given[name][-1] for name in _DETAILS if name in given}
    segments = {"segments": given["segment"]} if "segment" in given else {}
    return replace(event, details=event.details | details | segments, **fields)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(Exit.USAGE, f'--label is "{text}", which is no label and value. Write such as sandbox=prod.')
    if name not in _GIVEN:
        likely = hint(name, _GIVEN)
        fail(Exit.USAGE, f'--label is "{text}", which names no label. Known labels: {", ".join(_GIVEN)}.{likely}')
    if name in _WORDS and value not in _WORDS[name]:
        fail(Exit.USAGE, f'--label is "{text}". Known values: {", ".join(_WORDS[name])}.')
    return name, value


def sample(type_: EventType, now: datetime) -> Event:
    """Return an event of this type that says itself that it did not happen."""
    if type_ in NOTICES:
        return _notice(type_, now)
    if type_ is EventType.DIGEST_DAILY:
        return _digest(now)
    if type_.value.startswith("pipeline."):
        return Event(
            type=type_,
            stream=f"pipeline/sample/sample/{random.getrandbits(32)}",
            sequence=1,
            at=now,
            severity=severity_of(type_),
            sandbox="sample",
            details={"pipeline": "sample", "step": "check", "why": f"{_TEST}; nothing was run.", "took_s": 412.0},
        )
    return Event(
        type=type_,
        stream=f"sample/export_job/{random.getrandbits(32)}",
        sequence=1,
        at=now,
        severity=severity_of(type_),
        sandbox="sample",
        kind="export_job",
        job_id="24116",
        status="FAILED",
        previous="PROCESSING",
        details={
            "created_at": rfc3339(now - timedelta(seconds=430)),
            "started_at": rfc3339(now - timedelta(seconds=412)),
            "ended_at": rfc3339(now - timedelta(seconds=1)),
            "duration_s": 429.0,
            "errors": [{"code": "0090000009", "message": f"{_TEST}; nothing failed."}],
            "segments": [_SEGMENT],
            "dataset": "65a1b2c3d4e5f60718293a4b",
            "root": "24116",
            "attempt": 1,
        },
    )


def _notice(type_: EventType, now: datetime) -> Event:
    """Return a message about alerts; what opens an incident is closed by the next sample that says resolved."""
    firing = type_ is EventType.ALERT_FIRING
    about = {"subject": "sample", "severity": Severity.CRITICAL.value, "since": rfc3339(now), "job_id": "24116"}
    title = "Export 24116 failed in sample" if firing else "Resolved: Export 24116 failed in sample"
    return Event(
        type=type_,
        stream="alerts/sample",
        sequence=random.getrandbits(32),
        at=now,
        severity=Severity.CRITICAL if firing else Severity.INFO,
        sandbox="sample",
        kind="export_job",
        details={
            "group": "sample",
            "labels": {"alert": "sample"},
            "title": title,
            "summary": f"{title}. {_TEST}; nothing failed.",
            "firing": int(firing),
            "resolved": int(not firing),
            "items": [title],
            "alerts": [about],
        },
    )


def _digest(now: datetime) -> Event:
    of_exports = {"sandbox": "sample", "kind": "export_job", "runs": 12, "succeeded": 11, "failed": 1}
    counted = {
        "sandboxes": ["sample"], "silent": [], "runs": 12, "succeeded": 11, "failed": 1, "cancelled": 0, "vanished": 0,
        "saved": 1, "given_up": 0, "work": [of_exports | {"median_s": 452.0, "usual_s": 361.0}],
        "failures": [{
            "sandbox": "sample", "kind": "export_job", "count": 1, "job_id": "24116", "code": "0090000009",
            "message": f"{_TEST}; nothing failed.",
        }],
        "slowest": [{
            "sandbox": "sample", "kind": "export_job", "job_id": "24120", "took_s": 7800.0, "usual_s": 2400.0,
        }],
    }  # fmt: skip
    stream = f"{stream_of('sample')}/{random.getrandbits(64):x}"
    return event_of(stream, 1, "", counted, since=now - timedelta(days=1), until=now, zone="UTC", now=now)
