"""All alerts and groups, and what each event and the time do to them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from segwatch.alerts import grouping
from segwatch.alerts.alerting import Alerting, Dirty
from segwatch.alerts.effects import effects_of
from segwatch.alerts.folding import fold, is_loud
from segwatch.alerts.grouping import Group, Hearing, Hush, Member, Way
from segwatch.alerts.inhibition import Inhibitors, Knows, explains
from segwatch.alerts.labels import labels_of
from segwatch.alerts.model import Alert, Labels, Note, Words
from segwatch.alerts.notices import NOTICES, Telling
from segwatch.alerts.rerouting import Lead, rerouted, resumed, still_owed
from segwatch.jobs.events import Event, EventType

Silenced = Callable[[Labels, datetime], bool]

_GroupKey = tuple[str, str, tuple[tuple[str, str], ...]]


class Book:
    """What is wrong, and who has been told of it. It does no I/O: what it changes, its owner writes.

    alerts: those that are open or in a group; groups: those that have something left to tell. Whoever cannot write
    what `changed` tells must build another one from what is written.
    """

    def __init__(self, alerts: Iterable[Alert], groups: Iterable[Group]) -> None:
        self._alerts = {alert.id: alert for alert in alerts}
        self._open = {alert.subject: alert for alert in self._alerts.values() if alert.is_open}
        self._groups = {group.id: self._whole(group) for group in groups}
        self._by_key = {_key(group): group.id for group in self._groups.values()}
        self._holding: dict[str, set[str]] = {}  # the groups that an alert is in
        for group in self._groups.values():
            self._hold(group)
        self._dirty = Dirty()
        self._explaining: Inhibitors | None = None  # among the open alerts, until one of these changes

    def _whole(self, group: Group) -> Group:
        """Return the group without alerts that are no longer known: their time to be told is long past."""
        known = {id_: member for id_, member in group.members.items() if id_ in self._alerts}
        return replace(group, members=known)

    @property
    def open(self) -> Mapping[str, Alert]:
        """The open alerts by subject."""
        return self._open

    @property
    def groups(self) -> Collection[Group]:
        """The groups that have something left to tell."""
        return self._groups.values()

    def adopt(
        self, ways: Iterable[Way], lead: Lead, now: datetime, silenced: Silenced = lambda labels, now: False
    ) -> tuple[tuple[str, str], ...]:
        """Go by these routes, with all that is open; return who must be told at once what they were not: by event id.

        ways: all that there are. lead: who is told of an open alert.
        """
        known: dict[tuple[str, str], Way] = {}
        for way in ways:  # of equal routes the first is followed
            known.setdefault((way.route, way.channel), way)
        since: dict[tuple[str, str], datetime] = {}  # when those began to wait who leave a group untold
        for group in list(self._groups.values()):
            way = known.get((group.way.route, group.way.channel), group.way)
            after = rerouted(replace(group, way=way), self._alerts, lead)
            gone = group.members.keys() - after.members.keys()
            since |= {(way.channel, id_): group.members[id_].at for id_ in gone}
            if after != group:
                self._keep(after)
        owed: list[tuple[str, str]] = []
        for before in list(self._open.values()):
            leads = lead(before)
            alert = still_owed(before, leads)
            waiting = {channel for channel, *_ in alert.inhibited}
            informed = {*alert.told, *alert.withheld, *waiting, *(way.channel for way in self._ways_of(alert))}
            for way, labels in leads.ways:
                if way.channel not in informed:
                    informed.add(way.channel)
                    self._join(way, alert, labels, Member(at=since.get((way.channel, alert.id), now)))
            at_once = {channel: id_ for channel, id_ in leads.at_once.items() if channel not in informed}
            if at_once and silenced(alert.labels, now):
                alert = replace(alert, withheld=(*alert.withheld, *at_once))
            elif at_once:
                late = [(channel, id_, alert.first_type) for channel, id_ in at_once.items()]
                alert, hearing = self._inhibitors().heard(alert, late, self._known_by)
                owed += hearing
            if alert is not before:
                self._write(alert)
        return tuple(owed)

    def take(
        self, event: Event, *, words: Words, ways: Sequence[Way],
        told: Collection[str] = (), withheld: Collection[str] = (), at_once: Collection[str] = (),
        silenced: bool = False,
    ) -> tuple[str, ...]:  # fmt: skip
        """Take in the next event of the log; return the channels that must hear of it by itself.

        Those are who hear of it as the end of what they heard, and `at_once`, unless another alert explains it to them.
        ways: those of grouped routes that take the event, one for each channel. told: channels that were promised it
        already. withheld: those that would have been, but for a silence. at_once: those that
        follow an immediate route and were not promised it. silenced: whether a silence holds for the event.
        """
        if event.type in NOTICES:
            return ()
        touched: list[Alert] = []
        rising: list[Alert] = []
        closing: dict[str, None] = {}
        for effect in effects_of(event):
            before = self._open.get(effect.subject)
            alert = fold(before, effect, event, words, told=told, withheld=withheld)
            if alert is None:
                continue
            self._write(alert)
            touched.append(alert)
            if not alert.is_open:
                closing |= dict.fromkeys(alert.told)
                self._mend(alert, event)
            elif is_loud(effect, event):
                rising.append(alert)
        ends = tuple(channel for channel in closing if channel not in told)
        for alert in rising if ends else ():  # the end of the one is told by what begins the other
            self._write(replace(alert, told=tuple(dict.fromkeys([*alert.told, *ends]))))
        hearing = self._told_at_once(event, rising, [channel for channel in at_once if channel not in ends])
        for way in ways:
            for alert in rising:
                member = Member(at=event.at, hush=Hush.SILENCED if silenced else Hush.NONE)
                self._join(way, alert, labels_of(event), member)
            if not silenced and not way.stateful and not any(self._is_in(way, alert) for alert in touched):
                group = self._group(way, labels_of(event), event.id)
                note = Note(line=words.line, severity=event.severity, title=words.title, action=words.action)
                self._keep(group.noting(note, event.at))
        return tuple(dict.fromkeys([*hearing, *ends]))

    def _mend(self, over: Alert, event: Event) -> None:
        """Note with what waited for the work of an alert that a job has done it by now."""
        if event.type is EventType.JOB_SUCCEEDED and explains(over):
            for alert in [one for one in self._open.values() if one.awaits in over.jobs]:
                self._write(replace(alert, mended_by=event.job_id))

    def _told_at_once(self, event: Event, rising: Iterable[Alert], channels: Sequence[str]) -> Sequence[str]:
        """Return whom of these channels no alert keeps from hearing of the event now; the others wait."""
        alert = next((self._open[one.subject] for one in rising), None)
        if alert is None or not channels:
            return channels
        owed = [(channel, event.id, event.type.value) for channel in channels]
        alert, hearing = self._inhibitors().heard(alert, owed, self._known_by)
        self._write(alert)
        return [channel for channel, _ in hearing]

    def released(self, now: datetime, silenced: Silenced) -> tuple[tuple[str, str], ...]:
        """Return who is told at once, now that nothing explains it any more, of which events: by their ids."""
        owed: list[tuple[str, str]] = []
        for alert in [one for one in self._open.values() if one.inhibited]:
            after, hearing = self._inhibitors().heard(replace(alert, inhibited=()), alert.inhibited, self._known_by)
            if not hearing:
                continue
            if silenced(alert.labels, now):  # they hear of it at the end of the silence
                withheld = tuple(dict.fromkeys([*alert.withheld, *dict(hearing)]))
                after, hearing = replace(after, told=alert.told, withheld=withheld), []
            self._write(after)
            owed += hearing
        return tuple(owed)

    def tick(self, now: datetime, silenced: Silenced) -> list[Telling]:
        """Return what is to be told at `now`.

        Those of whom a silence kept something learn of it from the event that tells of the silence's end.
        """
        inhibitors = self._inhibitors()
        hushed = {subject for subject, alert in self._open.items() if silenced(alert.labels, now)}
        told: list[Telling] = []
        for group in list(self._groups.values()):
            after, notice = grouping.advance(group, self._alerts, self._ears(group, inhibitors, hushed), now)
            if notice is not None:
                told.append(Telling(before=group, group=after, notice=notice, at=now))
            if after != group:
                self._keep(after)
        for alert in list(self._open.values()):
            if alert.withheld and alert.subject not in hushed:  # they hear of it now, and so must hear of its end
                told_too = tuple(dict.fromkeys([*alert.told, *alert.withheld]))
                self._write(replace(alert, told=told_too, withheld=()))
        return told

    def changed(self, cursor: int = 0, cursor_before: int = 0) -> Alerting:
        """Return what has changed since this was last asked. cursor, cursor_before: as in `Alerting`."""
        dirty, self._dirty = self._dirty, Dirty()
        return dirty.written(cursor, cursor_before)

    def _ears(self, group: Group, inhibitors: Inhibitors, silenced: Collection[str]) -> grouping.Hear:
        knows = self._known_by(group.way.channel)

        def hear(alert: Alert) -> Hearing:
            if alert.subject in silenced:
                return Hearing(types=(), hush=Hush.SILENCED)
            types = inhibitors.sayable(alert, knows)
            return Hearing(types=types, hush=Hush.NONE if types else Hush.INHIBITED)

        return hear

    def _inhibitors(self) -> Inhibitors:
        if self._explaining is None:
            self._explaining = Inhibitors.among(self._open.values())
        return self._explaining

    def _known_by(self, channel: str) -> Knows:
        """Return what tells whether the channel is told of an alert."""
        return lambda alert: channel in alert.told or any(way.channel == channel for way in self._ways_of(alert))

    def _join(self, way: Way, alert: Alert, labels: Labels, member: Member) -> None:
        """Put the alert into the way's group, unless it is in one of this way's already.

        A channel with incidents of its own has one for an alert, however many ways lead there; and where an alert waits
        to be closed that no route took any more, it goes on.
        """
        for held in [self._groups[id_] for id_ in self._holding.get(alert.id, ())]:
            if held.way.channel != way.channel:
                continue
            there = held.members[alert.id]
            if there.hush is Hush.UNROUTED:
                self._keep(resumed(held, alert.id, way))
                return
            if held.way.route == way.route or (way.stateful and there.known):
                return
            if way.stateful:  # nobody knows of it yet: it need not wait as long as others do there
                rest = {id_: one for id_, one in held.members.items() if id_ != alert.id}
                self._keep(replace(held, members=rest))
        group = self._group(way, {**labels, "alert": (alert.subject,)}, alert.id)
        group.members[alert.id] = member  # in place: a night adds thousands to one group
        self._holding.setdefault(alert.id, set()).add(group.id)
        self._put(group)

    def _is_in(self, way: Way, alert: Alert) -> bool:
        return any((one.route, one.channel) == (way.route, way.channel) for one in self._ways_of(alert))

    def _ways_of(self, alert: Alert) -> list[Way]:
        """Return how those are told who are told of the alert in a group."""
        return [self._groups[id_].way for id_ in self._holding.get(alert.id, ())]

    def _group(self, way: Way, labels: Labels, first: str) -> Group:
        fresh = grouping.begin(way, way.labels(labels), first)
        known = self._by_key.get(_key(fresh))
        return fresh if known is None else self._groups[known]

    def _write(self, alert: Alert) -> None:
        if explains(alert):
            self._explaining = None
        if alert.is_open:
            self._open[alert.subject] = alert
        else:
            self._open.pop(alert.subject, None)
        self._dirty.alerts[alert.id] = alert
        if alert.is_open or self._holding.get(alert.id):
            self._alerts[alert.id] = alert
        else:
            self._forget(alert.id)

    def _keep(self, group: Group) -> None:
        before = self._groups.get(group.id)
        if before and _key(before) != _key(group):
            self._unlist(before)
        gone = before.members.keys() - group.members.keys() if before else ()
        for id_ in gone:
            self._holding[id_].discard(group.id)
            if not self._holding[id_] and not self._alerts[id_].is_open:
                self._forget(id_)
        if group.is_over:
            self._groups.pop(group.id, None)
            self._unlist(group)
            self._dirty.groups.pop(group.id, None)
            self._dirty.finished.add(group.id)
            return
        self._hold(group)
        self._put(group)

    def _put(self, group: Group) -> None:
        self._groups[group.id] = group
        self._by_key[_key(group)] = group.id
        self._dirty.groups[group.id] = group

    def _unlist(self, group: Group) -> None:
        if self._by_key.get(_key(group)) == group.id:  # an edit may have brought two groups to one way
            del self._by_key[_key(group)]

    def _hold(self, group: Group) -> None:
        for id_ in group.members:
            self._holding.setdefault(id_, set()).add(group.id)

    def _forget(self, alert_id: str) -> None:
        self._alerts.pop(alert_id, None)
        self._holding.pop(alert_id, None)


def _key(group: Group) -> _GroupKey:
    return group.way.route, group.way.channel, tuple(sorted(group.labels.items()))
