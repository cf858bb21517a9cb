"""What the platform's clock shows, by the dates of its answers."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from segwatch.http_times import date_of

_COMPARED_FOR_S = 3600.0
_APART_MAX = timedelta(days=1)  # more is no clock's error, but a header that somebody made up
_ALIKE = timedelta(seconds=2)  # a date counts in seconds, and an answer takes its time


class PlatformClock:
    """How far the platform's clock is from ours, whatever is done to ours.

    now: the time of day. running: seconds of a clock that is never set. A date is noted by the latter, so that a step
    of the former shows at once, before any other date is heard.
    """

    def __init__(self, now: Callable[[], datetime], running: Callable[[], float]) -> None:
        self._now = now
        self._running = running
        self._heard_s: float | None = None
        self._began: datetime | None = None  # the platform's time when `running` was zero
        self._told: datetime | None = None  # the same, as the last date told it

    @property
    def behind(self) -> timedelta:
        """By how much it is behind ours, to some seconds: the least that an answer of the last hour told.

        Less than zero if it is ahead, zero while nothing is known.
        """
        if self._began is None:
            return timedelta()
        behind = self._now() - self._began - timedelta(seconds=self._running())
        return behind if abs(behind) >= _ALIKE else timedelta()

    @property
    def shows(self) -> datetime | None:
        """What it shows now, as far as that is known; None while nothing is."""
        return None if self._began is None else self._now() - self.behind

    def told(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of an answer that has just come; names in lower case."""
        date = date_of(headers.get("date", ""))
        if date is None or abs(self._now() - date) > _APART_MAX:
            return
        # an answer that came late, or from a cache, makes the clock seem slow: the fastest of an hour is nearest; but a
        # single odd date must not count for an hour, so two in a row have to say it
        now_s = self._running()
        began = date - timedelta(seconds=now_s)
        last, self._told = self._told or began, began
        if self._began is None or self._heard_s is None or now_s - self._heard_s > _COMPARED_FOR_S:
            self._began, self._heard_s = began, now_s
        elif min(began, last) > self._began:
            self._began, self._heard_s = min(began, last), now_s
