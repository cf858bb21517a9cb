"""A scenario as it is played."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from segwatch.emulator.control.hand import Hand
from segwatch.emulator.control.scenario import Scenario, Step
from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

log = logging.getLogger(__name__)


class Playback:
    """Carries out each step at its time. What has happened is kept in the world: a new process goes on after it."""

    def __init__(self, scenario: Scenario, world: World, hand: Hand) -> None:
        self._scenario = scenario
        self._world = world
        self._hand = hand
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, or go on where another process ended: steps whose time has passed are carried out now."""
        world, scenario = self._world, self._scenario
        if world.played is None or world.played["digest"] != scenario.digest:
            world.played = {"digest": scenario.digest, "began": world.now(), "done": {}, "names": {}}
            if scenario.begins is not None:
                world.calendar.begin_at(scenario.begins)
        self._task = asyncio.create_task(self._play(world.played), name="scenario")

    async def stop(self) -> None:
        """Carry out no more steps."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def document(self) -> Json:
        """Return the steps, and which of them have happened."""
        played = self._world.played or {"done": {}}
        return {
            "name": self._scenario.name,
            "steps": [
                {"at_s": step.at_s, "step": step.place, **played["done"].get(step.place, {"done_ms": None})}
                for step in self._scenario.steps
            ],
        }

    async def _play(self, played: Json) -> None:
        world = self._world
        for step in self._scenario.steps:
            if step.place in played["done"]:
                continue
            due = played["began"] + step.at_s / world.settings.speed
            await asyncio.sleep(max(0.0, due - world.now()))
            try:
                result = await self._carry_out(step, played["names"])
            except ServiceError as error:
                log.warning("%s: %s: %s", self._scenario.name, step.place, error.message)
                result = {"error": error.message}
            played["done"][step.place] = {"done_ms": int(world.now() * 1000)} | result
            world.touch()

    async def _carry_out(self, step: Step, names: Json) -> Json:
        hand, order = self._hand, step.order
        match step.table:
            case "quirks":
                hand.set_quirks(order)
            case "outcomes":
                hand.add_outcomes(*order)
            case "faults":
                return {"id": hand.add_fault(order)}
            case "profiles":
                return await hand.change_profiles(order)
            case "schedules":
                schedule_id = hand.add_schedule(order)["id"]
                names[step.name or ""] = schedule_id
                return {"id": schedule_id}
            case "skips":
                hand.skip(_meant(step, names), order)
            case "jobs":
                jobs = hand.place(order)
                if step.name is not None:
                    names[step.name] = [jobs[0].kind.value, str(jobs[0].id)]
                return {"ids": [job.id for job in jobs]}
            case "evaluations" | "exports":
                return {"id": hand.start(order).id}
            case "statuses":
                self._world.set_status(self._job(_meant(step, names)), *order)
            case _:
                raise AssertionError(step.table)
        return {}

    def _job(self, key: list[str]) -> Job:
        kind, job_id = key
        found = self._world.find(Kind(kind), job_id)
        if found is None:
            raise ServiceError(404, f"{kind} {job_id} is gone.")
        return found


def _meant(step: Step, names: Json) -> Any:
    """Return what an earlier step made under the name that this one is about."""
    if step.about not in names:
        raise ServiceError(404, f"{step.about} was never made.")
    return names[step.about]
