"""Where jobs are computed, not scripted: a sandbox's evaluations one after another, exports side by side."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from segwatch.emulator.engine import Engine, Job, Kind, Script, Step
from segwatch.emulator.envelopes import ServiceError

_BASE_S = {Kind.SEGMENT_JOB: 100.0, Kind.EXPORT_JOB: 200.0}
_PER_PROFILE_AND_SEGMENT_S = 20e-6  # a million profiles in 20 segments: 400 s more

log = logging.getLogger(__name__)


def planned(job: Job, size: int) -> Script:
    """Return the job's script, PROCESSING as long as its work is large. size: profiles times segments."""
    seconds = _BASE_S[job.kind] + _PER_PROFILE_AND_SEGMENT_S * size
    return tuple(replace(step, seconds=seconds) if step.status == "PROCESSING" else step for step in job.script)


class Bench(Protocol):
    """What the workshop computes with. Raises ValueError or ServiceError for a job that cannot be computed.

    A work that is cancelled ends when nothing of it goes on.
    """

    async def prepare(self) -> None:
        """Return when there is data to compute with; the first time may take long."""

    async def size(self, job: Job) -> int:
        """Return how many profiles times segments the job looks at."""

    async def evaluate(self, job: Job) -> None:
        """Evaluate the job's segments, once for ever, and keep what was counted."""

    async def export(self, job: Job) -> None:
        """Write the job's batches, once for ever, and keep what they hold."""

    def withdraw(self, job: Job) -> bool:
        """Return whether the job's work has not taken effect; then it never will."""


class Lane:
    """A way that one job at a time can pass; the others wait in the order in which they came."""

    def __init__(self) -> None:
        self._turns: dict[Job, asyncio.Event] = {}

    @property
    def is_free(self) -> bool:
        return not self._turns

    def enter(self, job: Job) -> asyncio.Event:
        """Return what is set when it is the job's turn; a job that has not come yet joins the end."""
        turn = self._turns.setdefault(job, asyncio.Event())
        self._admit()
        return turn

    def leave(self, job: Job) -> None:
        """Make room; nothing happens for a job that is not there."""
        self._turns.pop(job, None)
        self._admit()

    def _admit(self) -> None:
        if self._turns:
            next(iter(self._turns.values())).set()


class Workshop:
    """The jobs that compute, each in a task of its own. speed: divides every duration, not the computation's own.

    done: hears of a job that was computed, once its status says so.
    """

    def __init__(
        self, engine: Engine, bench: Bench, *, speed: float, now: Callable[[], float], done: Callable[[Job], None]
    ) -> None:
        self._engine = engine
        self._bench = bench
        self._speed = speed
        self._now = now
        self._done = done
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[Job, asyncio.Task[None]] = {}

    def take(self, job: Job) -> None:
        """Bring the job to its end: from its first status, or from where it was when the process ended."""
        lane = self._lane(job)
        if not job.moves:
            # the `seed` dialect knows no waiting, unless there is something to wait for
            if job.script[0].status == "PROCESSING" and not lane.is_free:
                job.script = (Step(status="QUEUED", seconds=0), *job.script)
            self._engine.move(job)
        if job.kind is Kind.SEGMENT_JOB:
            lane.enter(job)  # now, and not when it is queued: who was asked for first comes first
        task = asyncio.create_task(self._worked(job), name=f"workshop:{job.kind}:{job.id}")
        task.add_done_callback(lambda _: self._over(job))
        self._tasks[job] = task

    def drop(self, job: Job) -> None:
        """Stop computing the job."""
        if (task := self._tasks.get(job)) is not None:
            task.cancel()

    def withdraw(self, job: Job) -> bool:
        """Stop computing the job, unless its result is there already; return whether it was stopped in time."""
        if job in self._tasks and not self._bench.withdraw(job):
            return False
        self.drop(job)
        return True

    async def close(self) -> None:
        """Stop computing, and return when nothing is computed any more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, job: Job) -> None:
        self._lane(job).leave(job)
        self._tasks.pop(job, None)

    def _lane(self, job: Job) -> Lane:
        return self._lanes.setdefault(job.sandbox, Lane())

    async def _worked(self, job: Job) -> None:
        try:
            await self._walk(job)
        except (ValueError, ServiceError) as error:
            self._fail(job, str(getattr(error, "message", error)))
        except Exception as error:
            log.exception("job %s was not computed", job.id)
            self._fail(job, f"{type(error).__name__}: {error}")
        if job.status == "SUCCEEDED":
            self._done(job)

    async def _walk(self, job: Job) -> None:
        """Pass through the statuses that are left, and compute at the end of PROCESSING."""
        evaluates = job.kind is Kind.SEGMENT_JOB
        while job.status != "PROCESSING":
            await self._until_over(job)
            if job.script[job.position + 1].status == "PROCESSING":
                if evaluates:
                    await self._lane(job).enter(job).wait()
                if job.script[-1].status == "SUCCEEDED":
                    await self._bench.prepare()
            self._engine.move(job)
        if job.script[-1].status != "SUCCEEDED":
            await self._until_over(job)
        else:
            job.script = planned(job, await self._bench.size(job))
            await self._until_over(job)
            await self._compute(job)
        self._engine.move(job)

    async def _compute(self, job: Job) -> None:
        if job.kind is Kind.SEGMENT_JOB:
            await self._bench.evaluate(job)
            return
        if (job.request.get("evaluationInfo") or {}).get("segmentation"):
            await self._lane(job).enter(job).wait()
            await self._bench.evaluate(job)
            self._lane(job).leave(job)
        await self._bench.export(job)

    async def _until_over(self, job: Job) -> None:
        """Wait until the job has been in its status for as long as its script says."""
        lasts_s = job.script[job.position].seconds / self._speed
        await asyncio.sleep(max(0.0, lasts_s - (self._now() - job.updated_ms / 1000)))

    def _fail(self, job: Job, message: str) -> None:
        job.errors = [{"code": "unknown", "msg": message, "callStack": ""}]
        job.script = (*job.script[: job.position + 1], Step(status="FAILED", seconds=0))
        self._engine.move(job)
