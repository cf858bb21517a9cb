"""The hand that carries out orders, whoever gives them: a script by its requests, or a scenario by its times."""

import asyncio
import threading
from functools import partial

from segwatch.emulator import seed
from segwatch.emulator.api.datasets import known_dataset
from segwatch.emulator.api.export_request import demand_segments, export_request
from segwatch.emulator.api.schedules import new_schedule
from segwatch.emulator.api.segment_jobs import segment_request
from segwatch.emulator.control.batch_orders import NewBatch
from segwatch.emulator.control.orders import NewFault, NewJobs, job_request
from segwatch.emulator.control.run_orders import NewPlan, NewRun, ProfileChange
from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.lake import batch_files, batches, made_batches
from segwatch.emulator.lake.model import WrittenBatch
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Outcome, World


class Hand:
    """Does what an order says. Raises ServiceError for what cannot be done."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._halts: dict[asyncio.Task[WrittenBatch], threading.Event] = {}  # of the batches that are being made
        world.stopped_by_reset.append(self.stop)

    async def stop(self) -> None:
        """Give up the batches that are being made, and return when nothing of them is written any more."""
        for halted in self._halts.values():
            halted.set()
        await asyncio.gather(*self._halts, return_exceptions=True)

    def place(self, new: NewJobs) -> list[Job]:
        world = self._world
        sandbox = world.sandbox(new.sandbox)
        asked = job_request(new, sandbox)
        return [world.place(new.kind, sandbox, asked, script=new.script, errors=new.errors) for _ in range(new.count)]

    def start(self, new: NewRun) -> Job:
        """Start a job that is computed, as if the platform had been asked; it uses up no quota."""
        sandbox = self._world.sandbox(new.sandbox)
        if new.kind is Kind.SEGMENT_JOB:
            asked = segment_request(new.body, sandbox)
        else:
            usual = seed.export_of(list(sandbox.definitions)[:1], next(iter(sandbox.datasets)))
            asked = export_request(usual | (new.body or {}), sandbox)
        return self._world.start(new.kind, sandbox, asked, origin="control")

    def add_outcomes(self, kind: Kind, outcomes: list[Outcome]) -> int:
        """Return how many outcomes wait then."""
        queue = self._world.outcomes[kind]
        queue.extend(outcomes)
        return len(queue)

    def add_fault(self, new: NewFault) -> str:
        return self._world.faults.add(
            new.fault,
            shown=new.shown,
            path=new.path,
            method=new.method,
            times=new.times,
            probability=new.probability,
            seconds=new.seconds,
        )

    def set_quirks(self, switches: dict[Quirk, bool]) -> None:
        for quirk, is_on in switches.items():
            if is_on:
                self._world.quirks.add(quirk)
            else:
                self._world.quirks.discard(quirk)

    def add_schedule(self, new: NewPlan) -> Json:
        sandbox = self._world.sandbox(new.sandbox)
        demand_segments(new.segments, sandbox)
        return new_schedule(self._world, sandbox, new.asked, org=seed.ORG)

    async def make_batch(self, new: NewBatch) -> str:
        """Write a batch that no export asked for, and return its id."""
        world = self._world
        dataset_id = new.dataset or next(iter(world.sandbox(new.sandbox).datasets), seed.DATASET_ID)
        known_dataset(world.sandbox(new.sandbox), dataset_id)
        _, chance = world.draw("made_batch")
        batch_id = f"{chance.getrandbits(128):032x}"
        try:
            written = await self._made(batch_id, new)
        except (InterruptedError, FileNotFoundError) as exc:  # given up, or its directory was removed under it
            raise ServiceError(409, "The platform was reset while the batch was made. Ask again.") from exc
        sandbox = world.sandbox(new.sandbox)  # as it is now: a reset puts a new one in its place
        if dataset_id not in sandbox.datasets:
            await asyncio.to_thread(batch_files.remove, world.batch_folder.path, batch_id)
        known_dataset(sandbox, dataset_id)
        at_ms = int(world.now() * 1000)
        batches.take_in(sandbox.batches, sandbox.datasets, written, dataset_id=dataset_id, org=seed.ORG, at_ms=at_ms)
        return batch_id

    async def _made(self, batch_id: str, new: NewBatch) -> WrittenBatch:
        """Return the batch once it is on disk. Raises InterruptedError when it was given up."""
        halted = threading.Event()
        write = partial(made_batches.write, self._world.batch_folder.path, batch_id, halted=halted)
        making = asyncio.create_task(
            asyncio.to_thread(write, files=new.files, length_bytes=new.length_bytes, seed=new.seed)
        )
        self._halts[making] = halted
        making.add_done_callback(self._halts.pop)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:  # nobody waits for it any more
            halted.set()
            raise

    def skip(self, schedule_id: str, times: int) -> None:
        if not self._world.scheduler.skip(schedule_id, times):
            raise ServiceError(404, f"No active schedule has the id {schedule_id!r}. GET /_emulator/state shows them.")

    async def change_profiles(self, change: ProfileChange) -> Json:
        """Let a sandbox lose profiles, or give all back; the next evaluation notices."""
        if change.segment_id is not None:
            demand_segments([change.segment_id], self._world.sandbox(change.sandbox))
        lake = await self._world.lake()
        from segwatch.emulator.lake import losses  # not before somebody needs the engine

        share = change.lose
        if share is None:
            return {"restored": await lake.compute(lambda cursor: losses.restore(cursor, change.sandbox))}
        lost = await lake.compute(
            lambda cursor: losses.lose(cursor, sandbox=change.sandbox, segment_id=change.segment_id, share=share)
        )
        return {"lost": lost}
