"""The hand that carries out orders, whoever gives them: a script by its requests, or a scenario by its times."""

import asyncio

from segwatch.emulator import seed
from segwatch.emulator.api.datasets import known_dataset
from segwatch.emulator.api.export_request import export_request
from segwatch.emulator.api.schedules import new_schedule
from segwatch.emulator.api.segment_jobs import segment_request
from segwatch.emulator.control.batch_orders import NewBatch
from segwatch.emulator.control.orders import NewFault, NewJobs, job_request
from segwatch.emulator.control.run_orders import NewPlan, NewRun, ProfileChange
from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.lake import batches, made_batches
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Outcome, World


class Hand:
    """Does what an order says. Raises ServiceError for what cannot be done."""

    def __init__(self, world: World) -> None:
        self._world = world

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
        return new_schedule(self._world, self._world.sandbox(new.sandbox), new.asked, org=seed.ORG)

    async def make_batch(self, new: NewBatch) -> str:
        """Write a batch that no export asked for, and return its id."""
        world, sandbox = self._world, self._world.sandbox(new.sandbox)
        dataset_id = new.dataset or next(iter(sandbox.datasets))
        known_dataset(sandbox, dataset_id)
        _, chance = world.draw("made_batch")
        batch_id = f"{chance.getrandbits(128):032x}"
        written = await asyncio.to_thread(
            made_batches.write,
            world.batch_folder.path,
            batch_id,
            files=new.files,
            length_bytes=new.length_bytes,
            seed=new.seed,
        )
        at_ms = int(world.now() * 1000)
        batches.take_in(sandbox.batches, sandbox.datasets, written, dataset_id=dataset_id, org=seed.ORG, at_ms=at_ms)
        return batch_id

    def skip(self, schedule_id: str, times: int) -> None:
        if not self._world.scheduler.skip(schedule_id, times):
            raise ServiceError(404, f"No active schedule has the id {schedule_id!r}. GET /_emulator/state shows them.")

    async def change_profiles(self, change: ProfileChange) -> Json:
        """Let a sandbox lose profiles, or give all back; the next evaluation notices."""
        lake = await self._world.lake()
        from segwatch.emulator.lake import losses  # not before somebody needs the engine

        share = change.lose
        if share is None:
            return {"restored": await lake.answer(lambda cursor: losses.restore(cursor, change.sandbox))}
        lost = await lake.answer(
            lambda cursor: losses.lose(cursor, sandbox=change.sandbox, segment_id=change.segment_id, share=share)
        )
        return {"lost": lost}
