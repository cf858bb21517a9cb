"""Jobs, and the engine that moves them: along their scripts by timers, whoever asks, or as it is told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from segwatch.emulator.settings import CallLater, Handle, Json

FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class Kind(StrEnum):
    """The kinds of jobs that the platform runs here."""

    SEGMENT_JOB = "segment_job"
    EXPORT_JOB = "export_job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One status of a script and how long it lasts, before the speed factor. The last step stays."""

    status: str
    seconds: float


Script = tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A status that a job took, and when (epoch ms)."""

    status: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What chance decided about one job when it was created."""

    request_id: str
    compute_job_id: int
    gateway_ids: tuple[str, str]
    batch_ids: tuple[str, ...]
    audience_u: float


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One job of the platform. `errors` are shown once it failed; None shows the usual ones.

    computed: the workshop moves it, and its script is only what is planned.
    """

    kind: Kind
    id: str | int
    sandbox: str
    org: str
    origin: str
    request: Json
    facts: Facts
    script: Script
    errors: list[Json] | None = None
    computed: bool = False
    cancel_asked: bool = False
    position: int = 0
    moves: list[Move] = field(default_factory=list)
    timer: Handle | None = None

    @property
    def status(self) -> str:
        return self.moves[-1].status

    @property
    def created_ms(self) -> int:
        return self.moves[0].at_ms

    @property
    def updated_ms(self) -> int:
        return self.moves[-1].at_ms

    @property
    def started_ms(self) -> int | None:
        """Return when the job began to compute; None if it has not."""
        return next((move.at_ms for move in self.moves if move.status == "PROCESSING"), None)

    @property
    def ended_ms(self) -> int | None:
        """Return when the job reached a final status; None while it runs."""
        return self.moves[-1].at_ms if self.is_final else None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_at_end(self) -> bool:
        """Whether its script has no further step. It need not be final: any word may be the last."""
        return self.position == len(self.script) - 1


class Engine:
    """Moves jobs through their scripts. `changed` hears of every move, after it happened."""

    def __init__(
        self, *, speed: float, now: Callable[[], float], call_later: CallLater, changed: Callable[[Job], None]
    ) -> None:
        self._speed = speed
        self._now = now
        self._call_later = call_later
        self._changed = changed
        self._last_ms = 0

    def start(self, job: Job) -> None:
        """Put the job into the first status of its script, and on its way."""
        self._enter(job)

    def follow(self, job: Job, script: Script) -> None:
        """Let the job leave its script for another, from now on."""
        self.stop(job)
        job.script, job.position = script, 0
        self._enter(job)

    def leave_after(self, job: Job, seconds: float, then: Step) -> None:
        """Let the job leave its script: so much longer in its status (before the speed factor), then another one."""
        self.stop(job)
        job.script, job.position = (Step(status=job.status, seconds=seconds), then), 0
        job.timer = self._call_later(seconds / self._speed, lambda: self._next(job))

    def move(self, job: Job) -> None:
        """Put a job that no timer moves into the next status of its script."""
        job.position = job.position + 1 if job.moves else 0
        self._move(job)

    def resume(self, job: Job) -> None:
        """Let a job that walked before this process began walk on: what is due is done now."""
        if job.is_at_end:
            return
        waits_s = job.script[job.position].seconds / self._speed - (self._now() - job.updated_ms / 1000)
        job.timer = self._call_later(max(0.0, waits_s), lambda: self._next(job))

    def go_on_from(self, last_ms: int) -> None:
        """Stamp nothing earlier than that."""
        self._last_ms = max(self._last_ms, last_ms)

    def stop(self, job: Job) -> None:
        """Leave the job where it is for ever."""
        if job.timer is not None:
            job.timer.cancel()
            job.timer = None

    def _enter(self, job: Job) -> None:
        while True:
            step = self._move(job)
            if job.is_at_end:
                return
            if step.seconds > 0:
                break
            job.position += 1
        job.timer = self._call_later(step.seconds / self._speed, lambda: self._next(job))

    def _move(self, job: Job) -> Step:
        step = job.script[job.position]
        job.moves.append(Move(status=step.status, at_ms=self._stamp_ms()))
        self._changed(job)
        return step

    def _next(self, job: Job) -> None:
        job.timer = None
        job.position += 1
        self._enter(job)

    def _stamp_ms(self) -> int:
        # never backwards, or the order of changes and their times would contradict each other
        self._last_ms = max(self._last_ms, int(self._now() * 1000))
        return self._last_ms
