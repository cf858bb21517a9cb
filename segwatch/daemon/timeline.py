"""How long ago a time of day was, though the clock may have been set since."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from segwatch.daemon.steadiness import TOLERANCE

_REMEMBERED = 64  # jumps; of a time before them the clock of today tells the age


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """A while in which the clock went on evenly. ran_s: the seconds of a clock that is never set, at its end."""

    since: datetime
    until: datetime
    ran_s: float


class Timeline:
    """What the clock has shown since this process began, beside a clock that is never set.

    now, ran_s: the time of day and the seconds of a clock that is never set, both read at the same moment. Look at
    them every few seconds: what the clock showed between two looks is not known.
    """

    def __init__(self, now: datetime, ran_s: float) -> None:
        self._since = datetime.min.replace(tzinfo=UTC)  # what was before us is of one piece, for all we know
        self._now = now
        self._ran_s = ran_s
        self._began_s = ran_s
        self._past: deque[_Stretch] = deque(maxlen=_REMEMBERED)

    def look(self, now: datetime, ran_s: float) -> None:
        """Take in what both clocks show."""
        passed = timedelta(seconds=max(0.0, ran_s - self._ran_s))
        if abs(now - self._now - passed) > TOLERANCE:
            self._past.append(_Stretch(since=self._since, until=self._now + passed, ran_s=ran_s))
            self._since = now - passed
        self._now, self._ran_s = now, ran_s

    def age(self, moment: datetime) -> timedelta:
        """Return how long ago, at the last look, the clock showed `moment`; never less than zero.

        Of what it showed twice the later one counts, and what it passed over in a jump is as old as that jump.
        """
        if self._since <= moment <= self._now + TOLERANCE:
            return max(self._now - moment, timedelta())
        for stretch in reversed(self._past):
            if stretch.since <= moment <= stretch.until:
                return stretch.until - moment + self._ran_since(stretch)
        for stretch in reversed(self._past):
            if stretch.until < moment:
                return self._ran_since(stretch)
        return max(self._now - moment, timedelta())

    def surely(self, moment: datetime) -> timedelta:
        """Return how long ago the clock showed `moment` at least, whatever was done to it while nobody looked.

        Of what was before this process only the time since its beginning is sure.
        """
        ran = timedelta(seconds=self._ran_s - self._began_s)
        is_ahead = moment > self._now + TOLERANCE  # as another process saw the clock, if this one has not seen it so
        return min(self.age(moment) or (ran if is_ahead else timedelta()), ran)

    @property
    def repeats(self) -> bool:
        """True while the clock shows what it has shown before: what was put off by then may come hours too late."""
        return any(self._now < stretch.until for stretch in self._past)

    def _ran_since(self, stretch: _Stretch) -> timedelta:
        return timedelta(seconds=self._ran_s - stretch.ran_s)
