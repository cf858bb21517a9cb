"""How many evaluations on demand the platform allows, and how many are left (AEP contract 12)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Evaluations on demand that a sandbox has in a day and in a year, both of UTC."""

    per_day: int
    per_year: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """How many of them were begun."""

    today: int
    this_year: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """The wish to use one more: it is granted, or not, in the transaction that writes the order as POSTING.

    day, year: when the present ones began. force: spend it though it is the last one, or none is left by our count.
    """

    allowance: Allowance
    day: datetime
    year: datetime
    force: bool = False

    @classmethod
    def at(cls, now: datetime, allowance: Allowance, *, force: bool = False) -> Self:
        """Return the wish in the day and the year of `now`."""
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(allowance=allowance, day=day, year=day.replace(month=1, day=1), force=force)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """It may be used. left: how many remain after it, zero at least."""

    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastOne:
    """Only one is left, which is not spent unless somebody insists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneLeft:
    """By our count all are used."""


def left(used: Used, allowance: Allowance) -> int:
    """Return how many evaluations are left now: in this day or in this year, whichever has fewer."""
    return max(0, min(allowance.per_day - used.today, allowance.per_year - used.this_year))


def admit(used: Used, allowance: Allowance, *, force: bool = False) -> Admitted | LastOne | NoneLeft:
    """Return whether one more may be used. With `force` it always may: the count may be wrong, the platform decides."""
    remaining = left(used, allowance)
    if not force and remaining <= 1:
        return LastOne() if remaining else NoneLeft()
    return Admitted(left=max(0, remaining - 1))


def said(used: Used, allowance: Allowance) -> str:
    """Return in words how many are left, and until when."""
    today, this_year = allowance.per_day - used.today, allowance.per_year - used.this_year
    if this_year < today:
        return f"{_of(this_year, allowance.per_year)} left this year (resets on January 1st, 00:00 UTC)"
    return f"{_of(today, allowance.per_day)} left today (resets at 00:00 UTC)"


def _of(remaining: int, allowed: int) -> str:
    verb = "are" if remaining > 1 else "is"
    return f"{remaining if remaining > 0 else 'none'} of {allowed} evaluation{'s' * (allowed != 1)} {verb}"
