"""A scenario as it is played."""

import asyncio
import logging
import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

from segwatch.emulator.control.hand import Hand
from segwatch.emulator.control.run_orders import NewPlan
from segwatch.emulator.control.scenario import Scenario, Step, bundled, load
from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

log = logging.getLogger(__name__)


class Playback:
    """Carries out each step at its time. What has happened is kept in the world: a new process goes on after it."""

    def __init__(self, world: World, hand: Hand) -> None:
        self._world = world
        self._hand = hand
        self._scenario: Scenario | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, asked: Scenario | None) -> None:
        """Begin, or go on where another process ended: steps whose time has passed are carried out now.

        asked: None goes on with what was played before, if that came along.
        """
        played = self._world.played
        if asked is None and played is not None and played["name"] in bundled():
            asked = load(played["name"])
        if asked is not None:
            is_the_same = played is not None and played["digest"] == asked.digest
            self.play(asked, anew=not is_the_same)

    def play(self, scenario: Scenario, *, anew: bool = True) -> None:
        """Begin. Raises ServiceError while another scenario is played."""
        if self._task is not None and not self._task.done():
            raise ServiceError(409, "A scenario is being played. POST /_emulator/reset ends it.")
        world = self._world
        if world.played is None or anew:
            began = self._set_clock(scenario)
            world.played = {"name": scenario.name, "digest": scenario.digest, "began": began, "done": {}, "names": {}}
        self._scenario = scenario
        self._task = asyncio.create_task(self._play(scenario, world.played), name="scenario")

    def _set_clock(self, scenario: Scenario) -> float:
        """Let emulated time be what the scenario says, and return when that starts, in epoch seconds."""
        world, began = self._world, self._world.now()
        if scenario.meets_s is not None:
            # in a whole second, since schedules fire in such: so it starts up to a second later
            met = math.ceil(began + scenario.meets_s / world.settings.speed)
            began = met - scenario.meets_s / world.settings.speed
            world.calendar.meet(met)
        elif scenario.begins is not None:
            world.calendar.begin_at(scenario.begins)
        world.scheduler.refresh()
        return began

    async def stop(self) -> None:
        """Carry out no more steps, and forget the scenario."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._scenario = self._task = None

    def document(self) -> Json | None:
        """Return the steps, and which of them have happened; None without a scenario."""
        if self._scenario is None:
            return None
        played = self._world.played or {"done": {}}
        return {
            "name": self._scenario.name,
            "steps": [
                {
                    "at_s": step.at_s,
                    "step": step.place,
                    "says": step.says,
                    **played["done"].get(step.place, {"done_ms": None}),
                }
                for step in self._scenario.steps
            ],
        }

    async def _play(self, scenario: Scenario, played: Json) -> None:
        world = self._world
        for step in scenario.steps:
            if step.place in played["done"]:
                continue
            due = played["began"] + step.at_s / world.settings.speed
            await asyncio.sleep(max(0.0, due - world.now()))
            try:
                result = await self._carry_out(step, played["names"])
            except ServiceError as error:
                log.warning("%s: %s: %s", scenario.name, step.place, error.message)
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
                schedule_id = hand.add_schedule(order if step.due_s is None else self._dated(order, step.due_s))["id"]
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

    def _dated(self, plan: NewPlan, due_s: float) -> NewPlan:
        """Return the plan with a cron for each day at the emulated time of so long after the start."""
        world, played = self._world, self._world.played or {}
        due = world.calendar.at(played["began"] + due_s / world.settings.speed)
        return replace(plan, asked=plan.asked | {"schedule": f"{due.second} {due.minute} {due.hour} * * ?"})

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
