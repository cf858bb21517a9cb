"""When a channel is told its digest: once a day, whatever the clocks, the settings and the machine do."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from segwatch.jobs.events import moment_of, rfc3339
from segwatch.jobs.subject import SubjectState

CAP = timedelta(days=8)  # a week, and a day on which the clocks change; what lies further back is no news
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)
_FARTHEST = 9  # days to look for a time: a week, and a day that a zone has skipped
PREFIX = "digests/"


class Condition(StrEnum):
    """How it stands with a channel's digest."""

    ARMED = "armed"  # it was added to the settings, and not told since
    TOLD = "told"
    OFF = "off"  # it is not in the settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """At a time of day by the clocks of a time zone. days: of the week, 0 is Monday. zone: an IANA name.

    A time of day that the clocks skip is counted on by the old offset (02:30 becomes 03:30), and of one that they show
    twice the first counts: RFC 5545, section 3.3.5.
    """

    at: time
    zone: str
    days: frozenset[int] = frozenset(range(7))

    def latest(self, now: datetime) -> "Slot":
        """Return when it was last time to tell, at or before `now`."""
        return next(one for one in self._near(now, -1) if one.at <= now)

    def next(self, now: datetime) -> "Slot":
        """Return when it is time to tell the next time, after `now`."""
        return next(one for one in self._near(now, 1) if one.at > now)

    def day_of(self, moment: datetime) -> date:
        """Return the day that it is there."""
        return moment.astimezone(ZoneInfo(self.zone)).date()

    def _near(self, now: datetime, step: int) -> "Iterator[Slot]":
        """Yield the times from the day beside `now` onward, in the direction of `step`."""
        today = self.day_of(now)
        for days in range(-1, _FARTHEST):
            day = today + days * step * _DAY
            if day.weekday() in self.days:
                yield Slot(day=day, at=datetime.combine(day, self.at, tzinfo=ZoneInfo(self.zone)).astimezone(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A time to tell, in UTC, and the day whose digest it is: by clocks that skip an hour it may be just past it."""

    day: date
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A digest is to be told.

    slot: when it was due. since: from when on. position: that of the log up to which the digest before this one told;
    None where this one does not just go on from there.
    """

    slot: Slot
    since: datetime
    position: int | None


def stream_of(channel: str) -> str:
    """Return the stream of a channel's digests."""
    return PREFIX + channel


def armed(before: SubjectState | None, channel: str, now: datetime) -> SubjectState:
    """Return the mark of a digest that is in the settings: as it was, unless it is new there.

    Of a new one no time is told that is over, nor of one that was told by a clock that was far ahead.
    """
    if before is None:
        return SubjectState(stream=stream_of(channel), condition=Condition.ARMED, since=now)
    is_of_the_future = before.since > now + _DAY
    if before.condition == Condition.OFF or is_of_the_future:
        memory = {} if is_of_the_future else before.memory
        return replace(before, condition=Condition.ARMED, since=now, memory=memory)
    return before


def off(before: SubjectState, now: datetime) -> SubjectState | None:
    """Return the mark of a digest that is no longer in the settings; None when that is known."""
    return None if before.condition == Condition.OFF else replace(before, condition=Condition.OFF, since=now)


def due(mark: SubjectState, daily: Daily, now: datetime) -> Due | None:
    """Return what is to be told now; None before its time.

    Of several times that have passed only the last one counts, and a day has one digest, whatever the settings say
    of the hour meanwhile.
    """
    slot, told_day = daily.latest(now), _day_told(mark, daily)
    if slot.at <= mark.since or (told_day and slot.day <= told_day):
        return None
    before, position = moment_of(mark.memory.get("to")), mark.memory.get("position")
    earliest = now - CAP if mark.condition == Condition.TOLD else max(daily.latest(slot.at - _INSTANT).at, now - CAP)
    if before is not None and before >= earliest and isinstance(position, int):
        return Due(slot=slot, since=before, position=position)
    return Due(slot=slot, since=earliest, position=None)


def told(mark: SubjectState, was_due: Due, daily: Daily, now: datetime, position: int) -> SubjectState:
    """Return the mark when all up to `now`, and up to this position of the log, was told; one event more is counted."""
    slot = was_due.slot
    memory = {
        "slot": rfc3339(slot.at), "day": slot.day.isoformat(), "zone": daily.zone, "to": rfc3339(now),
        "position": position,
    }  # fmt: skip
    return replace(mark, condition=Condition.TOLD, since=now, memory=memory, sequence=mark.sequence + 1)


def _day_told(mark: SubjectState, daily: Daily) -> date | None:
    """Return the day that has had its digest, by the clocks that now count."""
    slot, day = moment_of(mark.memory.get("slot")), mark.memory.get("day")
    if slot and mark.memory.get("zone") != daily.zone:
        return daily.day_of(slot)
    try:
        return date.fromisoformat(day) if isinstance(day, str) else None
    except ValueError:  # a mark of another version: a digest too many is better than none ever again
        return None
