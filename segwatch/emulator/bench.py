"""What the workshop computes with: the data, and what came out of it for each job."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from segwatch.emulator.data import Data
from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.lake import batch_files, batches
from segwatch.emulator.lake.extracts import extracts
from segwatch.emulator.lake.model import Counters, Evaluation, Extract, WrittenBatch
from segwatch.emulator.sandbox import ALL_SEGMENTS, Sandbox
from segwatch.emulator.seed import EXPORT_FAILURE
from segwatch.emulator.settings import Json

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from segwatch.emulator.lake.lake import Work

Result = TypeVar("Result")


class Gate:
    """What an effect passes, unless it was shut before: of the two, the first to come rules out the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_shut = self._is_passed = False

    def shut(self) -> bool:
        """Return whether nothing has passed; then nothing will."""
        with self._lock:
            self._is_shut = not self._is_passed
            return self._is_shut

    def go_through(self) -> None:
        """Raise InterruptedError if it is shut."""
        with self._lock:
            if self._is_shut:
                raise InterruptedError
            self._is_passed = True


class DataBench:
    """Computes jobs in the platform's data, which is opened when the first job needs it.

    counters, written: what evaluations counted and exports wrote, by the id of the job.
    realized_is_all: whether `realized` means everybody who is in a segment, at this moment.
    """

    def __init__(
        self,
        data: Data,
        *,
        sandbox: Callable[[str], Sandbox],
        now: Callable[[], float],
        realized_is_all: Callable[[], bool],
    ) -> None:
        self._data = data
        self._sandbox = sandbox
        self._now = now
        self._realized_is_all = realized_is_all
        self.counters: dict[str | int, Counters] = {}
        self.written: dict[str | int, tuple[WrittenBatch, ...]] = {}
        self._gates: dict[Job, Gate] = {}

    async def prepare(self) -> None:
        await self._data.lake()

    async def size(self, job: Job) -> int:
        def profiles(cursor: "DuckDBPyConnection") -> int:
            rows: list[tuple[int]] = cursor.execute("SELECT count(*) FROM profile").fetchall()
            return rows[0][0]

        segments = asked_segments(job)
        count = len(self._expressions(job)) if segments is None else len(segments)
        lake = await self._data.lake()
        return await lake.answer(profiles) * max(1, count)

    def order(self, job: Job, *, at: datetime) -> Evaluation:
        """Return what the job evaluates, as of then. Raises ValueError for a segment that is gone."""
        return Evaluation(
            # its own, and no other's: with a new process, ids that nobody was told may come again
            run_id=f"{job.id} {job.created_ms}",
            sandbox=job.sandbox,
            definitions=self._expressions(job),
            known=frozenset(self._sandbox(job.sandbox).definitions),
            now=at,
        )

    async def evaluate(self, job: Job) -> None:
        """Evaluate the job's segments as of now."""
        self._data.demand_engine()
        from segwatch.emulator.lake import evaluation  # not before a job needs the engine
        from segwatch.emulator.pql import PqlError

        order = self.order(job, at=datetime.fromtimestamp(self._now(), UTC))
        gate = Gate()
        if job.kind is Kind.SEGMENT_JOB:  # an export's effect are its batches, and comes later
            self._gates[job] = gate
        try:
            counters = await self.computed(partial(evaluation.evaluate, order=order, settles=gate.go_through))
        except PqlError as error:
            raise ValueError(str(error)) from error
        finally:
            self._gates.pop(job, None)
        if job.kind is Kind.SEGMENT_JOB:
            self.counters[job.id] = counters

    def withdraw(self, job: Job) -> bool:
        gate = self._gates.get(job)
        return gate is None or gate.shut()

    async def export(self, job: Job) -> None:
        self._data.demand_engine()
        from segwatch.emulator.lake import exports, external  # not before a job needs the engine

        box, dataset_id = self._sandbox(job.sandbox), _target(job)
        _demand_dataset(box, dataset_id)
        folder, now = self._data.batches.path, datetime.fromtimestamp(self._now(), UTC)

        def supplied(cursor: "DuckDBPyConnection") -> None:
            external.supply(cursor, job.sandbox, now=now)

        await self.computed(supplied)
        try:
            written = [
                await self.computed(partial(exports.write, folder=folder, order=order)) for order in self._extracts(job)
            ]
        except asyncio.CancelledError:
            for batch_id in job.facts.batch_ids:
                # of a job that was cancelled nothing stays; when the process stops, the next one uses what is written
                if batch_id not in box.batches or box.batches[batch_id]["status"] == batches.ABORTED:
                    batch_files.remove(folder, batch_id)
            raise
        if dataset_id not in box.datasets:
            for batch in written:
                batch_files.remove(folder, batch.batch_id)
        _demand_dataset(box, dataset_id)
        for batch in written:
            batches.succeed(box.batches, box.datasets, batch, at_ms=self._now_ms())
        self.written[job.id] = tuple(written)

    def note(self, job: Job) -> None:
        """Let the catalog know what a job's last move means to its batches."""
        if job.kind is not Kind.EXPORT_JOB:
            return
        box = self._sandbox(job.sandbox)
        if job.status == "PROCESSING" and job.computed:
            if (dataset_id := _target(job)) in box.datasets:
                batches.begin(
                    box.batches,
                    box.datasets,
                    self._extracts(job),
                    dataset_id=dataset_id,
                    org=job.org,
                    at_ms=self._now_ms(),
                )
        elif job.status in ("FAILED", "CANCELLED"):
            self._end_in_vain(job, box)
        elif job.status == "SUCCEEDED" and not job.computed:  # somebody said so, and nothing will be written
            self._abort(job, box)

    def abandon(self, job: Job) -> None:
        """Let the catalog know that nothing will come of a job's batches: the job is gone."""
        if job.kind is Kind.EXPORT_JOB:
            self._abort(job, self._sandbox(job.sandbox))

    def forget(self) -> None:
        """Forget what was counted and written."""
        self.counters.clear()
        self.written.clear()

    async def computed(self, work: "Work[Result]") -> Result:
        """Return what the work returns. Cancelled, it ends the work, and returns when nothing of it goes on."""
        lock, halted = threading.Lock(), threading.Event()
        at_work: list[DuckDBPyConnection] = []

        def watched(cursor: "DuckDBPyConnection") -> Result:
            with lock:
                if halted.is_set():
                    raise InterruptedError
                at_work.append(cursor)
            try:
                return work(cursor)
            finally:
                with lock:  # it is closed now, and must not be interrupted any more
                    at_work.clear()

        lake = await self._data.lake()
        computing = asyncio.ensure_future(lake.compute(watched))
        try:
            return await asyncio.shield(computing)
        except asyncio.CancelledError:
            with lock:
                halted.set()
                for cursor in at_work:
                    cursor.interrupt()
            await asyncio.wait([computing])
            if not computing.cancelled():
                computing.exception()  # nobody else asks for it
            raise

    def _end_in_vain(self, job: Job, box: Sandbox) -> None:
        if job.cancel_asked or job.status == "CANCELLED":
            self._abort(job, box)
            return
        errors = EXPORT_FAILURE if job.errors is None else job.errors
        for batch_id in self._begun(job, box):
            batches.fail(
                box.batches, box.datasets, batch_id, errors, folder=self._data.batches.path, at_ms=self._now_ms()
            )

    def _abort(self, job: Job, box: Sandbox) -> None:
        for batch_id in self._begun(job, box):
            batches.abort(box.batches, box.datasets, batch_id, folder=self._data.batches.path, at_ms=self._now_ms())

    def _begun(self, job: Job, box: Sandbox) -> list[str]:
        return [batch_id for batch_id in job.facts.batch_ids if batch_id in box.batches]

    def _extracts(self, job: Job) -> tuple[Extract, ...]:
        return extracts(
            job.request,
            sandbox=job.sandbox,
            batch_ids=job.facts.batch_ids,
            definitions=self._sandbox(job.sandbox).definitions,
            realized_is_all=self._realized_is_all(),
        )

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

    def _now_ms(self) -> int:
        return int(self._now() * 1000)


def _target(job: Job) -> str:
    """Return the dataset that an export is for."""
    target = job.request["destination"]
    return str(target.get("datasetId") or target["dataSetId"])


def _demand_dataset(box: Sandbox, dataset_id: str) -> None:
    """Raise ValueError for a dataset that was deleted since the export was asked for."""
    if dataset_id not in box.datasets:
        raise ValueError(f"The dataset {dataset_id} does not exist any more.")


def asked_segments(job: Job) -> list[str] | None:
    """Return the ids of the segments that a job names; None if it is for all."""
    if job.kind is Kind.SEGMENT_JOB:
        asked: list[str] = job.request["segments"]
        return None if asked == [ALL_SEGMENTS] else asked
    wanted = (job.request.get("filter") or {}).get("segments")
    return [one["segmentId"] for one in wanted] if wanted else None
