"""What is told when a silence ends: what is still wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from segwatch.alerts.labels import labels_of_alert
from segwatch.alerts.model import worst
from segwatch.alerts.silences import Silence, silenced_by
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.model import Delivery, promised
from segwatch.deliveries.phrases import moment
from segwatch.deliveries.routing import Route, told_at_once
from segwatch.deliveries.wording import said_of
from segwatch.jobs.events import Event, EventType, rfc3339

LISTED_MAX = 50

Wrong = Mapping[str, Event]
"""The open alerts: what each is about -> the event that opened it."""


def matched(silence: Silence, wrong: Wrong) -> dict[str, Event]:
    """Return the open alerts that a silence is about, the worst first, and of these the oldest."""
    found = {subject: event for subject, event in wrong.items() if silence.matches(labels_of_alert(subject, event))}
    return dict(sorted(found.items(), key=lambda one: (-one[1].severity.rank, one[1].at, one[0])))


def told(
    silence: Silence,
    wrong: Wrong,
    silences: Sequence[Silence],
    routes: Sequence[Route],
    now: datetime,
    knowledge: Knowledge = NOTHING,
) -> tuple[Silence, Event, tuple[Delivery, ...]]:
    """Return the silence whose end is told, the event that tells it, and the deliveries to whom it concerns.

    Those are all who are told of such an event at once, and all who would have been told of one of the alerts that are
    still open. What another one of `silences` is about waits for the end of that one. knowledge: what it is told with.
    """
    still = {
        subject: event
        for subject, event in matched(silence, wrong).items()
        if not silenced_by(labels_of_alert(subject, event), silences, now)
    }
    event = _event(silence, still, now, knowledge)
    channels = dict.fromkeys(channel for one in (event, *still.values()) for channel in told_at_once(one, routes))
    deliveries = tuple(promised(event, one, now) for one in channels)
    return replace(silence, told_at=now), event, deliveries


def _event(silence: Silence, still: Wrong, now: datetime, knowledge: Knowledge) -> Event:
    details: dict[str, Any] = {
        "silence": silence.id,
        "matchers": silence.what,
        "owner": silence.owner,
        "why": silence.reason,
        "since": rfc3339(silence.starts_at),
        "ends_at": rfc3339(silence.ends_at) if silence.ends_at else "",
        "open": len(still),
        "items": _items(list(still.values())[:LISTED_MAX], now, knowledge),
        "items_left": max(0, len(still) - LISTED_MAX),
        "alerts": [_alert(subject, event, knowledge) for subject, event in list(still.items())[:LISTED_MAX]],
    }
    return Event(
        type=EventType.SILENCE_ENDED,
        stream=silence.stream,
        sequence=1,
        at=now,
        severity=worst(*(event.severity for event in still.values())),
        sandbox=_common([event.sandbox for event in still.values()]),
        kind=_common([event.kind for event in still.values()]),
        reason=silence.ends_by.value,
        details={name: value for name, value in details.items() if value not in ("", [], 0) or name == "open"},
    )


def _items(events: Sequence[Event], now: datetime, knowledge: Knowledge) -> list[str]:
    return [f"{said_of(event, knowledge).title}, since {moment(rfc3339(event.at), now)}" for event in events]


def _alert(subject: str, event: Event, knowledge: Knowledge) -> dict[str, Any]:
    return {
        "subject": subject,
        "title": said_of(event, knowledge).title,
        "since": rfc3339(event.at),
        "severity": event.severity.value,
        "type": event.type.value,
        "event_id": event.id,
        "sandbox": event.sandbox,
        "kind": event.kind,
        "job_id": event.job_id,
    }


def _common(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ""
