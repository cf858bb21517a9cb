"""Who is told of an event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from segwatch.deliveries.model import Delivery
from segwatch.jobs.events import Event

MATCH_KEYS = ("type", "severity", "sandbox", "kind", "status", "reason", "job_id", "late")

Scalar = str | int | bool
MatchValue = Scalar | Sequence[Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Events that match go to all these channels.

    match: a key of MATCH_KEYS -> the text that the event must have there, or a list of which it must have
    one. `{}` matches everything, an empty list nothing. Raises ValueError for a key that no event has.
    """

    match: Mapping[str, MatchValue]
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        for key in self.match:
            if key not in MATCH_KEYS:
                raise ValueError(f'a route cannot match "{key}"; known: {", ".join(MATCH_KEYS)}')

    def takes(self, event: Event) -> bool:
        """True when the event has every value that `match` asks for."""
        return all(_value(event, key) in _wanted(value) for key, value in self.match.items())


def channels_for(event: Event, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the channels of all routes that take the event, each once, in the order of the routes.

    A channel is told of its own failure too: it hears of it when it works again, or it lies in its dead letters.
    """
    told = dict.fromkeys(channel for route in routes if route.takes(event) for channel in route.channels)
    return tuple(told)


def promises(events: Iterable[Event], routes: Sequence[Route], now: datetime) -> tuple[Delivery, ...]:
    """Return a delivery for each event and each channel that is told of it, due at once."""
    return tuple(
        Delivery(event=event, channel=channel, promised_at=now, due_at=now)
        for event in events
        for channel in channels_for(event, routes)
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
