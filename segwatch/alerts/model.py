"""An alert: something is wrong, from the event that opened it to the one that closed it."""

from dataclasses import dataclass
from enum import StrEnum


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
