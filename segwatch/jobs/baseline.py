"""What is normal: how long jobs took before, and what that says of one that runs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

_FEWEST = 3  # fewer say nothing
_FEWEST_TAIL = 8  # fewer have no tail to speak of
_P95 = 0.95
_ABOVE_LONGEST = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long jobs like this one took. count: how many of them."""

    median: timedelta
    count: int


def estimate(spans: Iterable[timedelta]) -> Estimate | None:
    """Return what the durations of ended jobs say; None when there are fewer than three."""
    known = sorted(spans)
    if len(known) < _FEWEST:
        return None
    return Estimate(median=_median(known), count=len(known))


def eta(elapsed: timedelta, spans: Iterable[timedelta]) -> timedelta | None:
    """Return how long a job that runs for `elapsed` will go on: as those that took longer than that did, at the median.

    None when there are fewer than three durations, or when none of them was longer.
    """
    known = sorted(spans)
    longer = [span for span in known if span > elapsed]
    return _median(longer) - elapsed if longer and len(known) >= _FEWEST else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """How long jobs like this one take when all is well. count: how many of them, of late.

    longest: but for one, since one may have been overdue itself.
    """

    median: timedelta
    p95: timedelta
    longest: timedelta
    count: int

    def limit(self, factor: float, slack: timedelta) -> timedelta:
        """Return the age past which a job is overdue. One in twenty is older than the p95 itself, and no news.

        factor: of the p95. slack: added, for what lies between an end and our sight of it.
        """
        return max(self.p95 * factor, self.longest * _ABOVE_LONGEST) + slack


def usual(spans: Iterable[timedelta]) -> Usual | None:
    """Return what is usual by the durations of jobs that succeeded; None when there are fewer than eight."""
    known = sorted(spans)
    if len(known) < _FEWEST_TAIL:
        return None
    p95 = known[math.ceil(_P95 * len(known)) - 1]  # the nearest rank
    return Usual(median=_median(known), p95=p95, longest=known[-2], count=len(known))


def _median(ascending: Sequence[timedelta]) -> timedelta:
    middle = len(ascending) // 2
    return ascending[middle] if len(ascending) % 2 else (ascending[middle - 1] + ascending[middle]) / 2
