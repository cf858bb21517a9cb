"""When a channel is told of the alerts that belong together, and of which of them.

The waits are Alertmanager's: `group_wait` gathers what comes with the first alert, `group_interval` lies between two
messages of a group, `repeat_interval` says again what still fires. A wave of recoveries is told when it is over: when
nothing fires any more, or nothing has recovered for a `group_interval`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from segwatch.alerts.model import Alert, Labels, Note, Notice, is_below, worst
from segwatch.alerts.quiet import QuietHours
from segwatch.jobs.events import Severity

NOTES_MAX = 50  # of one group until they are told; the rest is counted

GROUP_WAIT = timedelta(seconds=30)
GROUP_INTERVAL = timedelta(minutes=5)
REPEAT_INTERVAL = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one channel is told on one route.

    route: a name that the route keeps as long as it takes the same events. repeat_interval: None for never.
    stateful: the channel keeps an incident of its own, which it is told to open and to close; changes in between, and
    what only tells the story, are kept from it.
    """

    route: str
    channel: str
    group_by: tuple[str, ...] = ()
    group_wait: timedelta = GROUP_WAIT
    group_interval: timedelta = GROUP_INTERVAL
    repeat_interval: timedelta | None = REPEAT_INTERVAL
    quiet: QuietHours | None = None
    stateful: bool = False

    def labels(self, labels: Labels) -> dict[str, str]:
        """Return what the alerts of one group have in common; several values of one label are joined."""
        return {name: ",".join(sorted(labels.get(name, ()))) for name in self.group_by}


