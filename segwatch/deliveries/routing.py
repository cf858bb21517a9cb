"""Who is told of an event."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from segwatch.alerts.labels import labels_of
from segwatch.alerts.matching import Condition
from segwatch.alerts.model import Labels, is_below
from segwatch.alerts.notices import FOR_ONE
from segwatch.alerts.quiet import QuietHours
from segwatch.deliveries.model import Delivery, promised
from segwatch.jobs.events import Event, Severity

Promise = Callable[[Sequence[Event], datetime], tuple[Delivery, ...]]
"""What is promised of events that are about to be recorded, and when that is."""

Silenced = Callable[[Labels, datetime], bool]
"""Whether a silence holds for what has these labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Events that match go to all these channels.

    condition: which events match. min_severity: less severe ones are not taken.
    continues: the routes behind are looked at as well when this one takes an event.
    default: takes what no other route takes, wherever it stands.
    group_by, group_wait, group_interval, repeat_interval, quiet_hours: with any of them, channels are told of alerts
    in groups instead of each event; None where the setting is not there.
    stateful: those of its channels that keep incidents of their own, and so are told of alerts, never of single events.
    """

    channels: tuple[str, ...]
    condition: Condition = field(default_factory=Condition)
    min_severity: Severity = Severity.INFO
    continues: bool = True
    default: bool = False
    group_by: tuple[str, ...] | None = None
    group_wait: timedelta | None = None
    group_interval: timedelta | None = None
    repeat_interval: timedelta | None = None
    quiet_hours: QuietHours | None = None
    stateful: frozenset[str] = frozenset()

    @property
    def groups(self) -> bool:
        """True when its channels are told of alerts in groups."""
        options = (self.group_by, self.group_wait, self.group_interval, self.repeat_interval, self.quiet_hours)
        return any(option is not None for option in options)

    def takes(self, event: Event) -> bool:
        """True when the event is as severe as it must be, and has every value that is asked for."""
        return not self.objection(labels_of(event), event.severity)

    def objection(self, labels: Labels, severity: Severity) -> str:
        """Return why an event with these labels is not taken; "" when it is."""
        if is_below(severity, self.min_severity):
            return f"severity is {severity}, below {self.min_severity}"
        return self.condition.objection(labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a route is followed, and why."""

    route: Route
    taken: bool
    why: str


def judge(event: Event, routes: Iterable[Route]) -> tuple[Verdict, ...]:
    """Return a verdict on every route, in their order. What tells of alerts is for one channel, and follows none."""
    stopped = "it is made for one channel, and follows no route" if event.type in FOR_ONE else ""
    return _verdicts(labels_of(event), event.severity, routes, stopped)


def _verdicts(labels: Labels, severity: Severity, routes: Iterable[Route], stopped: str = "") -> tuple[Verdict, ...]:
    verdicts: list[Verdict] = []
    for number, route in enumerate(routes):
        against = stopped or route.objection(labels, severity)
        if not against and not route.default and not route.continues:
            stopped = f"routes[{number}] took it, and has continue = false"
        verdicts.append(Verdict(route=route, taken=not against, why=against or "everything that it asks for fits"))
    is_taken = any(verdict.taken and not verdict.route.default for verdict in verdicts)
    return tuple(_fallen_back(verdict, is_taken) if verdict.route.default else verdict for verdict in verdicts)


def _fallen_back(verdict: Verdict, is_taken: bool) -> Verdict:
    if is_taken:
        return Verdict(route=verdict.route, taken=False, why="it is a default, and another route took it")
    if verdict.taken:
        return Verdict(route=verdict.route, taken=True, why="no other route took it")
    return verdict


def channels_for(event: Event, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the channels of all routes that take the event, each once, in the order of the routes.

    A channel is told of its own failure too: it hears of it when it works again, or it lies in its dead letters.
    """
    return tuple(leading(event, routes))


def leading(event: Event, routes: Iterable[Route]) -> dict[str, Route]:
    """Return for each channel the first route that leads the event there: it is told once, and in one manner.

    What tells of alerts, and a digest, is promised to whom it is meant for, and follows no route.
    """
    return {} if event.type in FOR_ONE else leading_labels(labels_of(event), event.severity, routes)


def leading_labels(labels: Labels, severity: Severity, routes: Iterable[Route]) -> dict[str, Route]:
    """Return the same of an event with these labels."""
    found: dict[str, Route] = {}
    for verdict in _verdicts(labels, severity, routes):
        for channel in verdict.route.channels if verdict.taken else ():
            found.setdefault(channel, verdict.route)
    return found


def told_at_once(event: Event, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the channels that are told of the event itself, not in a group of alerts."""
    found = leading(event, routes).items()
    return tuple(channel for channel, route in found if not route.groups and channel not in route.stateful)


def promises(
    events: Iterable[Event], routes: Sequence[Route], now: datetime, silenced: Silenced = lambda labels, now: False
) -> tuple[Delivery, ...]:
    """Return a delivery for each event and each channel that is told of it at once, due now.

    silenced: what it says of is kept from everybody; the end of a silence tells what is wrong by then.
    """
    return tuple(
        promised(event, channel, now)
        for event in events
        if not silenced(labels_of(event), now)
        for channel in told_at_once(event, routes)
    )
