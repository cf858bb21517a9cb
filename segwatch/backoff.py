"""One formula for every wait between attempts."""

import zlib
from dataclasses import dataclass
from datetime import timedelta

_DOUBLINGS_MAX = 20  # past 20 doublings the cap rules; timedelta would overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential growth from `first` to `cap`, with jitter."""

    first: timedelta
    cap: timedelta

    def ceiling(self, attempt: int) -> timedelta:
        """Return the longest wait after attempt number `attempt` (from 1): min(cap, first * 2**(attempt - 1))."""
        return min(self.cap, self.first * (1 << min(attempt - 1, _DOUBLINGS_MAX)))

    def delay(self, attempt: int, u: float) -> timedelta:
        """Return the wait before the next attempt: uniform between half the ceiling and the ceiling.

        Half of it is kept fixed ("equal jitter"): a wait near zero would hit a receiver that just refused us.
        attempt: attempts made so far, from 1. u: a random number in [0, 1), drawn by the caller.
        """
        return self.ceiling(attempt) * (0.5 + u / 2)


def spread(text: str) -> float:
    """Return a number in [0, 1) that is always the same for `text` and evenly spread over different texts.

    Where a wait must survive a restart unchanged, this takes the place of a random number.
    """
    return zlib.crc32(text.encode()) / 2**32