class Hush(StrEnum):
    """Why nothing is said of an alert now."""

    NONE = ""
    INHIBITED = "inhibited"  # another alert explains it
    SILENCED = "silenced"  # somebody does not want to hear of it
    UNROUTED = "unrouted"  # no route leads it here any more: only that it is over is still told


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An alert in a group. at: since when it may be told. told: the types that were; known: it was told as firing.

    recurrences: how many of the alert's were told.
    """

    at: datetime
    told: tuple[str, ...] = ()
    recurrences: int = 0
    known: bool = False
    hush: Hush = Hush.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Alerts that one channel is told of together, from the first of them until the last is over.

    members: by the alert's id. notes: lines on what only tells the story; warnings: what is worse than that and opens
    no alert; noted: how many there are of both, whether kept or not; noted_at: since when.
    sequence: messages so far; told_at: when the last was sent. firing, severity: what the channel believes.
    """

    id: str
    way: Way
    labels: dict[str, str]
    members: dict[str, Member] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[Note, ...] = ()
    noted: int = 0
    noted_at: datetime | None = None
    sequence: int = 0
    told_at: datetime | None = None
    firing: bool = False
    severity: Severity = Severity.INFO

    @property
    def stream(self) -> str:
        """The stream of its messages in the event log."""
        return f"alerts/{self.id}"

    @property
    def is_over(self) -> bool:
        """True when there is nothing left to tell: whatever comes next is another group."""
        return not self.members and not self.noted and not self.firing

    def noting(self, note: Note, at: datetime) -> "Group":
        """Return the group with one thing more to tell; a story never crowds out a warning."""
        group = replace(self, noted=self.noted + 1, noted_at=self.noted_at or at)
        if note.severity is not Severity.INFO:
            return replace(group, warnings=(*self.warnings, note)[:NOTES_MAX])
        return replace(group, notes=(*self.notes, note.line)[:NOTES_MAX])

    @property
    def noted_as(self) -> tuple[Note, ...]:
        """What is noted, the worst first."""
        story = (Note(line=line) for line in self.notes)
        return tuple(sorted([*self.warnings, *story], key=lambda note: -note.severity.rank))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What may be said of an open alert now: the types in it that may be told, and why not all."""

    types: tuple[str, ...]
    hush: Hush = Hush.NONE


Hear = Callable[[Alert], Hearing]


def begin(way: Way, labels: dict[str, str], first: str) -> Group:
    """Return a new group. first: the id of the alert or event that begins it, so that no two are the same."""
    name = "\n".join([way.route, way.channel, *(f"{key}={labels[key]}" for key in sorted(labels)), first])
    return Group(id=hashlib.sha256(name.encode()).hexdigest()[:24], way=way, labels=labels)


@dataclass(slots=True)
class _View:
    """The alerts of a group by what there is to tell of them. fresh: (since when, alert)."""

    firing: list[Alert] = field(default_factory=list)
    fresh: list[tuple[datetime, Alert]] = field(default_factory=list)
    sayable: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by alert, of those that are not hushed
    resolved: list[Alert] = field(default_factory=list)
    passed: list[Alert] = field(default_factory=list)  # over before anybody was told


def advance(group: Group, alerts: Mapping[str, Alert], hear: Hear, now: datetime) -> tuple[Group, Notice | None]:
    """Return the group as it is now, and what its channel is told, if it is time.

    The channel is told once the caller has written both: until then ask again with the old group.
    """
    members, view = _look(group, alerts, hear, now)
    group = replace(group, members=members)
    if group.way.stateful:
        group = _without_changes(group, view)
    repeat = not _is_due(group, view, now)
    if repeat and not _is_repeat(group, view, now):
        return group, None
    if _waits_for_the_morning(group, view, now):
        return group, None
    notice = Notice(
        firing=tuple(view.firing),
        resolved=(*view.resolved, *view.passed),
        fresh=frozenset(alert.id for _, alert in view.fresh),
        notes=group.noted_as,
        noted=group.noted,
        repeat=repeat,
    )
    return _told(group, alerts, view, now), notice


def _look(group: Group, alerts: Mapping[str, Alert], hear: Hear, now: datetime) -> tuple[dict[str, Member], _View]:
    members: dict[str, Member] = {}
    view = _View()
    for id_, member in group.members.items():
        alert = alerts[id_]
        if not alert.is_open:
            if member.known:
                view.resolved.append(alert)
            elif member.hush or group.way.stateful:
                continue  # whoever was to be spared it, or has nothing to close, need not hear that it is over
            else:
                view.passed.append(alert)
            members[id_] = member
            continue
        is_unrouted = member.hush is Hush.UNROUTED
        heard = Hearing(types=(), hush=Hush.UNROUTED) if is_unrouted else hear(alert)
        members[id_] = member = _heard(member, heard.hush, now)
        if heard.hush is Hush.NONE or (member.known and (group.way.stateful or not is_unrouted)):
            view.firing.append(alert)
        if heard.hush is Hush.NONE:
            view.sayable[id_] = heard.types
            if alert.recurrences != member.recurrences or not set(heard.types) <= set(member.told):
                view.fresh.append((max(member.at, alert.loud_at) if member.known else member.at, alert))
    return members, view


def _heard(member: Member, hush: Hush, now: datetime) -> Member:
    if hush is member.hush:
        return member
    if member.hush is Hush.SILENCED:  # its end tells what is still wrong, also to those who knew
        return replace(member, hush=hush, at=now, told=())
    return replace(member, hush=hush, at=now if hush is Hush.NONE else member.at)


def _without_changes(group: Group, view: _View) -> Group:
    """Take out what a channel with incidents of its own need not hear.

    It hears of a beginning, a worse turn, an end, and of work that failed anew: by then somebody may have closed the
    incident there without mending anything.
    """
    members = dict(group.members)
    is_worse = is_below(group.severity, worst(*(alert.severity for _, alert in view.fresh)))
    if group.firing and not is_worse and not any(_is_again(members[alert.id], alert) for _, alert in view.fresh):
        for _, alert in view.fresh:
            members[alert.id] = _knowing(members[alert.id], alert, view.sayable[alert.id])
        view.fresh.clear()
    if view.firing or not group.firing:
        for alert in view.resolved:
            del members[alert.id]
        view.resolved.clear()
    return replace(group, members=members)


def _is_due(group: Group, view: _View, now: datetime) -> bool:
    """True when there is news, and all waits are over."""
    way = group.way
    if group.told_at is not None and not _is_past(group.told_at, way.group_interval, now):
        return False
    first = [at for at, _ in view.fresh] + [group.members[alert.id].at for alert in view.passed]
    first += [group.noted_at] if group.noted_at else []
    if first and _is_past(min(first), way.group_wait, now):
        return True
    ends = [alert.ended_at for alert in view.resolved if alert.ended_at]
    if not ends:
        return False
    if not view.firing:
        return _is_past(max(ends), way.group_wait, now)
    longest = way.repeat_interval or REPEAT_INTERVAL
    return _is_past(max(ends), way.group_interval, now) or _is_past(min(ends), longest, now)


def _is_repeat(group: Group, view: _View, now: datetime) -> bool:
    return not view.fresh and _is_to_be_recalled(group, view, now)


def _is_to_be_recalled(group: Group, view: _View, now: datetime) -> bool:
    """True when what fires was told so long ago that it is told again."""
    way = group.way
    if way.stateful or way.repeat_interval is None or group.told_at is None or not view.sayable:
        return False
    return group.firing and _is_past(group.told_at, way.repeat_interval, now)


def _is_past(since: datetime, span: timedelta, now: datetime) -> bool:
    """True when so much time is over; a time that lies ahead was noted before the clock was set back."""
    return not since <= now < since + span


def _waits_for_the_morning(group: Group, view: _View, now: datetime) -> bool:
    """True in quiet hours, for what is not severe enough; whoever was woken is also told when it is over."""
    if group.way.quiet is None or (group.way.stateful and not view.fresh):
        return False
    news = [alert.severity for alert in [*(alert for _, alert in view.fresh), *view.resolved, *view.passed]]
    news += [note.severity for note in group.noted_as]
    if not news or _is_to_be_recalled(group, view, now):
        news += [alert.severity for alert in view.firing]
    severity = worst(*news)
    return group.way.quiet.hold(severity, now)


def _is_again(member: Member, alert: Alert) -> bool:
    return member.known and member.recurrences != alert.recurrences


def _knowing(member: Member, alert: Alert, types: tuple[str, ...]) -> Member:
    """Return the member when these types of the alert are told; of a new failure they are told anew."""
    before = member.told if member.recurrences == alert.recurrences else ()
    told = tuple(dict.fromkeys([*before, *types]))
    return replace(member, told=told, recurrences=alert.recurrences, known=True)


def _told(group: Group, alerts: Mapping[str, Alert], view: _View, now: datetime) -> Group:
    members = dict(group.members)
    for alert in [*view.resolved, *view.passed]:
        del members[alert.id]
    for id_, types in view.sayable.items():
        members[id_] = _knowing(members[id_], alerts[id_], types)
    return replace(
        group,
        members=members,
        notes=(),
        warnings=(),
        noted=0,
        noted_at=None,
        sequence=group.sequence + 1,
        told_at=now,
        firing=bool(view.firing),
        severity=worst(*(alert.severity for alert in view.firing)),
    )
