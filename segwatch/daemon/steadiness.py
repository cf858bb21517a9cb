"""How far the time of day may be believed: what is deleted by its age must not follow a clock that jumped."""

from dataclasses import dataclass
from datetime import datetime, timedelta

TOLERANCE = timedelta(seconds=5)  # between two looks; a clock that is being slewed stays far below
STEADY = timedelta(minutes=10)  # without a jump before anything is deleted
STEP = timedelta(days=1)  # how far the belief may catch up with a clock in one round


@dataclass(slots=True)
class Steadiness:
    """The time of day as far as it is believed, advanced by a clock that never jumps.

    believed: what was believed last, by this process or the one before. now, ran_s: the time of day and the seconds of
    a clock that never jumps, both read at the same moment.
    """

    believed: datetime
    now: datetime
    ran_s: float
    steady_s: float = 0.0

    def look(self, now: datetime, ran_s: float) -> timedelta:
        """Advance by one look at both clocks; return by how much the time of day jumped since the last, often zero."""
        passed = timedelta(seconds=max(0.0, ran_s - self.ran_s))
        jumped = now - self.now - passed
        self.now, self.ran_s = now, ran_s
        self.believed += passed
        if abs(jumped) > TOLERANCE:
            self.steady_s = 0.0
            return jumped
        self.steady_s += passed.total_seconds()
        return timedelta(0)

    @property
    def is_steady(self) -> bool:
        """True when the clock did not jump for a good while."""
        return self.steady_s >= STEADY.total_seconds()

    def settled(self) -> datetime:
        """Return the time by which ages may be told now, and come one step nearer to the time of day.

        Ask when the clock is steady, once a round: a clock that jumped ahead and stayed there, or a machine that was
        off for long, is believed a day more each round, and one that was set back at once.
        """
        self.believed = min(self.now, self.believed + STEP)
        return self.believed
