"""What the readers of one call budget ask of it together."""

from datetime import timedelta

from segwatch.jobs.cadence import stretch_for

_SHARE = 0.9  # of the budget: the rest is for reconciling and for resubmissions
_SECOND = timedelta(seconds=1)


class Demand:
    """Lets all streams stretch alike when the budget is too small for them together."""

    def __init__(self) -> None:
        self._calls_per_second: dict[str, float] = {}

    def note(self, stream: str, calls: float, every: timedelta) -> None:
        """Note that a sweep over this stream takes so many calls, and how often one is wished for."""
        self._calls_per_second[stream] = calls / every.total_seconds()

    def stretch(self, calls_per_second: float) -> float:
        """Return how much longer than wished all intervals must be for a budget of so many calls to suffice."""
        return stretch_for(sum(self._calls_per_second.values()), _SECOND, _SHARE * calls_per_second)
