"""What the platform's clock shows, by the dates of its answers."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from segwatch.http_times import date_of

_COMPARED_FOR_S = 3600.0
_APART_MAX = timedelta(days=1)  # more is no clock's error, but a header that somebody made up


class PlatformClock:
    """How far the platform's clock is from ours.

    behind: by how much it is behind, to a second or so: the least that an answer of the last hour told. Less than zero
    if it is ahead, zero while nothing is known.
    """

    def __init__(self, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self.behind = timedelta()
        self._compared_s: float | None = None
        self._told = timedelta()

    def told(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of an answer that has just come; names in lower case."""
        date = date_of(headers.get("date", ""))
        if date is None or abs(behind := self._now() - date) > _APART_MAX:
            return
        # an answer that came late, or from a cache, makes the difference seem larger: the least of an hour is nearest;
        # but a single odd date must not count for an hour, so two in a row have to say it
        now_s, last, self._told = self._monotonic(), self._told, behind
        is_old = self._compared_s is None or now_s - self._compared_s > _COMPARED_FOR_S
        if is_old or max(behind, last) < self.behind:
            self.behind = behind if is_old else max(behind, last)
            self._compared_s = now_s
