"""What a group's message says: one cause becomes one message that counts what it hit and lists it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from segwatch.alerts import lines
from segwatch.alerts.counting import common, counted
from segwatch.alerts.grouping import Group
from segwatch.alerts.model import Alert, Notice, worst
from segwatch.jobs.events import Event, EventType, rfc3339

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

    def event(
        self, as_of_now: Mapping[str, Alert] = MappingProxyType({}), about: Mapping[str, Event] = MappingProxyType({})
    ) -> Event:
        """Return the message. as_of_now: by their ids, alerts in the words of now; the others keep those of then.

        about: by their ids, the events that the titles are from; of those that are not there less is said.
        """
        firing, resolved = (
            tuple(as_of_now.get(alert.id, alert) for alert in alerts)
            for alerts in (self.notice.firing, self.notice.resolved)
        )
        notice = replace(self.notice, firing=firing, resolved=resolved)
        only = about.get(firing[0].titled_by) if len(firing) == 1 else None
        return event_of(self.group, notice, self.at, before=self.before, only=only)

    @property
    def alerts(self) -> list[Alert]:
        """The alerts of which it says more than how many there are."""
        return _told_of(self.notice)


def event_of(group: Group, notice: Notice, now: datetime, *, before: Group, only: Event | None = None) -> Event:
    """Return the message as an event on the group's own stream.

    group: as it is behind the message. only: the event that the one alert that fires is told by: the message says of it
    all that there is to say.
    """
    alerts = [*notice.firing, *notice.resolved]
    items, left = _items(notice, now)
    ended = max((alert.ended_at for alert in notice.resolved if alert.ended_at), default=None)
    title = _title(notice)
    details: dict[str, Any] = {
        "group": group.id,
        "channel": group.way.channel,
        "labels": group.labels,
        "title": title,
        "summary": f"{title}{_tail(notice, now)}.",
        "action": _action(notice),
        **_error(notice.firing or notice.resolved),
        **_work(alerts),
        "firing": len(notice.firing),
        "resolved": len(notice.resolved),
        "notes": notice.noted,
        "since": rfc3339(min(alert.since for alert in alerts)) if alerts else "",
        "was_severity": before.severity.value if before.firing and not notice.firing else "",
        "ended_at": "" if notice.firing or ended is None else rfc3339(ended),
        "items": items,
        "items_left": left,
        "listed_by": _listed_by(notice, before.noted_at or now, now),
        "alerts": [_row(alert) for alert in _told_of(notice)],
        "repeat": notice.repeat,
    }
    told = {name: value for name, value in details.items() if value != ""}
    return Event(
        type=_type(notice),
        stream=group.stream,
        sequence=group.sequence,
        at=now,
        severity=worst(*(alert.severity for alert in notice.firing), *(note.severity for note in notice.notes)),
        sandbox=common(alert.sandbox for alert in alerts),
        kind=common(alert.kind for alert in alerts),
        status=only.status if only else "",
        previous=only.previous if only else "",
        reason=only.reason if only else "",
        late=only.late if only else False,
        links=only.links if only else {},
        details=(only.details | {"job": only.job_id} if only else {}) | told,  # a message is no part of a job's history
    )


def _told_of(notice: Notice) -> list[Alert]:
    return [*_worst_first(notice)[:ITEMS_MAX], *notice.resolved][:ITEMS_MAX]


def _type(notice: Notice) -> EventType:
    if notice.firing:
        return EventType.ALERT_FIRING
    return EventType.ALERT_RESOLVED if notice.resolved else EventType.ALERT_NOTED


def _title(notice: Notice) -> str:
    if notice.firing:
        firing = notice.firing
        title = firing[0].title if len(firing) == 1 else counted(firing)
        if notice.repeat:
            return f"Still: {title}"
        return f"Again: {title}" if len(firing) == 1 and _again(notice) else title
    if notice.resolved:
        ways = {lines.over(alert) for alert in notice.resolved}
        what = notice.resolved[0].title if len(notice.resolved) == 1 else counted(notice.resolved)
        return f"{ways.pop() if len(ways) == 1 else 'Resolved'}: {what}"
    if notice.noted == 1:
        return notice.notes[0].title or notice.notes[0].line
    return f"{notice.noted:,} events"


def _tail(notice: Notice, now: datetime) -> str:
    """Return what the summary says behind the title: since when, why, and what else the message tells."""
    alerts = notice.firing or notice.resolved
    if not alerts:
        return notice.notes[0].line.removeprefix(_title(notice)) if notice.noted == 1 else ""
    parts = [_firing_tail(notice, now) if notice.firing else _resolved_tail(alerts, now)]
    if notice.firing and notice.resolved:
        parts.append(f"; {len(notice.resolved):,} resolved")
    if notice.noted:
        parts.append(f"; {notice.noted:,} more event{'' if notice.noted == 1 else 's'}")
    return "".join(parts)


def _firing_tail(notice: Notice, now: datetime) -> str:
    if len(notice.firing) == 1:
        (alert,) = notice.firing
        return lines.firing_line(alert, now).removeprefix(alert.title)
    again = _again(notice)
    began = lines.clock(min(alert.since for alert in notice.firing), now)
    return f"{_cause(notice.firing)}, since {began}" + (f"; {again:,} failed again" if again else "")


def _resolved_tail(alerts: Sequence[Alert], now: datetime) -> str:
    if len(alerts) == 1:
        cause = "" if lines.over(alerts[0]) != "Resolved" else _cause(alerts)
        return cause + lines.ended(alerts[0], now)
    began, last = min(alert.since for alert in alerts), max(alert.ended_at or alert.since for alert in alerts)
    why = {alert.given_up or alert.called_off for alert in alerts}
    if len(why) == 1 and (only := why.pop()):
        return f", since {lines.clock(began, now)} — {only}"
    return f"{_cause(alerts)}, {lines.between(began, last, now)}"


def _again(notice: Notice) -> int:
    """Return of how much work the message tells that it failed anew."""
    return sum(alert.recurrences > 0 and alert.id in notice.fresh for alert in notice.firing)


def _items(notice: Notice, now: datetime) -> tuple[list[str], int]:
    """Return a line for each thing that the message counts, as far as there is room, and how many are left out.

    What all of them share is in the headline, and not in each line again.
    """
    alerts = (*notice.firing, *notice.resolved)
    sandbox = common(alert.sandbox for alert in alerts) if len(alerts) > 1 else ""
    cause = common(alert.cause for alert in notice.firing) if len(notice.firing) > 1 else ""
    items = [lines.firing_line(alert, now, but=cause, sandbox=sandbox) for alert in _worst_first(notice)]
    items += [lines.over_line(alert, now, sandbox=sandbox) for alert in notice.resolved]
    items += [note.line for note in notice.notes]
    total = len(items) + notice.noted - len(notice.notes)
    return items[:ITEMS_MAX], max(0, total - ITEMS_MAX)


def _listed_by(notice: Notice, noted_at: datetime, now: datetime) -> str:
    """Return the command that lists what a message has no room for; "" of one that tells of a single thing."""
    alerts = (*notice.firing, *notice.resolved)
    if len(alerts) + notice.noted < 2:
        return ""
    since = min(noted_at, *(alert.since for alert in alerts), now)
    words = ["segwatch events list"]
    if not notice.noted:
        words += dict.fromkeys(f"--type {alert.first_type}" for alert in alerts)
        words += filter(None, [common(f"--sandbox {alert.sandbox}" for alert in alerts if alert.sandbox)])
    return " ".join([*words, f"--since {1 + (now - since) // timedelta(hours=1)}h --limit 1000"])


def _action(notice: Notice) -> str:
    """Return what segwatch does about all of them, if that is one thing; of what is held, why it is."""
    held = [alert for alert in notice.firing if alert.first_type == EventType.RETRIES_HELD]
    if notice.noted == 1 and not notice.firing and not notice.resolved:
        return notice.notes[0].action
    return common(alert.action for alert in held or notice.firing)


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
    dataset = common(next(iter(alert.labels.get("dataset", ())), "") for alert in alerts)
    same = list(segments.pop())[:ITEMS_MAX] if len(segments) == 1 else []
    return ({"segments": same} if same else {}) | ({"dataset": dataset} if dataset else {})


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
        "called_off": alert.called_off,
        "failures": alert.recurrences + 1 if alert.recurrences else "",
        "severity": alert.severity.value,
        "type": alert.types[-1],
        "event_id": alert.event_id,
        "sandbox": alert.sandbox,
        "kind": alert.kind,
        "job_id": alert.jobs[-1] if alert.jobs else "",
    }
    return {name: value for name, value in row.items() if value}


def _worst_first(notice: Notice) -> list[Alert]:
    """Return what fires; of equally severe ones first what is new, so that it is not what a channel has no room for."""
    return sorted(notice.firing, key=lambda alert: (-alert.severity.rank, alert.id not in notice.fresh, alert.since))
