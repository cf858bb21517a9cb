"""How many calls a minute we may make: a token bucket whose rate the platform's 429s steer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from segwatch.upstream.errors import Fate, Unavailable

FLOOR_PER_S = 0.1
_RECOVERY_S = 300.0  # from nothing to the full rate
_SAME_STORM_S = 1.0  # 429s this close together answer calls of one burst: they count once


@dataclass(slots=True)
class Bucket:
    """Arithmetic of calls and time; all times are seconds of one monotonic clock, passed in and never going back.

    full_rate: calls per second when all is well. burst: calls that may be made at once after a pause.
    The rate is halved by a 429, never below FLOOR_PER_S, and grows back evenly, in five minutes from nothing to full.
    """

    full_rate: float
    burst: float
    now: float
    rate: float = field(init=False)
    _level: float = field(init=False)
    _paused_until: float = field(init=False)
    _halved_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.rate = self.full_rate
        self.burst = max(1.0, self.burst)
        self._level = self.burst
        self._paused_until = self.now
        self._halved_at = self.now - _SAME_STORM_S

    def take(self, now: float) -> float:
        """Take one call and return 0, or take none and return the seconds after which it is worth asking again."""
        self._advance(now)
        if now < self._paused_until:
            return self._paused_until - now
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self.rate

    def pause_left_s(self, now: float) -> float:
        """Return the seconds of the pause that are left; 0 outside one."""
        return max(0.0, self._paused_until - now)

    def throttled(self, now: float, retry_after_s: float | None) -> None:
        """Take note of a 429: slow down, and pause for as long as the platform asked."""
        self._advance(now)
        if now - self._halved_at >= _SAME_STORM_S:
            self.rate = max(min(FLOOR_PER_S, self.full_rate), self.rate / 2)
            self._halved_at = now
        self._level = min(self._level, 1.0)
        if retry_after_s is not None:
            self._paused_until = max(self._paused_until, now + retry_after_s)

    def _advance(self, now: float) -> None:
        elapsed = max(0.0, now - max(self.now, self._paused_until))
        self._level = min(self.burst, self._level + elapsed * self.rate)
        self.rate = min(self.full_rate, self.rate + elapsed * self.full_rate / _RECOVERY_S)
        self.now = max(self.now, now)


class Budget:
    """The calls that one credential may make in its organization: the platform answers all of them with one 429.

    Its sandboxes draw from it through shares, in turn; in each, first come first served.
    """

    def __init__(
        self,
        *,
        requests_per_second: float,
        burst: int,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Without `monotonic` the running loop's clock is used."""
        self.monotonic = monotonic or asyncio.get_running_loop().time
        self._sleep = sleep
        self._bucket = Bucket(full_rate=requests_per_second, burst=burst, now=self.monotonic())
        self._turn = asyncio.Lock()  # wakes in the order of arrival, and a cancelled waiter loses nobody's turn

    @property
    def pause_left_s(self) -> float:
        """How long the platform wants no call, as its last 429 asked."""
        return self._bucket.pause_left_s(self.monotonic())

    @property
    def fraction(self) -> float:
        """The part of the full rate that the platform's 429s leave at present, up to 1."""
        return self._bucket.rate / self._bucket.full_rate

    def share(self, *, requests_per_second: float, burst: int) -> "Share":
        """Return one sandbox's way in. At most one caller of each share stands in the common queue.

        So a sandbox with a thousand calls waiting gets every second turn beside one with a single call, not a thousand.
        requests_per_second, burst: what this sandbox may take of it at most.
        """
        return Share(self, Bucket(full_rate=requests_per_second, burst=burst, now=self.monotonic()))

    def throttled(self, retry_after: timedelta | None) -> None:
        """Take note of a 429."""
        self._bucket.throttled(self.monotonic(), retry_after.total_seconds() if retry_after is not None else None)

    async def take(self, own: Bucket, deadline: float) -> None:
        """Take one call out of a share's own bucket, and then out of the common one. Raises TimeoutError."""
        await self._take(own, deadline)
        async with self._turn:
            await self._take(self._bucket, deadline)

    async def _take(self, bucket: Bucket, deadline: float) -> None:
        while (wait := bucket.take(self.monotonic())) > 0:
            if wait > deadline - self.monotonic():
                raise TimeoutError  # known already: the next in line may have more time
            await self._sleep(wait)


class Share:
    """One sandbox's part of a budget."""

    def __init__(self, budget: Budget, own: Bucket) -> None:
        self._budget = budget
        self._own = own
        self._queue = asyncio.Lock()

    @property
    def rate(self) -> float:
        """Calls per second at present: what the sandbox may take, less after a 429 to any sandbox of the credential."""
        return self._own.full_rate * self._budget.fraction

    async def acquire(self, *, max_wait: timedelta, what: str = "The call") -> None:
        """Return when a call may be made. Raises Unavailable, not sent, when that is not so within `max_wait`."""
        seconds = max_wait.total_seconds()
        deadline = self._budget.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds), self._queue:
                await self._budget.take(self._own, deadline)
        except TimeoutError as exc:
            if (pause_s := self._budget.pause_left_s) > 0:
                why = f"the platform answered 429 and wants no call for another {pause_s:.0f} s"
            else:
                why = f"at present {self.rate:.2g} calls a second"
            text = f"{what}: not made, since the call budget had no room within {seconds:g} s ({why})"
            raise Unavailable(text, fate=Fate.NOT_SENT, reason="budget") from exc

    def throttled(self, retry_after: timedelta | None) -> None:
        """Take note of a 429."""
        self._budget.throttled(retry_after)
