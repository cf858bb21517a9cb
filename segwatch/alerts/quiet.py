"""Quiet hours: what is not urgent waits for the morning."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from segwatch.alerts.model import is_below
from segwatch.jobs.events import Severity

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """From a time of day to another, by the clocks of a time zone; an `end` before `begin` is on the next day.

    below: what is less severe waits. zone: a name of the IANA time zone database.

    A time of day that the clocks skip is counted on by the old offset (02:30 becomes 03:30), and of one that they show
    twice the first counts: RFC 5545, section 3.3.5.
    """

    begin: time
    end: time
    zone: str = "UTC"
    below: Severity = Severity.CRITICAL

    def hold(self, severity: Severity, now: datetime) -> bool:
        """True when news of this severity waits now."""
        return self.held_until(severity, now) is not None

    def held_until(self, severity: Severity, now: datetime) -> datetime | None:
        """Return when news of this severity may be told, in UTC; None when it may be told now. `now` is aware."""
        return self.quiet_until(now) if is_below(severity, self.below) else None

    def quiet_until(self, now: datetime) -> datetime | None:
        """Return the end of the quiet hours that `now` is in; None outside of them."""
        today = now.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        # yesterday's may reach into today, and a change of the clocks a little further
        windows = [self._window(today + days * _DAY) for days in (-2, -1, 0, 1)]
        return max((end for begin, end in windows if begin <= now < end), default=None)

    def _window(self, day: datetime) -> tuple[datetime, datetime]:
        """Return the quiet hours that begin on the day, in UTC."""
        return self._utc(day, self.begin), self._utc(day if self.begin < self.end else day + _DAY, self.end)

    def _utc(self, day: datetime, clock: time) -> datetime:
        return datetime.combine(day, clock, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
