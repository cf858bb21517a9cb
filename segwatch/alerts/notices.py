"""What a group's message says: one cause becomes one message that counts what it hit and lists it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from segwatch.alerts.grouping import Group, Notice
from segwatch.alerts.model import Alert, worst
from segwatch.jobs.events import Event, EventType, Severity, rfc3339
from segwatch.jobs.model import NOUNS

ITEMS_MAX = 50  # lines, and alerts, of one message; the rest is counted

NOTICES = frozenset({EventType.ALERT_FIRING, EventType.ALERT_RESOLVED, EventType.ALERT_NOTED})

FOR_ONE = NOTICES | {EventType.DIGEST_DAILY}
"""What is promised to one channel, past all routes and silences."""


def follows_no_route(type_: EventType) -> str:
    """Return what a setting or a command says that waits for such an event on a route."""
    if type_ in NOTICES:
        return (
            ", which is a message about alerts: made for one channel of a route that groups, it follows no route"
            " itself. Write the type of what opens the alert, such as job.failed."
        )
    return ", which follows no route: a channel has it by its setting `digest`. Write another type, such as job.failed."


_VERBS = {  # behind "1 export" and "200 exports"
    EventType.JOB_FAILED.value: "failed",
    EventType.JOB_VANISHED.value: "vanished",
    EventType.JOB_OVERDUE.value: "overdue",
    EventType.JOB_UNKNOWN_STATUS.value: "in an unknown status",
    EventType.RETRY_REFUSED.value: "not submitted again",
    EventType.RETRY_EXHAUSTED.value: "failed for good",
}
_THINGS = {  # ("one", "many")
    EventType.SANDBOX_UNREACHABLE.value: ("sandbox unreachable", "sandboxes unreachable"),
    EventType.SANDBOX_UNAUTHORIZED.value: ("sandbox refuses our credentials", "sandboxes refuse our credentials"),
    EventType.CHANNEL_FAILING.value: ("channel failing", "channels failing"),
    EventType.RETRIES_HELD.value: ("sandbox with held resubmissions", "sandboxes with held resubmissions"),
    EventType.PIPELINE_FAILED.value: ("pipeline failed", "pipelines failed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A message that is due. before, group: the group without it, and when it is told."""

    before: Group
    group: Group
    notice: Notice
    at: datetime

    @property
    def channel(self) -> str:
        """Whom it is for."""
        return self.group.way.channel

    @property
    def alerts(self) -> list[Alert]:
        """The alerts of which it says more than how many there are."""
        return [*_worst_first(self.notice.firing)[:ITEMS_MAX], *self.notice.resolved[:ITEMS_MAX]]

    def event(self, as_of_now: Mapping[str, Alert] = MappingProxyType({})) -> Event:
        """Return the message. as_of_now: by their ids, alerts in the words of now; the others keep those of then."""
        firing, resolved = (
            tuple(as_of_now.get(alert.id, alert) for alert in alerts)
            for alerts in (self.notice.firing, self.notice.resolved)
        )
        notice = replace(self.notice, firing=firing, resolved=resolved)
        return event_of(self.group, notice, self.at, before=self.before)


def event_of(group: Group, notice: Notice, now: datetime, *, before: Group) -> Event:
    """Return the message as an event on the group's own stream. group: as it is behind the message."""
    alerts = [*notice.firing, *notice.resolved]
    items = [_firing_line(alert) for alert in _worst_first(notice.firing)]
    items += [_resolved_line(alert) for alert in notice.resolved]
    items += notice.notes
    ended = max((alert.ended_at for alert in notice.resolved if alert.ended_at), default=None)
    details: dict[str, Any] = {
        "group": group.id,
        "channel": group.way.channel,
        "labels": group.labels,
        "title": _title(notice),
        "summary": f"{_title(notice)}{_tail(notice)}.",
        "action": _action(notice.firing),
        **_error(notice.firing or notice.resolved),
        **_work(alerts),
        "firing": len(notice.firing),
        "resolved": len(notice.resolved),
        "notes": notice.noted,
        "since": rfc3339(min(alert.since for alert in alerts)) if alerts else "",
        "was_severity": before.severity.value if before.firing and not notice.firing else "",
        "ended_at": "" if notice.firing or ended is None else rfc3339(ended),
        "items": _bounded(items, len(items) + notice.noted - len(notice.notes)),
        "alerts": [_row(alert) for alert in [*_worst_first(notice.firing), *notice.resolved][:ITEMS_MAX]],
        "repeat": notice.repeat,
    }
    return Event(
        type=_type(notice),
        stream=group.stream,
        sequence=group.sequence,
        at=now,
        severity=worst(*(alert.severity for alert in notice.firing)) if notice.firing else Severity.INFO,
        sandbox=_common(alert.sandbox for alert in alerts),
        kind=_common(alert.kind for alert in alerts),
        details={name: value for name, value in details.items() if value != ""},
    )


def _type(notice: Notice) -> EventType:
    if notice.firing:
        return EventType.ALERT_FIRING
    return EventType.ALERT_RESOLVED if notice.resolved else EventType.ALERT_NOTED


