"""For how long the platform's list has been silent about a POST."""

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from segwatch.daemon.clock import Clock

_GAP_MIN = timedelta(seconds=30)  # longer than from one look to the next


@dataclass(slots=True)
class _Wait:
    """For the effect of which POST we look, since when, and when we asked last; by a clock that is never set."""

    posted_at: datetime | None
    since_s: float
    asked_s: float


class Silences:
    """How long this process has looked for the effects of POSTs in one list, by a clock that is never set.

    window: `settle_window`. A silence begins with a look that sees the list, and anew after an outage of that length
    (or 30 s) in which nobody saw it: what was not looked at has not been silent. Whoever sees it, for whichever POST,
    has seen it for all: looks that take long, one after the other, would make outages of each other.
    """

    def __init__(self, clock: Clock, *, window: timedelta) -> None:
        self._clock = clock
        self._gap_s = max(window, _GAP_MIN).total_seconds()
        self._waits: dict[Hashable, _Wait] = {}
        self._asked_s = self._looked_s = -inf  # when the last look that saw a list began, and when it ended

    def of(self, whose: Hashable, posted_at: datetime | None) -> timedelta:
        """Return how long ago we began to look for the effect of that POST; we begin now if we never did.

        whose: a name for what was posted. Call it before a look, and `looked` once that has seen a list.
        """
        now_s = self._clock.ran_s()
        wait = self._waits.get(whose)
        if wait is None or wait.posted_at != posted_at or not self._goes_on(wait, now_s):
            wait = self._waits[whose] = _Wait(posted_at=posted_at, since_s=now_s, asked_s=now_s)
        wait.asked_s = now_s
        return timedelta(seconds=now_s - wait.since_s)

    def _goes_on(self, wait: _Wait, now_s: float) -> bool:
        return self._asked_s >= wait.since_s and now_s - self._looked_s <= self._gap_s

    def looked(self, whose: Hashable) -> None:
        """Note that a list was seen just now; `of` was called before. Another task may have settled it meanwhile."""
        if wait := self._waits.get(whose):
            self._asked_s, self._looked_s = max(self._asked_s, wait.asked_s), self._clock.ran_s()

    def keep(self, those: Collection[Hashable]) -> None:
        """Forget all others."""
        self._waits = {whose: wait for whose, wait in self._waits.items() if whose in those}

    def forget(self, whose: Hashable) -> None:
        """Forget what is settled."""
        self._waits.pop(whose, None)
