"""The only place that reads the clock."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time, as the workers know it."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def ran_s(self) -> float:
        """Return seconds of a clock that is never set, and that goes on while the machine sleeps."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; at once for zero or less."""


class SystemClock:
    """The machine's clock and the loop's timers."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return datetime.now(UTC)

    def ran_s(self) -> float:
        """Return seconds of a clock that is never set, and that goes on while the machine sleeps."""
        boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux: there `monotonic` stands still in a suspended machine
        return time.monotonic() if boottime is None else time.clock_gettime(boottime)

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; at once for zero or less."""
        await asyncio.sleep(max(0.0, seconds))
