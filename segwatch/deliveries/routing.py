"""Who is told of an event."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from segwatch.alerts.grouping import GROUP_INTERVAL, GROUP_WAIT, REPEAT_INTERVAL, Way
from segwatch.alerts.notices import NOTICES
from segwatch.deliveries.model import Delivery
from segwatch.jobs.events import Event

MATCH_KEYS = ("type", "severity", "sandbox", "kind", "status", "reason", "job_id", "late")

Scalar = str | int | bool
MatchValue = Scalar | Sequence[Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """How the alerts of a route are gathered into messages. by: the labels that those of one message share."""

    by: tuple[str, ...] = ()
    wait: timedelta = GROUP_WAIT
    interval: timedelta = GROUP_INTERVAL
    repeat: timedelta | None = REPEAT_INTERVAL


# an incident for each alert, opened and closed at once
_EACH = Grouping(by=("alert",), wait=timedelta(), interval=timedelta(), repeat=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Events that match go to all these channels.

    grouping: None to tell of each event at once. stateful: those of its channels that keep incidents of their own,
    and so are told of alerts, never of single events.

    match: a key of MATCH_KEYS -> the text that the event must have there, or a list of which it must have
    one. `{}` matches everything, an empty list nothing. Raises ValueError for a key that no event has.
    """

    match: Mapping[str, MatchValue]
    channels: tuple[str, ...]
    grouping: Grouping | None = None
    stateful: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for key in self.match:
            if key not in MATCH_KEYS:
                raise ValueError(f'a route cannot match "{key}"; known: {", ".join(MATCH_KEYS)}')

    def takes(self, event: Event) -> bool:
        """True when the event has every value that `match` asks for."""
        return all(_value(event, key) in _wanted(value) for key, value in self.match.items())

    @property
    def name(self) -> str:
        """The same as long as it takes the same events and groups them by the same labels, wherever it stands."""
        match = sorted((key, _wanted(value)) for key, value in self.match.items())
        by = self.grouping.by if self.grouping else _EACH.by
        return hashlib.sha256(repr((match, by)).encode()).hexdigest()[:16]

    def way(self, channel: str) -> Way | None:
        """Return how the channel is told of alerts; None when it is told of each event at once."""
        grouping = self.grouping or (_EACH if channel in self.stateful else None)
        if grouping is None:
            return None
        return Way(
            route=self.name,
            channel=channel,
            group_by=grouping.by,
            group_wait=grouping.wait,
            group_interval=grouping.interval,
            repeat_interval=grouping.repeat,
            stateful=channel in self.stateful,
        )


def channels_for(event: Event, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the channels of all routes that take the event, each once, in the order of the routes.

    A channel is told of its own failure too: it hears of it when it works again, or it lies in its dead letters.
    """
    return tuple(_taking(event, routes))


def ways_for(event: Event, routes: Iterable[Route]) -> tuple[Way, ...]:
    """Return how those are told of the event who are told in groups."""
    taken = (route.way(channel) for channel, route in _taking(event, routes).items())
    return tuple(way for way in taken if way)


def ways_of(routes: Iterable[Route]) -> tuple[Way, ...]:
    """Return all ways that these routes have."""
    return tuple(way for route in routes for channel in route.channels if (way := route.way(channel)))


def promised_channels(event: Event, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the channels that are told of the event itself, at once."""
    return tuple(channel for channel, route in _taking(event, routes).items() if route.way(channel) is None)


def promises(events: Iterable[Event], routes: Sequence[Route], now: datetime) -> tuple[Delivery, ...]:
    """Return a delivery for each event and each channel that is told of it by itself, due at once."""
    return tuple(
        Delivery(event=event, channel=channel, promised_at=now, due_at=now)
        for event in events
        for channel in promised_channels(event, routes)
    )


def _taking(event: Event, routes: Iterable[Route]) -> dict[str, Route]:
    """Return for each channel the first route that leads the event there: it is told once, and in one manner.

    What tells of alerts is promised to whom it is meant for, and follows no route.
    """
    taken: dict[str, Route] = {}
    for route in routes if event.type not in NOTICES else ():
        if route.takes(event):
            for channel in route.channels:
                taken.setdefault(channel, route)
    return taken


def _value(event: Event, key: str) -> str:
    return _text(getattr(event, key))


def _wanted(value: MatchValue) -> tuple[str, ...]:
    if isinstance(value, str | int):
        return (_text(value),)
    return tuple(_text(one) for one in value)


def _text(value: object) -> str:
    """Return the text that a setting writes for `value`: TOML may say `late = true` and `job_id = 24116`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
