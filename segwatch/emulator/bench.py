"""What the workshop computes with: the lake, and what came out of it for each job."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.lake.model import Counters, Evaluation, WrittenBatch
from segwatch.emulator.sandbox import ALL_SEGMENTS, Sandbox
from segwatch.emulator.settings import Json
from segwatch.emulator.workshop import TooLate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from segwatch.emulator.lake.lake import Lake, Work

Result = TypeVar("Result")


class LakeBench:
    """Computes jobs in the lake, which it opens when the first job needs it.

    counters, written: what evaluations counted and exports wrote, by the id of the job.
    """

    def __init__(
        self,
        *,
        lake: Callable[[], Awaitable["Lake"]],
        sandbox: Callable[[str], Sandbox],
        now: Callable[[], float],
    ) -> None:
        self._lake = lake
        self._sandbox = sandbox
        self._now = now
        self.counters: dict[str | int, Counters] = {}
        self.written: dict[str | int, tuple[WrittenBatch, ...]] = {}

    async def size(self, job: Job) -> int:
        segments = self._expressions(job)

        def profiles(cursor: "DuckDBPyConnection") -> int:
            rows: list[tuple[int]] = cursor.execute("SELECT count(*) FROM profile").fetchall()
            return rows[0][0]

        lake = await self._lake()
        return await lake.answer(profiles) * max(1, len(segments))

    async def evaluate(self, job: Job) -> None:
        from segwatch.emulator.lake import evaluation  # not before a job needs the engine

        order = Evaluation(
            run_id=str(job.id),
            sandbox=job.sandbox,
            definitions=self._expressions(job),
            now=datetime.fromtimestamp(self._now(), UTC),
        )
        counters = await self._computed(lambda cursor: evaluation.evaluate(cursor, order))
        if job.kind is Kind.SEGMENT_JOB:
            self.counters[job.id] = counters

    async def export(self, job: Job) -> None:
        raise ValueError("Exports are not written yet.")

    async def clear(self) -> None:
        """Forget what was computed."""
        self.counters.clear()
        self.written.clear()

    def _expressions(self, job: Job) -> dict[str, Json]:
        """Return the expression of each segment that the job is for, by id. Raises ValueError for one that is gone."""
        known = self._sandbox(job.sandbox).definitions
        asked = asked_segments(job)
        if asked is None:
            return {name: one["expression"] for name, one in known.items() if one["evaluationInfo"]["batch"]["enabled"]}
        for segment_id in asked:
            if segment_id not in known:
                raise ValueError(f"The segment definition {segment_id} does not exist any more.")
        return {segment_id: known[segment_id]["expression"] for segment_id in asked}

    async def _computed(self, work: "Work[Result]") -> Result:
        """Return what the work returns. Cancelled, it ends the work, and raises TooLate if all was done by then."""
        halted = threading.Event()
        at_work: list[DuckDBPyConnection] = []

        def watched(cursor: "DuckDBPyConnection") -> Result:
            at_work.append(cursor)
            if halted.is_set():
                raise InterruptedError
            return work(cursor)

        lake = await self._lake()
        computing = asyncio.ensure_future(lake.compute(watched))
        try:
            return await asyncio.shield(computing)
        except asyncio.CancelledError:
            halted.set()
            for cursor in at_work:
                cursor.interrupt()
            await asyncio.wait([computing])
            if computing.exception() is None:
                raise TooLate from None
            raise


def asked_segments(job: Job) -> list[str] | None:
    """Return the ids of the segments that a job names; None if it is for all."""
    if job.kind is Kind.SEGMENT_JOB:
        asked: list[str] = job.request["segments"]
        return None if asked == [ALL_SEGMENTS] else asked
    wanted = (job.request.get("filter") or {}).get("segments")
    return [one["segmentId"] for one in wanted] if wanted else None
