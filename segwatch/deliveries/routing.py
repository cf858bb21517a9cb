"""Who is told of an event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from segwatch.alerts.notices import NOTICES
from segwatch.alerts.quiet import QuietHours
from segwatch.deliveries.model import Delivery
from segwatch.jobs.events import Event

MATCH_KEYS = ("type", "severity", "sandbox", "kind", "status", "reason", "job_id", "late")

Scalar = str | int | bool
MatchValue = Scalar | Sequence[Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Events that match go to all these channels.

    group_by, group_wait, group_interval, repeat_interval, quiet_hours: with any of them, channels are told of alerts
    in groups instead of each event; None where the setting is not there.
    stateful: those of its channels that keep incidents of their own, and so are told of alerts, never of single events.

    match: a key of MATCH_KEYS -> the text that the event must have there, or a list of which it must have
    one. `{}` matches everything, an empty list nothing. Raises ValueError for a key that no event has.
    """

    match: Mapping[str, MatchValue]
    channels: tuple[str, ...]
    group_by: tuple[str, ...] | None = None
    group_wait: timedelta | None = None
    group_interval: timedelta | None = None
    repeat_interval: timedelta | None = None
    quiet_hours: QuietHours | None = None
    stateful: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for key in self.match:
            if key not in MATCH_KEYS:
                raise ValueError(f'a route cannot match "{key}"; known: {", ".join(MATCH_KEYS)}')

    def takes(self, event: Event) -> bool:
        """True when the event has every value that `match` asks for."""
        return all(_value(event, key) in _wanted(value) for key, value in self.match.items())

    @property
    def groups(self) -> bool:
        """True when its channels are told of alerts in groups."""
        options = (self.group_by, self.group_wait, self.group_interval, self.repeat_interval, self.quiet_hours)
        return any(option is not None for option in options)


def routes_for(event: Event, routes: Iterable[Route]) -> tuple[Route, ...]:
    """Return the routes that the event takes, in their order."""
    return tuple(route for route in routes if route.takes(event))


def channels_for(event: Event, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the channels of all routes that take the event, each once, in the order of the routes.

    A channel is told of its own failure too: it hears of it when it works again, or it lies in its dead letters.
    """
    return tuple(leading(event, routes))


def leading(event: Event, routes: Iterable[Route]) -> dict[str, Route]:
    """Return for each channel the first route that leads the event there: it is told once, and in one manner.

    What tells of alerts is promised to whom it is meant for, and follows no route.
    """
    found: dict[str, Route] = {}
    for route in routes_for(event, routes) if event.type not in NOTICES else ():
        for channel in route.channels:
            found.setdefault(channel, route)
    return found


def told_at_once(event: Event, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the channels that are told of the event itself, not in a group of alerts."""
    found = leading(event, routes).items()
    return tuple(channel for channel, route in found if not route.groups and channel not in route.stateful)


def promises(events: Iterable[Event], routes: Sequence[Route], now: datetime) -> tuple[Delivery, ...]:
    """Return a delivery for each event and each channel that is told of it at once, due now."""
    return tuple(
        Delivery(event=event, channel=channel, promised_at=now, due_at=now)
        for event in events
        for channel in told_at_once(event, routes)
    )


def _value(event: Event, key: str) -> str:
    return _text(getattr(event, key))


def _wanted(value: MatchValue) -> tuple[str, ...]:
    if isinstance(value, str | int):
        return (_text(value),)
    return tuple(_text(one) for one in value)


def _text(value: object) -> str:
    """Return the text that a setting writes for `value`: TOML may say `late = true` and `job_id = 24116`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
