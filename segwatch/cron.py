"""Quartz cron expressions as the platform's schedules take them: valid or not, and why; when they fire.

Source: AEP contract 5, and the rules of Quartz 2.3. Stricter than Quartz where it takes an expression and reads
something else than was meant: it overlooks a step behind names (`MON-FRI/2`), for one.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, time

from segwatch.errors import BadValue

_EXAMPLE = '"0 0 1 * * ?" for 01:00:00 UTC every day'
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SATURDAY = 7
_BEFORE_ALL = datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


class CronError(BadValue):
    """An expression that the platform would refuse, or that never fires.

    field: "seconds", "minutes", "hours", "day of month", "month", "day of week", "year", or "cron" for the whole.
    why: what is wrong and what to write; it goes on behind the field's name.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One field. step_most: Quartz refuses larger steps. special: a pattern of what else may stand here, alone.

    allowed: in words, for errors. wraps: a range may go on behind the end, as FRI-MON does.
    """

    name: str
    least: int
    most: int
    step_most: int
    allowed: str
    words: tuple[str, ...] = ()
    special: str = ""
    wraps: bool = True

    def values(self, entry: str) -> frozenset[int]:
        """Return the values that an entry names; none for `?` and the like, which only a month tells."""
        if self.name == "day of week" and entry == "L":  # the last day of the week, not of the month
            return frozenset({_SATURDAY})
        if self.special and re.fullmatch(self.special, entry):
            return frozenset()
        return frozenset(value for part in entry.split(",") for value in self._part(part, entry))

    def number(self, word: str, entry: str = "") -> int:
        """Return one value by its number or its name. entry: what an error shows."""
        if word in self.words:
            return self.words.index(word) + 1
        if not re.fullmatch("[0-9]{1,4}", word) or not self.least <= int(word) <= self.most:
            raise self.error(entry, f"write {self.allowed}")
        return int(word)

    def error(self, entry: str, why: str) -> CronError:
        return CronError(self.name, f"is {_quoted(entry)}: {why}")

    def _part(self, part: str, entry: str) -> list[int]:
        span, slash, step_word = part.partition("/")
        step = self._step(step_word, entry) if slash else 1
        if span == "*":
            return list(range(self.least, self.most + 1, step))
        first_word, dash, last_word = span.partition("-")
        first = self.number(first_word, entry)
        last = self.number(last_word, entry) if dash else self.most if slash else first
        named = {word in self.words for word in (first_word, last_word or first_word)}
        if len(named) > 1 or (slash and True in named):
            raise self.error(entry, "beside names and in front of a step Quartz reads no numbers: write numbers alone")
        if last < first and not self.wraps:
            raise self.error(entry, "write the earlier one first")
        count = self.most - self.least + 1
        until = last if last >= first else last + count  # FRI-MON goes on behind the week's end
        return [self.least + (value - self.least) % count for value in range(first, until + 1, step)]

    def _step(self, word: str, entry: str) -> int:
        if not re.fullmatch("[0-9]{1,4}", word) or not 1 <= int(word) <= self.step_most:
            raise self.error(entry, f"write a step from 1 to {self.step_most}")
        return int(word)


_CLOCK = (
    _Field(name="seconds", least=0, most=59, step_most=59, allowed="0 to 59"),
    _Field(name="minutes", least=0, most=59, step_most=59, allowed="0 to 59"),
    _Field(name="hours", least=0, most=23, step_most=23, allowed="0 to 23"),
)
_DAY_OF_MONTH = _Field(
    name="day of month", least=1, most=31, step_most=31,
    special=r"\?|L|LW|L-([1-9]|[12][0-9]|30)|([1-9]|[12][0-9]|3[01])W",
    allowed="1 to 31, or alone one of ?, L, LW, L-1 to L-30, 1W to 31W",
)  # fmt: skip
_MONTH = _Field(name="month", least=1, most=12, step_most=12, words=_MONTHS, allowed="1 to 12, or JAN to DEC")
_DAY_OF_WEEK = _Field(
    name="day of week", least=1, most=7, step_most=7, words=_DAYS,
    special=rf"\?|([1-7]|{'|'.join(_DAYS)})(L|#[1-5])",
    allowed="1 to 7 (1 is Sunday), or SUN to SAT, or alone one of ?, L, 1L to 7L, 1#1 to 7#5",
)  # fmt: skip
_YEAR = _Field(name="year", least=1970, most=2099, step_most=129, wraps=False, allowed="1970 to 2099")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A valid expression; its times are UTC, and it fires once a day at most.

    text: as it is sent. day, weekday: an entry that only a month tells (L, 15W, 6#3, ?), beside which its set is empty.
    """

    text: str
    at: time
    day: str
    days: frozenset[int]
    months: frozenset[int]
    weekday: str
    weekdays: frozenset[int]
    years: frozenset[int]

    @property
    def frequency(self) -> str:
        """Return `daily`, `weekly`, `monthly` or `yearly`, as the platform computes it (AEP contract 5)."""
        if self.weekdays:
            return "daily" if len(self.weekdays) == 7 else "weekly"
        if len(self.days) > 1:
            return "daily"
        return "yearly" if len(self.months) == 1 else "monthly"

    def next_after(self, when: datetime) -> datetime | None:
        """Return the first time after `when` that it fires; None when it never does again. when: aware."""
        since = when.astimezone(UTC)
        for year in sorted(year for year in self.years if year >= since.year):
            for month in sorted(self.months):
                if (year, month) < (since.year, since.month):
                    continue
                for day in self._days_of(year, month):
                    if (fires := datetime.combine(datetime(year, month, day, tzinfo=UTC), self.at)) > since:
                        return fires
        return None

    def _days_of(self, year: int, month: int) -> list[int]:
        """Return the days of this month on which it fires, in order."""
        first, last = monthrange(year, month)  # the first day counts from Monday, 0; Quartz's from Sunday, 1
        if self.days:
            return sorted(day for day in self.days if day <= last)
        if self.day != "?":
            return _near(self.day, first, last)
        if self.weekdays:
            return [day for day in range(1, last + 1) if (first + day) % 7 + 1 in self.weekdays]
        name, _, which = self.weekday.partition("#")
        wanted = _DAY_OF_WEEK.number(name if which else name.removesuffix("L"))
        same = [day for day in range(1, last + 1) if (first + day) % 7 + 1 == wanted]
        return same[int(which) - 1 : int(which)] if which else same[-1:]


