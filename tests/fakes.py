"""What stands in for the world in tests of every sort."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

_TURNS = 10  # of the loop, within which whoever needs nothing but the processor comes to its next wait

T0 = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)


def at(minute: float = 0, *, second: float = 0) -> datetime:
    return T0 + timedelta(minutes=minute, seconds=second)


class FakeClock:
    """Time that stands until a test moves it: whoever sleeps on it wakes when its time has come.

    leaps: nobody sleeps; the clock moves to when they would wake. runs: real time passes on it as well, also in sleep.
    """

    def __init__(self, start: datetime = T0, *, leaps: bool = False, runs: bool = False) -> None:
        self._start = self._moved_to = start
        self._set_by = timedelta()
        self._leaps = leaps
        self._loop = asyncio.get_running_loop() if runs else None
        self._began = self._loop.time() if self._loop else 0.0
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._fell_asleep = asyncio.Event()

    def now(self) -> datetime:
        ran = self._loop.time() - self._began if self._loop else 0.0
        return self._moved_to + timedelta(seconds=ran)

    def ran_s(self) -> float:
        """Return seconds of a clock that is never set."""
        return (self.now() - self._set_by - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        if self._loop:
            await asyncio.sleep(max(0.0, seconds))
        elif self._leaps or seconds <= 0:
            self._moved_to += timedelta(seconds=max(0.0, seconds))
            await asyncio.sleep(0)
        else:
            woken = asyncio.get_running_loop().create_future()
            heapq.heappush(self._sleepers, (self.now() + timedelta(seconds=seconds), next(self._numbers), woken))
            self._fell_asleep.set()
            await woken

    def set(self, moment: datetime) -> None:
        """Move to any moment, also back, and wake nobody: an administrator sets a clock so."""
        by = moment - self.now()
        self._moved_to += by
        self._set_by += by

    async def advance(self, **by: float) -> None:
        """Move on by a timedelta's arguments, waking those who sleep, each at its time, and let them act."""
        await self._let_act()
        goal = self._moved_to + timedelta(**by)
        while self._awaited() and self._sleepers[0][0] <= goal:
            await self._wake()
        self._moved_to = goal

    async def wake_next(self) -> None:
        """Move to when the first of those who sleep wakes, as soon as somebody sleeps; within five real seconds."""
        async with asyncio.timeout(5):
            while not self._awaited():
                self._fell_asleep.clear()
                await self._fell_asleep.wait()
        await self._wake()

    def _awaited(self) -> bool:
        while self._sleepers and self._sleepers[0][2].done():  # cancelled in its sleep
            heapq.heappop(self._sleepers)
        return bool(self._sleepers)

    async def _wake(self) -> None:
        self._moved_to, _, woken = heapq.heappop(self._sleepers)
        woken.set_result(None)
        await self._let_act()

    async def _let_act(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
