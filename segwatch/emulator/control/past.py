"""What happened before anybody looked: evaluations of days that have passed, computed now."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from segwatch.emulator import seed
from segwatch.emulator.api.segment_jobs import segment_request
from segwatch.emulator.control.run_orders import NewPast
from segwatch.emulator.engine import Job, Kind, Move
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.lake.model import Counters
from segwatch.emulator.sandbox import HISTORY, Sandbox
from segwatch.emulator.workshop import planned
from segwatch.emulator.world import World

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DAY_S = 86_400


class Past:
    """Gives a new sandbox a history: an evaluation on each of the last days, over the profiles as they are today.

    Whole or not at all: the days are computed aside, where nobody looks, and come into their place in one moment.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._making: dict[str, asyncio.Task[list[Job]]] = {}  # by sandbox
        world.stopped_by_reset.append(self.stop)

    async def stop(self) -> None:
        """Give up what is being computed, and return when nothing of it goes on."""
        making = list(self._making.values())
        for one in making:
            _give_up(one)
        await asyncio.gather(*making, return_exceptions=True)

    async def make(self, new: NewPast, *, is_awaited: Callable[[], bool]) -> list[Job]:
        """Return the jobs, the oldest first, once all are there. Raises ServiceError; then none is there.

        is_awaited: whether the caller is still there; without one the history is given up.
        """
        if new.sandbox in self._making:
            raise ServiceError(409, f"A history of the sandbox '{new.sandbox}' is being computed already.")
        making = asyncio.create_task(self._made(new, is_awaited), name=f"history:{new.sandbox}")
        self._making[new.sandbox] = making
        # not before it has ended: whoever asks may be gone by then
        making.add_done_callback(lambda _: self._making.pop(new.sandbox))
        try:
            await asyncio.wait([making])
        except asyncio.CancelledError:  # nobody waits for it any more
            _give_up(making)
            await asyncio.wait([making])
            raise
        if making.cancelled():
            raise ServiceError(409, "The platform was reset while its history was computed. Ask again.")
        return making.result()

    async def _made(self, new: NewPast, is_awaited: Callable[[], bool]) -> list[Job]:
        world = self._world
        sandbox = world.sandbox(new.sandbox)
        asked = segment_request(new.body, sandbox)
        lake = await world.lake()
        from segwatch.emulator.lake import histories  # not before somebody needs the engine

        async def demand_new() -> None:
            _demand_no_jobs(sandbox)
            if await lake.answer(partial(histories.is_evaluated, sandbox=sandbox.name)):
                raise _no_more_new(sandbox, "has been evaluated already")
            if not is_awaited():
                raise ServiceError(409, "The caller has gone, and the history with it.")

        await demand_new()
        jobs = [world.new_job(Kind.SEGMENT_JOB, sandbox, asked, org=seed.ORG, origin=HISTORY) for _ in range(new.days)]
        self._keep()  # or the ids come again after a crash, and what lies aside would be taken for another job's
        aside = histories.aside(sandbox.name, str(jobs[-1].id))
        now, counted = world.now(), []
        try:
            for job, days in zip(jobs, range(new.days, 0, -1), strict=True):
                await demand_new()
                counted.append(await self._counted(job, began=now - days * _DAY_S, aside=aside))
            await demand_new()
            await self._put_in_place(sandbox, jobs, counted)
        finally:
            await lake.compute(partial(histories.forget, name=aside))
        return jobs

    async def _counted(self, job: Job, *, began: float, aside: str) -> Counters:
        """Let the job have run at that time (epoch seconds), and return what it counted."""
        world = self._world
        from segwatch.emulator.lake import evaluation  # not before somebody needs the engine
        from segwatch.emulator.pql import PqlError

        try:
            job.script = planned(job, await world.bench.size(job))
            job.moves = _moves(job, began=began, speed=world.settings.speed)
            job.position = len(job.script) - 1
            job.computed = True
            order = world.bench.order(job, at=datetime.fromtimestamp(job.updated_ms / 1000, UTC))
            return await world.bench.computed(partial(evaluation.evaluate_aside, order=order, aside=aside))
        except (PqlError, ValueError) as error:
            raise ServiceError(400, str(error)) from error

    async def _put_in_place(self, sandbox: Sandbox, jobs: list[Job], counted: list[Counters]) -> None:
        """Let there be the jobs and what they decided. Raises ServiceError where something else came first.

        Right before the lake takes effect the jobs are put down: whoever opens it after a crash goes by them.
        """
        world, book, loop = self._world, sandbox.books[Kind.SEGMENT_JOB], asyncio.get_running_loop()
        from segwatch.emulator.lake import histories  # not before somebody needs the engine

        async def put_down() -> None:
            _demand_no_jobs(sandbox)
            for job, counters in zip(jobs, counted, strict=True):
                world.bench.counters[job.id] = counters
                book.note_change(job)  # and the journal hears nothing: it was long ago
            self._keep(*jobs)

        is_in_place = False

        def put(cursor: "DuckDBPyConnection") -> None:
            nonlocal is_in_place
            is_in_place = histories.put_in_place(
                cursor,
                sandbox.name,
                str(jobs[-1].id),
                settles=lambda: asyncio.run_coroutine_threadsafe(put_down(), loop).result(),
            )

        try:
            await world.bench.computed(put)
        finally:
            for job in jobs:
                if not is_in_place and job.id in book.created:
                    world.vanish(job)
        if not is_in_place:
            raise _no_more_new(sandbox, "has been evaluated already")

    def _keep(self, *jobs: Job) -> None:
        """Return once these jobs, and all else that has changed, are written."""
        if (witness := self._world.witness) is not None:
            for job in jobs:
                witness.job_changed(job)
            witness.flush()


def _give_up(making: asyncio.Task[list[Job]]) -> None:
    if not making.cancelling():  # it waits for what goes on in the lake, and must not be disturbed in that
        making.cancel()


def _demand_no_jobs(sandbox: Sandbox) -> None:
    if sandbox.books[Kind.SEGMENT_JOB].created:
        raise _no_more_new(sandbox, "has segment jobs already")


def _no_more_new(sandbox: Sandbox, what: str) -> ServiceError:
    told = f"The sandbox '{sandbox.name}' {what}, and a history comes before that"
    return ServiceError(409, f"{told}. POST /_emulator/reset takes everything back.")


def _moves(job: Job, *, began: float, speed: float) -> list[Move]:
    """Return how the job walked its script from then on (epoch seconds)."""
    moves = []
    for step in job.script:
        moves.append(Move(status=step.status, at_ms=int(began * 1000)))
        began += step.seconds / speed
    return moves
