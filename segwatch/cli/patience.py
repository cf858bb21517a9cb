"""How long a command waits: `--wait` and `--timeout` together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from segwatch.cli import streams
from segwatch.cli.output import Exit, fail
from segwatch.cli.session import a_while
from segwatch.daemon.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """All the time that a command has. given: None for as long as it takes. began_s: by a clock that is never set."""

    given: timedelta | None
    began_s: float

    @classmethod
    def of(cls, timeout: str | None, *, wait: bool) -> Self:
        """Return what the options say, from now on; ends the command where they make no sense."""
        given = a_while(timeout, "--timeout")
        if given is not None and not wait:
            fail(Exit.USAGE, "--timeout says how long --wait waits: write both, or neither")
        return cls(given=given, began_s=SystemClock().ran_s())

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[asyncio.Timeout]:
        """Raise TimeoutError out of the block once the time is up, also while a reader of our words stands still."""
        async with asyncio.timeout(self._left_s()) as limit:
            try:
                with streams.limited(limit.when):
                    yield limit
            finally:
                if limit.expired():
                    streams.let_go()

    def _left_s(self) -> float | None:
        """Return how much is left; None for no end."""
        if self.given is None:
            return None
        return max(0.0, self.given.total_seconds() - (SystemClock().ran_s() - self.began_s))
