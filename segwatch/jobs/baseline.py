"""What is normal: how long jobs took before, and what that says of one that runs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

_FEWEST = 3  # fewer say nothing
_FEWEST_TAIL = 8  # fewer have no tail to speak of
_P95 = 0.95
_ABOVE_LONGEST = 1.3
_LONGEST, _FEWEST_LONGEST = 0.2, 4  # of the durations, those that say how long the next one may be
_LEAST = timedelta(milliseconds=1)
_GROWTH_MAX = math.log(10)  # more than ten times as long as by now is no estimate


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """How much longer a running job is expected to take.

    left: from now on. longer: how many of those before it took longer than it does by now; where none did, `left`
    continues their durations. longest: of those before it.
    """

    left: timedelta
    longer: int
    longest: timedelta


def eta(elapsed: timedelta, spans: Iterable[timedelta]) -> Eta | None:
    """Return how long a job that runs for `elapsed` will go on: as those that took longer than that did, at the median.

    Where none did, what the longest fifth says of still longer ones. None when there are fewer than three durations,
    or none was longer than `elapsed` and there are fewer than eight.
    """
    known = sorted(spans)
    longer = [span for span in known if span > elapsed]
    if longer and len(known) >= _FEWEST:
        return Eta(left=_median(longer) - elapsed, longer=len(longer), longest=known[-1])
    if longer or len(known) < _FEWEST_TAIL or elapsed <= timedelta():
        return None
    return Eta(left=_beyond(elapsed, known), longer=0, longest=known[-1])


def _beyond(elapsed: timedelta, ascending: Sequence[timedelta]) -> timedelta:
    """Return by when half of those jobs have ended that outlast all before them, as long as `elapsed` is by now.

    The logarithms of durations above the threshold that the longest fifth exceeds are taken as exponential (a Pareto
    tail: Hill, Annals of Statistics 3, 1975), with the running job as one more that has exceeded it and has not ended.
    The median allows for how few they are, so it lies on the late side for tails that are thinner.
    """
    count = max(_FEWEST_LONGEST, math.ceil(_LONGEST * len(ascending)))
    threshold = max(ascending[-count - 1], _LEAST)
    excess = sum(math.log(max(span / threshold, 1)) for span in [*ascending[-count:], elapsed])
    return elapsed * math.expm1(min(excess * (2 ** (1 / count) - 1), _GROWTH_MAX))


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
