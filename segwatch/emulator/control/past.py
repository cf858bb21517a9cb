"""What happened before anybody looked: evaluations of days that have passed, computed now."""

import asyncio
from datetime import UTC, datetime

from segwatch.emulator import seed
from segwatch.emulator.api.segment_jobs import segment_request
from segwatch.emulator.control.run_orders import NewPast
from segwatch.emulator.engine import Job, Kind, Move
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.sandbox import Sandbox
from segwatch.emulator.workshop import planned
from segwatch.emulator.world import World

_DAY_S = 86_400


class Past:
    """Gives a new sandbox a history: an evaluation on each of the last days, over the profiles as they are today."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._making: set[asyncio.Task[list[Job]]] = set()
        world.stopped_by_reset.append(self.stop)

    async def stop(self) -> None:
        """Give up what is being computed, and return when nothing of it goes on."""
        for making in self._making:
            making.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)

    async def make(self, new: NewPast) -> list[Job]:
        """Return the jobs, the oldest first, once all are there. Raises ServiceError; then none is there."""
        making = asyncio.create_task(self._made(new), name="history")
        self._making.add(making)
        making.add_done_callback(self._making.discard)
        try:
            await asyncio.wait([making])
        except asyncio.CancelledError:  # nobody waits for it any more
            making.cancel()
            await asyncio.wait([making])
            raise
        if making.cancelled():
            raise ServiceError(409, "The platform was reset while its history was computed. Ask again.")
        return making.result()

    async def _made(self, new: NewPast) -> list[Job]:
        world = self._world
        sandbox = world.sandbox(new.sandbox)
        asked = segment_request(new.body, sandbox)
        _demand_new(sandbox)
        now, jobs = world.now(), []
        for days in range(new.days, 0, -1):
            job = world.new_job(Kind.SEGMENT_JOB, sandbox, asked, org=seed.ORG, origin="history")
            job.script = planned(job, await world.bench.size(job))
            job.moves = _moves(job, began=now - days * _DAY_S, speed=world.settings.speed)
            job.position = len(job.script) - 1
            try:
                await world.bench.evaluate(job, at=datetime.fromtimestamp(job.updated_ms / 1000, UTC))
            except ValueError as error:
                raise ServiceError(400, str(error)) from error
            jobs.append(job)
        _demand_new(sandbox)
        for job in jobs:  # all at once, and the journal hears nothing: it was long ago
            job.computed = True
            sandbox.books[job.kind].note_change(job)
            if world.witness is not None:
                world.witness.job_changed(job)
        return jobs


def _demand_new(sandbox: Sandbox) -> None:
    if sandbox.books[Kind.SEGMENT_JOB].created:
        what = f"The sandbox '{sandbox.name}' has segment jobs already"
        raise ServiceError(409, f"{what}, and a history comes before the first. POST /_emulator/reset takes them away.")


def _moves(job: Job, *, began: float, speed: float) -> list[Move]:
    """Return how the job walked its script from then on (epoch seconds)."""
    moves = []
    for step in job.script:
        moves.append(Move(status=step.status, at_ms=int(began * 1000)))
        began += step.seconds / speed
    return moves
