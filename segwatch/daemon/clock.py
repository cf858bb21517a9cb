"""The only place that reads the clock."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time, as the workers know it."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; at once for zero or less."""


class SystemClock:
    """The machine's clock and the loop's timers."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; at once for zero or less."""
        await asyncio.sleep(max(0.0, seconds))
