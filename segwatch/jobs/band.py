"""What the next number in a row of them may be: how large an audience usually is on such a day, give or take.

The ratio of two sizes is what matters, so all is reckoned in logarithms. The estimates are medians and the median
absolute deviation, which a few wrong numbers among many do not move (Rousseeuw and Croux, 1993).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

HISTORY = timedelta(weeks=8)  # what lies further back says little of tomorrow
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_LEVEL_RUNS = 9  # a new level is believed when it has held for the larger part of these
_SCALE_RUNS = 28
_FEWEST = 5  # fewer say nothing
_WIDTH = 5.5  # standard deviations to each side,
_DOUBT = 6.0  # and more while few errors are known: 5.5 * (1 + 6 / n)
_WIDTH_MAX = math.log(1e12)  # where anything goes, and no number overflows
_MEDIAN_TO_SIGMA = 1.4826  # of a normal distribution, of which half lies within 0.67 deviations,
_P75_TO_SIGMA = 0.8693  # and three quarters within 1.15
_GROWTH_RUNS = 28
_GROWTH_MAX = 0.015  # a day: what grows faster does not go on so
_COUNTING = 4.0  # deviations of a count, whose chance alone is its square root
_LEARNING = math.log(3)  # until the days of the week are known, a third of the size may be just a Sunday


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large something was found at a time."""

    at: datetime
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Where the next size is expected. runs: on how many it is based. weekly: the days of the week are known apart."""

    expected: float
    low: float
    high: float
    runs: int
    weekly: bool


def band(history: Sequence[Size], at: datetime, *, least_change: float) -> Band | None:
    """Return what is expected at `at`; None when too little is known.

    history: in the order of time; zeros in it are no measure, and are passed over. least_change: how far the size may
    be from the expected one at least, as a share of it: 0.25 lets 100 be 80 or 125.
    """
    known = [one for one in history if one.size > 0 and at - HISTORY <= one.at < at]
    if len(known) < _FEWEST:
        return None
    days = _days_of_week(known)
    weekly = at.weekday() in days
    flat = [
        Size(at=one.at, size=math.log(one.size) - (days.get(one.at.weekday(), 0.0) if weekly else 0.0)) for one in known
    ]
    growth = _growth(flat) if weekly else 0.0
    level = _level(flat, at, growth) + (days[at.weekday()] if weekly else 0.0)
    errors = sorted(
        abs(flat[i].size - _level(flat[:i], flat[i].at, growth))
        for i in range(max(3, len(flat) - _SCALE_RUNS), len(flat))
    )
    width = max(
        _WIDTH * (1 + _DOUBT / len(errors)) * _scale(errors),
        _COUNTING / math.sqrt(math.exp(level)),
        math.log1p(least_change),
        0.0 if weekly else _LEARNING,
    )
    width = min(width, _WIDTH_MAX)
    return Band(
        expected=math.exp(level),
        low=math.exp(level - width),
        high=math.exp(level + width),
        runs=len(known),
        weekly=weekly,
    )


def _level(flat: Sequence[Size], at: datetime, growth: float) -> float:
    """Return where the latest runs lead to by `at`; their sizes are logarithms, the day of the week taken out."""
    return median(one.size + growth * ((at - one.at) / _DAY) for one in flat[-_LEVEL_RUNS:])


def _growth(flat: Sequence[Size]) -> float:
    """Return the growth of a day: the median of all slopes between runs some days apart (Theil and Sen)."""
    lately = flat[-_GROWTH_RUNS:]
    slopes = [
        (other.size - one.size) / ((other.at - one.at) / _DAY)
        for number, one in enumerate(lately)
        for other in lately[number + 1 :]
        if other.at - one.at >= 3 * _DAY
    ]
    return max(-_GROWTH_MAX, min(_GROWTH_MAX, median(slopes))) if slopes else 0.0


def _scale(errors: Sequence[float]) -> float:
    """Return the standard deviation that ascending errors speak of, by the larger of two quantiles.

    Neither minds a few outliers, and of few errors one alone is often too small.
    """
    return max(_MEDIAN_TO_SIGMA * median(errors), _P75_TO_SIGMA * errors[int(0.75 * (len(errors) - 1))])


def _days_of_week(known: Sequence[Size]) -> dict[int, float]:
    """Return how far each day of the week lies from its week's median, in logarithms; none before two weeks of it.

    A day is measured against the week around it, so that growth over months does not count.
    """
    first, last = known[0].at, known[-1].at
    if last - first < 2 * _WEEK - timedelta(days=2):
        return {}
    apart: defaultdict[int, list[float]] = defaultdict(list)
    logs = [math.log(one.size) for one in known]
    begin = end = 0
    for one, value in zip(known, logs, strict=True):
        since = min(max(one.at - _WEEK / 2, first), last - _WEEK + timedelta(hours=12))
        while known[begin].at < since:
            begin += 1
        while end < len(known) and known[end].at < since + _WEEK:
            end += 1
        apart[one.at.weekday()].append(value - median(logs[begin:end]))
    return {day: _typical(values) for day, values in apart.items() if len(values) > 1}


def _typical(values: list[float]) -> float:
    """Return the median; of two that disagree the smaller one, since one of them may have been a fault."""
    return min(values, key=abs) if len(values) == 2 else median(values)
