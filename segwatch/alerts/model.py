"""An alert: something is wrong, from the event that opened it to the one that closed it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from segwatch.jobs.events import Severity

Labels = Mapping[str, tuple[str, ...]]
"""What matchers and groups go by: the values of each label, most of them one, of `segment` any number."""

_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Turn(StrEnum):
    """What an event does to an alert."""

    OPENS = "opens"  # opens it, or adds to one that is open
    ADDS = "adds"  # adds to one that is open, and opens none
    CLOSES = "closes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an event means for one alert. subject: what the alert is about; at most one is open for a subject."""

    subject: str
    turn: Turn


def is_below(one: Severity, other: Severity) -> bool:
    """True when it hurts less than the other."""
    return _RANKS[one] < _RANKS[other]


def worst(*severities: Severity) -> Severity:
    """Return the one that hurts most; INFO of none."""
    return max(severities, key=_RANKS.__getitem__, default=Severity.INFO)
