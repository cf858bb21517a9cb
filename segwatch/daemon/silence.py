"""For how long the platform's list has been silent about a POST."""

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

from segwatch.daemon.clock import Clock

_GAP_MIN = timedelta(seconds=30)  # longer than from one look to the next


@dataclass(slots=True)
class _Wait:
    """For the effect of which POST we look, since when, and when we last saw a list; by a clock that is never set."""

    posted_at: datetime | None
    since_s: float
    looked_s: float | None = None


class Silences:
    """How long this process has looked for the effects of POSTs, by a clock that is never set.

    window: `settle_window`. A silence begins with a look that sees a list, and anew after an outage of that length (or
    30 s) in which none was seen: what was not looked at has not been silent.
    """

    def __init__(self, clock: Clock, *, window: timedelta) -> None:
        self._clock = clock
        self._gap_s = max(window, _GAP_MIN).total_seconds()
        self._waits: dict[Hashable, _Wait] = {}

    def of(self, whose: Hashable, posted_at: datetime | None) -> timedelta:
        """Return how long ago we began to look for the effect of that POST; we begin now if we never did.

        whose: a name for what was posted. Call it before a look, and `looked` once that has seen a list.
        """
        now_s = self._clock.ran_s()
        wait = self._waits.get(whose)
        begun = wait is not None and wait.posted_at == posted_at and wait.looked_s is not None
        if wait is None or not begun or now_s - (wait.looked_s or 0.0) > self._gap_s:
            wait = self._waits[whose] = _Wait(posted_at=posted_at, since_s=now_s)
        return timedelta(seconds=now_s - wait.since_s)

    def looked(self, whose: Hashable) -> None:
        """Note that a list was seen just now; `of` was called before. Another task may have settled it meanwhile."""
        if wait := self._waits.get(whose):
            wait.looked_s = self._clock.ran_s()

    def keep(self, those: Collection[Hashable]) -> None:
        """Forget all others."""
        self._waits = {whose: wait for whose, wait in self._waits.items() if whose in those}

    def forget(self, whose: Hashable) -> None:
        """Forget what is settled."""
        self._waits.pop(whose, None)
