"""What is normal: how long jobs took before, and what that says of one that runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

_FEWEST = 3  # fewer say nothing
_P90 = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long jobs like this one took. count: how many of them."""

    median: timedelta
    p90: timedelta
    count: int


def estimate(spans: Iterable[timedelta]) -> Estimate | None:
    """Return what the durations of ended jobs say; None when there are fewer than three."""
    known = sorted(spans)
    if len(known) < _FEWEST:
        return None
    return Estimate(median=_median(known), p90=known[int(_P90 * (len(known) - 1))], count=len(known))


def eta(elapsed: timedelta, spans: Iterable[timedelta]) -> timedelta | None:
    """Return how long a job that runs for `elapsed` will go on: as those that took longer than that did, at the median.

    None when there are fewer than three durations, or when none of them was longer.
    """
    known = sorted(spans)
    longer = [span for span in known if span > elapsed]
    return _median(longer) - elapsed if longer and len(known) >= _FEWEST else None


def _median(ascending: Sequence[timedelta]) -> timedelta:
    middle = len(ascending) // 2
    return ascending[middle] if len(ascending) % 2 else (ascending[middle - 1] + ascending[middle]) / 2
