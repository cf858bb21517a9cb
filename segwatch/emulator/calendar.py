"""The platform's own time, in which schedules fire and days end: it runs as fast as `speed` says."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from segwatch.emulator.settings import Json

_DAY_S = 86_400
_END_S = 221_845_392_000.0  # the year 9000: a directory that was away for long comes back fast, and times have an end


class Calendar:
    """The emulated time: what the wall clock said at the start, and from then on `speed` seconds in each."""

    def __init__(self, *, speed: float, now: Callable[[], float]) -> None:
        self._speed = speed
        self._now = now
        self._wall_s = self._emulated_s = now()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._seconds(), UTC)

    def seconds_until(self, when: datetime) -> float:
        """Return how long it takes until then, in real seconds; 0 for what is past."""
        return max(0.0, (when.timestamp() - self._seconds()) / self._speed)

    def lateness(self, due: datetime) -> timedelta:
        """Return how much real time has passed since something was due."""
        return timedelta(seconds=(self._seconds() - due.timestamp()) / self._speed)

    def begin_at(self, time_of_day: time) -> None:
        """Let it be that time of day (UTC) now, the next one to come."""
        now = self.now()
        then = datetime.combine(now.date(), time_of_day, UTC)
        self._wall_s = self._now()
        self._emulated_s = (then if then >= now else then + timedelta(days=1)).timestamp()

    def meet(self, wall_s: float) -> None:
        """Let it be the clock's time of day (UTC) when the clock shows `wall_s` (epoch seconds): on a day to come."""
        now_s = self._now()
        then_s = wall_s - (wall_s - now_s) * self._speed
        behind_s = max(0.0, self._seconds(now_s) - then_s)
        self._wall_s, self._emulated_s = now_s, then_s + math.ceil(behind_s / _DAY_S) * _DAY_S

    def at(self, wall_s: float) -> datetime:
        """Return the emulated time when the clock shows `wall_s`, to the second."""
        return datetime.fromtimestamp(round(self._seconds(wall_s)), UTC)

    def document(self) -> Json:
        """Return what another process needs to go on with this time."""
        return {"wall": self._wall_s, "emulated": self._emulated_s, "speed": self._speed}

    def go_on(self, document: Json) -> None:
        """Let time be what it would be if the process that wrote the document still ran; it never goes back."""
        self._wall_s = self._now()
        self._emulated_s = document["emulated"] + (self._wall_s - document["wall"]) * document["speed"]

    def _seconds(self, wall_s: float | None = None) -> float:
        wall_s = self._now() if wall_s is None else wall_s
        return min(self._emulated_s + (wall_s - self._wall_s) * self._speed, _END_S)


class Quota:
    """How many evaluations each sandbox was asked for on a day of the calendar. AEP contract 12."""

    def __init__(self, *, per_day: int, calendar: Calendar) -> None:
        self._per_day = per_day
        self._calendar = calendar
        self.used: dict[str, list[int]] = {}  # by sandbox: the day, and how many on it

    def take(self, sandbox: str) -> bool:
        """Use up one; False if none is left today."""
        today = int(self._calendar.now().timestamp()) // _DAY_S
        day, count = self.used.get(sandbox, (today, 0))
        if day != today:
            count = 0
        if count >= self._per_day:
            return False
        self.used[sandbox] = [today, count + 1]
        return True