def parse(text: str, *, now: datetime | None = None) -> Cron:
    """Return the expression. Raises CronError; with `now`, also for one that never fires again.

    Of seconds, minutes and hours each needs one value: the platform runs a schedule once in 24 hours (AEP contract 5).
    """
    entries = [entry for entry in text.split(" ") if entry]
    if len(entries) not in (6, 7):
        count = f"{len(entries)} field{'' if len(entries) == 1 else 's'}"
        order = "seconds, minutes, hours, day of month, month, day of week and maybe the year"
        raise CronError("cron", f"has {count}: write {order}, such as {_EXAMPLE}")
    fields = (*_CLOCK, _DAY_OF_MONTH, _MONTH, _DAY_OF_WEEK, _YEAR)
    for field, entry in zip(fields, entries, strict=False):
        if not entry.isascii():  # some other letters become ASCII in capitals
            raise field.error(entry, f"write {field.allowed}")
    values = [field.values(entry.upper()) for field, entry in zip(fields, entries, strict=False)]
    for field, entry, found in zip(_CLOCK, entries, values, strict=False):
        if len(found) != 1:
            raise field.error(
                entry, f"it would fire more than once in 24 hours, so write one value, such as {field.least}"
            )
    day, weekday = entries[3].upper(), entries[5].upper()
    if day != "?" and weekday != "?":
        why = "write ? for the one of them that does not matter"
        both = f"is {_quoted(weekday)} beside day of month {_quoted(day)}"
        raise CronError("day of week", f"{both}: {why}, such as {_EXAMPLE}")
    if day == weekday:
        raise CronError("day of week", f"is ? beside day of month ?: write one of them, such as {_EXAMPLE}")
    (second,), (minute,), (hour,) = values[:3]
    cron = Cron(
        text=" ".join(entries),
        at=time(hour, minute, second, tzinfo=UTC),
        day=day,
        days=values[3],
        months=values[4],
        weekday=weekday,
        weekdays=values[5],
        years=values[6] if len(values) > 6 else frozenset(range(_YEAR.least, _YEAR.most + 1)),
    )
    if cron.next_after(_BEFORE_ALL) is None:
        field, entry = (_DAY_OF_MONTH, day) if day != "?" else (_DAY_OF_WEEK, weekday)
        raise field.error(entry, "no month that is meant has such a day, so it would never fire")
    if now is not None and cron.next_after(now) is None:
        raise _YEAR.error(entries[-1], "it never fires again: leave the year out, or write a later one")
    return cron


def _near(day: str, first: int, last: int) -> list[int]:
    """Return the day that L, L-3, LW or 15W means in a month; none if it has no such day.

    first: the weekday of its first day, from Monday, 0. last: its last day. W is the working day that is nearest, but
    in the same month.
    """
    if day.startswith("L-"):
        wanted = last - int(day[2:])
    else:
        wanted = last if day.startswith("L") else int(day.removesuffix("W"))
    if not 1 <= wanted <= last:
        return []
    weekday = (first + wanted - 1) % 7
    if not day.endswith("W") or weekday < 5:
        return [wanted]
    if weekday == 5:
        return [wanted - 1 if wanted > 1 else wanted + 2]
    return [wanted + 1 if wanted < last else wanted - 2]


def _quoted(entry: str) -> str:
    return f'"{repr(entry)[1:-1]}"'
