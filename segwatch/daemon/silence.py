"""For how long the platform's list has been silent about a POST."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from segwatch.daemon.clock import Clock
from segwatch.jobs.model import JobKey
from segwatch.jobs.resubmission import Resubmission

_GAP_MIN = timedelta(seconds=30)  # longer than from one look to the next


@dataclass(slots=True)
class _Wait:
    """For the effect of which POST we look, since when, and when we last saw a list; by a clock that is never set."""

    posted_at: datetime | None
    since_s: float
    looked_s: float


class Silences:
    """How long this process has looked for the effects of POSTs, by a clock that is never set.

    window: `settle_window`. A silence begins anew after an outage of that length (or 30 s) in which no list was seen:
    what was not looked at has not been silent.
    """

    def __init__(self, clock: Clock, *, window: timedelta) -> None:
        self._clock = clock
        self._gap_max = max(window, _GAP_MIN)
        self._waits: dict[JobKey, _Wait] = {}

    def of(self, answer: Resubmission) -> timedelta:
        """Return how long ago we began to look for the effect of the answer's POST; we begin now if we never did."""
        now_s = self._clock.ran_s()
        wait = self._waits.get(answer.failed)
        if wait is None or wait.posted_at != answer.posted_at or now_s - wait.looked_s > self._gap_max.total_seconds():
            wait = self._waits[answer.failed] = _Wait(posted_at=answer.posted_at, since_s=now_s, looked_s=now_s)
        return timedelta(seconds=now_s - wait.since_s)

    def looked(self, answer: Resubmission) -> None:
        """Note that a list was seen just now; `of` was called before."""
        self._waits[answer.failed].looked_s = self._clock.ran_s()

    def keep(self, failed: Collection[JobKey]) -> None:
        """Forget what is not about the answers to these jobs."""
        self._waits = {job: wait for job, wait in self._waits.items() if job in failed}
