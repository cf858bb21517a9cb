"""Quartz cron expressions, as far as schedules need them: are they valid, and how often do they fire."""

import re
from dataclasses import dataclass

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
            first = self._number(first_text)
            last = self._number(last_text) if dash else self.most if slash else first
        step = self._count(step_text) if slash else 1
        if last < first:  # FRI-MON: Quartz wraps around
            return {*range(first, self.most + 1, step), *range(self.least, last + 1, step)}
        return set(range(first, last + 1, step))

    def _number(self, text: str) -> int:
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
    special=r"\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])",
)
_YEAR = _Field(name="year", least=1970, most=2099)


def frequency(text: str) -> str:
    """Return how often a cron fires: daily, weekly, monthly or yearly. AEP contract 5.

    Raises ValueError if it is no Quartz expression of 6 or 7 fields, or fires twice within 24 hours.
    """
    parts = text.upper().split()
    if len(parts) not in (6, 7):
        raise ValueError(f"the cron {text!r} has {len(parts)} fields: write 6 or 7, such as '0 0 1 * * ?'")
    seconds, minutes, hours, day_of_month, month, day_of_week = parts[:6]
    if (day_of_month == "?") == (day_of_week == "?"):
        raise ValueError(f"the cron {text!r} needs ? as day of month or as day of week, and not in both")
    for field, part in ((_SECONDS, seconds), (_MINUTES, minutes), (_HOURS, hours)):
        if len(field.values(part) or ()) != 1:
            raise ValueError(f"the cron {text!r} fires more than once in 24 hours: write one value for {field.name}")
    months = _MONTH.values(month) or frozenset()
    days = _DAY_OF_MONTH.values(day_of_month)
    weekdays = _DAY_OF_WEEK.values(day_of_week)
    if len(parts) == 7:
        _YEAR.values(parts[6])
    if weekdays is not None:
        return "daily" if len(weekdays) == 7 else "weekly"
    if days is not None and len(days) > 1:
        return "daily"
    return "yearly" if len(months) == 1 else "monthly"
