"""Quartz cron expressions, as far as schedules need them: are they valid, how often and when do they fire.

Of the libraries, croniter takes Quartz's Sunday (1) for a Monday and cronsim refuses `?`; neither knows `LW` or `L-3`.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()
    special: str = ""  # a pattern of what else may stand here

    def values(self, text: str) -> frozenset[int] | None:
        """Return the values that an entry names; None for `?` and for entries that depend on the month."""
        if self.special and re.fullmatch(self.special, text):
            return None
        found: set[int] = set()
        for part in text.split(","):
            found |= self._part(part)
        return frozenset(found)

    def _part(self, part: str) -> set[int]:
        span, slash, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = self.least, self.most
        else:
            first = self.number(first_text)
            last = self.number(last_text) if dash else self.most if slash else first
        step = self._count(step_text) if slash else 1
        count = self.most - self.least + 1
        until = last if last >= first else last + count  # FRI-MON: Quartz wraps around, and steps over the end
        return {self.least + (value - self.least) % count for value in range(first, until + 1, step)}

    def number(self, text: str) -> int:
        """Return one value, by its number or its name. Raises ValueError for anything else."""
        if text in self.words:
            return self.words.index(text) + 1
        if not re.fullmatch(r"\d{1,4}", text) or not self.least <= int(text) <= self.most:
            raise ValueError(f"{self.name} has {text!r}: write {self.least} to {self.most}")
        return int(text)

    def _count(self, text: str) -> int:
        if not re.fullmatch(r"[1-9]\d{0,3}", text):
            raise ValueError(f"{self.name} has the step {text!r}: write 1 or more")
        return int(text)


_SECONDS = _Field(name="seconds", least=0, most=59)
_MINUTES = _Field(name="minutes", least=0, most=59)
_HOURS = _Field(name="hours", least=0, most=23)
_DAY_OF_MONTH = _Field(
    name="day of month", least=1, most=31, special=r"\?|L|LW|L-([1-9]|[12]\d|30)|([1-9]|[12]\d|3[01])W"
)
_MONTH = _Field(name="month", least=1, most=12, words=_MONTHS)
_DAY_OF_WEEK = _Field(
    name="day of week",
    least=1,
    most=7,
    words=_DAYS,
    special=r"\?|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])",
)
_YEAR = _Field(name="year", least=1970, most=2099)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A valid expression that fires once a day at most. days, weekdays: None if only the month tells them, or for ?."""

    at: time
    days: frozenset[int] | None
    day_text: str
    months: frozenset[int]
    weekdays: frozenset[int] | None
    weekday_text: str
    years: frozenset[int]

    def fires_on(self, day: date) -> bool:
        """Whether it fires at some time of that day."""
        if day.year not in self.years or day.month not in self.months:
            return False
        weekday = day.isoweekday() % 7 + 1  # Quartz counts from Sunday, 1
        if self.day_text != "?":
            return day.day in self.days if self.days is not None else day.day == self._special_day(day)
        if self.weekdays is not None:
            return weekday in self.weekdays
        return self._is_special_weekday(day, weekday)

    def _special_day(self, day: date) -> int | None:
        """Return the day of this month that L, L-3, LW or 15W means; None if it has no such day."""
        last = monthrange(day.year, day.month)[1]
        if self.day_text.startswith("L-"):
            return last - int(self.day_text[2:])
        wanted = last if self.day_text.startswith("L") else int(self.day_text.removesuffix("W"))
        if wanted > last:
            return None
        if not self.day_text.endswith("W"):
            return wanted
        match day.replace(day=wanted).isoweekday():  # the working day next to it, and never in another month
            case 6:
                return wanted - 1 if wanted > 1 else wanted + 2
            case 7:
                return wanted + 1 if wanted < last else wanted - 2
            case _:
                return wanted

    def _is_special_weekday(self, day: date, weekday: int) -> bool:
        """Whether it is the last (6L) or the n-th (6#3) such weekday of its month."""
        name, _, which = self.weekday_text.partition("#")
        if weekday != _DAY_OF_WEEK.number(name.removesuffix("L") if not which else name):
            return False
        if which:
            return (day.day - 1) // 7 + 1 == int(which)
        return day.day + 7 > monthrange(day.year, day.month)[1]


def parsed(text: str) -> Cron:
    """Return the expression. AEP contract 5.

    Raises ValueError if it is no Quartz expression of 6 or 7 fields, or fires twice within 24 hours.
    """
    parts = text.upper().split()
    if len(parts) not in (6, 7):
        raise ValueError(f"the cron {text!r} has {len(parts)} fields: write 6 or 7, such as '0 0 1 * * ?'")
    day_of_month, month, day_of_week = parts[3:6]
    if (day_of_month == "?") == (day_of_week == "?"):
        raise ValueError(f"the cron {text!r} needs ? as day of month or as day of week, and not in both")
    clock: list[int] = []
    for field, part in zip((_SECONDS, _MINUTES, _HOURS), parts[:3], strict=True):
        values = field.values(part) or frozenset()
        if len(values) != 1:
            raise ValueError(f"the cron {text!r} fires more than once in 24 hours: write one value for {field.name}")
        clock += values
    second, minute, hour = clock
    return Cron(
        at=time(hour, minute, second, tzinfo=UTC),
        days=_DAY_OF_MONTH.values(day_of_month),
        day_text=day_of_month,
        months=_MONTH.values(month) or frozenset(),
        # alone, L is the last day of the week: Saturday
        weekdays=_DAY_OF_WEEK.values("SAT" if day_of_week == "L" else day_of_week),
        weekday_text=day_of_week,
        years=(_YEAR.values(parts[6]) if len(parts) == 7 else None) or frozenset(range(_YEAR.least, _YEAR.most + 1)),
    )


def frequency(text: str) -> str:
    """Return how often a cron fires: daily, weekly, monthly or yearly. Raises ValueError as `parsed` does."""
    cron = parsed(text)
    if cron.weekdays is not None:
        return "daily" if len(cron.weekdays) == 7 else "weekly"
    if cron.days is not None and len(cron.days) > 1:
        return "daily"
    return "yearly" if len(cron.months) == 1 else "monthly"


def next_after(text: str, when: datetime) -> datetime | None:
    """Return when a cron fires next, strictly later than that; None if never again.

    The walk over the days ends with the last year that it may fire in, 2099 at most.
    """
    cron = parsed(text)
    day = when.astimezone(UTC).date()
    while day.year <= max(cron.years):
        if cron.fires_on(day) and (fires := datetime.combine(day, cron.at)) > when:
            return fires
        day += timedelta(days=1) if day.year in cron.years else date(day.year + 1, 1, 1) - day
    return None
