"""When to look again."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from segwatch.backoff import Backoff, spread

RETRY_WITHIN = timedelta(seconds=10)  # of one call each, so a failing platform gets six a minute from each stream
_STORE = Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often one stream, all jobs of a kind in a sandbox, is looked at.

    interval: how soon a change must be seen while a job is active; a promise, so no look comes later unless the call
    budget forces it. idle: how often new jobs are looked for while none is active. reconcile: how often every active
    job is asked for, whatever the lists say. reread: a job that no list has shown for so long is asked for by its id.
    """

    interval: timedelta
    idle: timedelta
    reconcile: timedelta

    @property
    def reread(self) -> timedelta:
        """Eight intervals: three 404s in a row after that still tell of a vanished job within thirty."""
        return min(self.reconcile, 8 * self.interval)

    def next_look(self, answered_at: datetime, *, stretch: float = 1.0) -> datetime:
        """Return when an active job, last answered for at `answered_at`, must be looked at again.

        stretch: 1 or more; how much the call budget falls short of what the intervals ask for.
        """
        return answered_at + self.interval * max(1.0, stretch)

    def next_discovery(self, swept_at: datetime, *, any_active: bool, stretch: float = 1.0) -> datetime:
        """Return when to look for new jobs again."""
        return swept_at + (self.interval * max(1.0, stretch) if any_active else self.idle)

    def after_failure(self, failures: int, stream: str, *, stretch: float = 1.0) -> timedelta:
        """Return the wait after `failures` unanswered looks in a row: from half an interval up.

        The interval is a promise also at the end of an outage: no wait is longer than it, or than RETRY_WITHIN. A 429
        slows us down elsewhere, by the call budget.
        """
        backoff = Backoff(first=self.interval, cap=max(RETRY_WITHIN, self.interval * max(1.0, stretch)))
        return backoff.delay(failures, spread(f"{stream}#{failures}"))

    def after_store_failure(self, failures: int, stream: str) -> timedelta:
        """Return the wait after what was seen could not be written: the platform is not to blame, and not spared."""
        return _STORE.delay(failures, spread(f"{stream}#{failures}"))

    def phase(self, stream: str) -> timedelta:
        """Return how long after the start this stream is first looked at: spread, so that sandboxes make no burst."""
        return min(self.interval, timedelta(seconds=2)) * spread(stream)


def stretch_for(calls_per_sweep: float, interval: timedelta, calls_per_second: float) -> float:
    """Return by how much the interval must grow for a sweep of so many calls to fit into the budget."""
    return max(1.0, calls_per_sweep / (calls_per_second * interval.total_seconds()))
