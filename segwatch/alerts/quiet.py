"""Quiet hours: what is not urgent waits for the morning."""

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from segwatch.alerts.model import is_below
from segwatch.jobs.events import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """From a time of day to another, by the clocks of a time zone; `begin` after `end` spans midnight.

    below: what is less severe waits. zone: a name of the IANA time zone database.
    """

    begin: time
    end: time
    zone: str = "UTC"
    below: Severity = Severity.CRITICAL

    def hold(self, severity: Severity, now: datetime) -> bool:
        """True when news of this severity waits now. What the clocks show twice or never is taken as they show it."""
        shown = now.astimezone(ZoneInfo(self.zone)).time()
        spans_midnight = self.end < self.begin
        is_quiet = (shown >= self.begin, shown < self.end)
        return (any(is_quiet) if spans_midnight else all(is_quiet)) and is_below(severity, self.below)