def _title(notice: Notice) -> str:
    if notice.firing:
        firing = notice.firing
        title = firing[0].title if len(firing) == 1 else counted(firing)
        return f"Still: {title}" if notice.repeat else title
    if notice.resolved:
        over = "No longer watched" if all(alert.given_up for alert in notice.resolved) else "Resolved"
        what = notice.resolved[0].title if len(notice.resolved) == 1 else counted(notice.resolved)
        return f"{over}: {what}"
    return notice.notes[0] if notice.noted == 1 else f"{notice.noted:,} events"


def _tail(notice: Notice) -> str:
    """Return what the summary says behind the title: since when, why, and what else the message tells."""
    parts = []
    if alerts := notice.firing or notice.resolved:
        parts.append(_cause(alerts))
        began = min(alert.since for alert in alerts)
        if notice.firing:
            parts.append(f", since {began:%H:%M:%S} UTC")
        elif all(alert.given_up for alert in alerts):
            parts = [f", since {began:%H:%M:%S} UTC — {alerts[0].given_up}"]
        else:
            ended = max(alert.ended_at or alert.since for alert in alerts)
            parts.append(f", from {began:%H:%M:%S} to {ended:%H:%M:%S} UTC")
    if notice.firing and notice.resolved:
        parts.append(f"; {len(notice.resolved):,} resolved")
    if notice.noted and alerts:
        parts.append(f"; {notice.noted:,} more event{'' if notice.noted == 1 else 's'}")
    return "".join(parts)


def _action(firing: Sequence[Alert]) -> str:
    """Return what segwatch does about all of them, if that is one thing; of what is held, why it is."""
    held = [alert for alert in firing if alert.first_type == EventType.RETRIES_HELD]
    return _common(alert.action for alert in held or firing)


def _cause(alerts: Sequence[Alert]) -> str:
    """Return the error that most of them share, and how many do."""
    causes = Counter(alert.cause for alert in alerts if alert.cause)
    if not causes:
        return ""
    cause, number = causes.most_common(1)[0]
    return f" — {cause}" + ("" if number == len(alerts) else f" ({number:,} of {len(alerts):,})")


def _error(alerts: Sequence[Alert]) -> dict[str, str]:
    """Return code and text of the error that most of them share."""
    causes = Counter((alert.code, alert.cause) for alert in alerts if alert.cause)
    if not causes:
        return {}
    (code, cause), _ = causes.most_common(1)[0]
    return {"code": code, "cause": cause}


def _work(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return the segments and the dataset that all of them are about."""
    segments = {tuple(alert.labels.get("segment", ())) for alert in alerts}
    dataset = _common(next(iter(alert.labels.get("dataset", ())), "") for alert in alerts)
    same = list(segments.pop())[:ITEMS_MAX] if len(segments) == 1 else []
    return ({"segments": same} if same else {}) | ({"dataset": dataset} if dataset else {})


def counted(alerts: Collection[Alert]) -> str:
    """Return `200 exports failed, 3 segment jobs overdue in prod`, the most frequent first."""
    sorts = Counter((alert.types[-1], alert.kind) for alert in alerts)
    parts = [_phrase(type_, kind, number) for (type_, kind), number in sorts.most_common()]
    sandbox = _common(alert.sandbox for alert in alerts)
    return ", ".join(parts) + (f" in {sandbox}" if sandbox else "")


def _phrase(type_: str, kind: str, number: int) -> str:
    if type_ in _VERBS:
        noun = NOUNS.get(kind, "job")
        return f"{number:,} {noun}{'' if number == 1 else 's'} {_VERBS[type_]}"
    if type_ in _THINGS:
        return f"{number:,} {_THINGS[type_][number != 1]}"
    return f"{number:,} {type_}"


def _firing_line(alert: Alert) -> str:
    cause = f" — {alert.cause}" if alert.cause else ""
    return f"{alert.title}, since {alert.since:%H:%M:%S} UTC{cause}"


def _resolved_line(alert: Alert) -> str:
    ended = alert.ended_at or alert.changed_at
    if alert.given_up:
        return f"No longer watched: {alert.title}, since {alert.since:%H:%M:%S} UTC — {alert.given_up}"
    return f"Resolved: {alert.title}, from {alert.since:%H:%M:%S} to {ended:%H:%M:%S} UTC"


def _bounded(items: list[str], total: int) -> list[str]:
    """Return the first lines; the last one counts those that are left out."""
    if total <= ITEMS_MAX:
        return items
    return [*items[: ITEMS_MAX - 1], f"and {total - ITEMS_MAX + 1:,} more"]


def _row(alert: Alert) -> dict[str, Any]:
    row = {
        "alert": alert.id,
        "subject": alert.subject,
        "standing": "firing" if alert.is_open else "resolved",
        "title": alert.title,
        "cause": alert.cause,
        "since": rfc3339(alert.since),
        "ended_at": rfc3339(alert.ended_at) if alert.ended_at else "",
        "given_up": alert.given_up,
        "severity": alert.severity.value,
        "type": alert.types[-1],
        "event_id": alert.event_id,
        "sandbox": alert.sandbox,
        "kind": alert.kind,
        "job_id": alert.jobs[-1] if alert.jobs else "",
    }
    return {name: value for name, value in row.items() if value}


def _worst_first(alerts: Sequence[Alert]) -> list[Alert]:
    order = [*reversed(Severity)]
    return sorted(alerts, key=lambda alert: (order.index(alert.severity), alert.since))


def _common(values: Iterable[str]) -> str:
    found = set(values)
    return found.pop() if len(found) == 1 else ""
