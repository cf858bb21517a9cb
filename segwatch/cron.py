"""Quartz cron expressions as the platform's schedules take them: valid or not, and why; when they fire."""

from dataclasses import dataclass
from datetime import datetime

from segwatch.errors import BadValue


class CronError(BadValue):
    """An expression that the platform would refuse, or that never fires.

    field: "seconds", "minutes", "hours", "day of month", "month", "day of week", "year", or "cron" for the whole.
    why: what is wrong and what to write.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A valid expression; its times are UTC."""

    text: str

    @property
    def frequency(self) -> str:
        """Return `daily`, `weekly`, `monthly` or `yearly`."""
        raise NotImplementedError

    def next_after(self, when: datetime) -> datetime | None:
        """Return the first time after `when` that it fires; None when it never does again."""
        raise NotImplementedError


def parse(text: str, *, now: datetime | None = None) -> Cron:
    """Return the expression. Raises CronError; with `now`, also for one that never fires again."""
    raise NotImplementedError
