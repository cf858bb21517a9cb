"""What stood in the way of an answer to a failed export lately, and how long it waits for that."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from segwatch.backoff import Backoff, spread
from segwatch.daemon.clock import Clock
from segwatch.jobs.model import JobKey

_PAUSE = timedelta(seconds=5)
_PAUSE_MAX = timedelta(minutes=1)
_ERROR = Backoff(first=timedelta(seconds=5), cap=timedelta(minutes=10))
_GIVE_WAY = Backoff(first=timedelta(seconds=2), cap=timedelta(minutes=1))


@dataclass(slots=True)
class _Unclear:
    """For how long the looks have allowed no conclusion, and at what `ran_s` the last one ended, but for an outage."""

    lasted_s: float = 0.0
    looked_s: float | None = None


class Setbacks:
    """Pauses of answers, each named by its failed job, by a clock that is never set; none outlives the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._paused: dict[JobKey, float] = {}  # until which `ran_s`
        self._wishes: Mapping[JobKey, datetime] = {}
        self._errors: Counter[JobKey] = Counter()
        self._conflicts: Counter[JobKey] = Counter()
        self._unclear: dict[JobKey, _Unclear] = {}
        self._since_s: dict[JobKey, float] = {}  # `ran_s` at the first of those that no step followed
        self._told: set[JobKey] = set()

    def paused(self) -> frozenset[JobKey]:
        """Return those that wait now."""
        now_s = self._clock.ran_s()
        self._paused = {job: until_s for job, until_s in self._paused.items() if now_s < until_s}
        return frozenset(self._paused)

    def heed(self, wishes: Mapping[JobKey, datetime]) -> None:
        """Put off no longer what a person has asked for since. wishes: when they asked, for each that they want."""
        for job, asked_at in wishes.items():
            if self._wishes.get(job) != asked_at:
                self._paused.pop(job, None)
                self._begin_anew(job)
        self._wishes = wishes

    def pause(self, job: JobKey, wait: timedelta = _PAUSE) -> None:
        """Put the answer off."""
        now_s = self._clock.ran_s()
        self._since_s.setdefault(job, now_s)
        self._paused[job] = now_s + wait.total_seconds()

    def lasts(self, job: JobKey, within: timedelta) -> bool:
        """Return, once, whether one thing or another has stood in its way for so long."""
        now_s = self._clock.ran_s()
        if job in self._told or now_s - self._since_s.get(job, now_s) < within.total_seconds():
            return False
        self._told.add(job)
        return True

    def error(self, job: JobKey) -> int:
        """Put the answer off after an error of our own; return how many there were in a row."""
        self._errors[job] += 1
        self.pause(job, _ERROR.delay(self._errors[job], spread(str(job))))
        return self._errors[job]

    def no_error(self, job: JobKey) -> None:
        """Note that there was none this time."""
        self._errors.pop(job, None)

    def conflict(self, job: JobKey) -> int:
        """Put the answer off, less and less briefly, since somebody else changed something; return how often so far."""
        self._unclear.pop(job, None)  # a look did end
        self._conflicts[job] += 1
        self.pause(job, _GIVE_WAY.delay(self._conflicts[job], spread(str(job))))
        return self._conflicts[job]

    def outage(self, job: JobKey, wait: timedelta) -> None:
        """Put the answer off after a call that failed: while no look ends, none is unclear."""
        if unclear := self._unclear.get(job):
            unclear.looked_s = None
        self.pause(job, wait)

    def unclear(self, job: JobKey, within: timedelta) -> bool:
        """Put the answer off after a look that allowed no conclusion; return whether they do so for too long."""
        unclear, now_s = self._unclear.setdefault(job, _Unclear()), self._clock.ran_s()
        if unclear.looked_s is not None:
            unclear.lasted_s += now_s - unclear.looked_s
        unclear.looked_s = now_s
        lasted = timedelta(seconds=unclear.lasted_s)
        if lasted >= within:
            self.went_on(job)
            return True
        # less and less often: each look may read a hundred records
        self.pause(job, min(max(_PAUSE, lasted / 4), _PAUSE_MAX))
        return False

    def went_on(self, job: JobKey) -> None:
        """Note that a step was taken."""
        self._unclear.pop(job, None)
        self._conflicts.pop(job, None)
        self._begin_anew(job)

    def _begin_anew(self, job: JobKey) -> None:
        self._since_s.pop(job, None)
        self._told.discard(job)
