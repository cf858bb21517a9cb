"""What happens in the demo: the scenario of a night, played by the local platform as fast as the demo is long."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp

from segwatch.daemon.clock import SystemClock

Tell = Callable[[datetime, str], None]

PROFILES = 10_000
_SCENARIO = "night"
_LENGTH_S = 2_400.0  # of the scenario, in emulated seconds
_OVERDUE_PART = 0.35  # of the story; only the job that is stuck takes longer
_LOOK_S = 0.5
_GRACE_PART = 0.1  # of the story, and 3 s at least: how late a schedule may begin its job
_GRACE_LEAST_S = 3
# the days of which the sizes of an audience are known: a day of the week counts after two of it
HISTORY_DAYS = 15
_AUDIENCE = "a1b2c3d4-0001-4000-8000-000000000001"  # the one that halves
_HISTORY_TIMEOUT = aiohttp.ClientTimeout(total=60)


def speed_for(length_s: float) -> float:
    """Return the platform's speed at which the scenario takes that long."""
    return _LENGTH_S / length_s


def overdue_after_s(length_s: float) -> int:
    """Return after how many seconds a job of the story is late."""
    return max(1, round(_OVERDUE_PART * length_s))


def grace_s(length_s: float) -> int:
    """Return how many seconds after its time a schedule of the story has missed it."""
    return max(_GRACE_LEAST_S, round(_GRACE_PART * length_s))


async def lived(session: aiohttp.ClientSession, platform: str) -> None:
    """Have the platform evaluate the audience that will halve on each of the days before the story."""
    order = {"days": HISTORY_DAYS, "segments": [_AUDIENCE]}
    async with session.post(f"{platform}/_emulator/history", json=order, timeout=_HISTORY_TIMEOUT) as reply:
        reply.raise_for_status()


async def told(session: aiohttp.ClientSession, platform: str, tell: Tell) -> None:
    """Have the scenario played, and return after its last step. Raises RuntimeError for one that could not be done.

    tell: hears what the platform does by itself, and when: what steps say, and schedules that miss their time.
    """
    narrator = _Narrator(tell)
    async with session.post(f"{platform}/_emulator/scenario", json={"name": _SCENARIO}) as reply:
        reply.raise_for_status()
    while True:
        async with session.get(f"{platform}/_emulator/state") as reply:
            state = await reply.json()
        steps = state["scenario"]["steps"]
        for step in steps:
            if "error" in step:
                raise RuntimeError(f"the local platform could not carry out {step['step']}: {step['error']}")
        narrator.look(state)
        if all(step["done_ms"] is not None for step in steps):
            return
        await asyncio.sleep(_LOOK_S)


class _Narrator:
    """Tells everything that the platform's state shows to have happened, once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told: set[str] = set()
        self._missed: dict[str, int] = {}

    def look(self, state: dict[str, Any]) -> None:
        for schedule in state["schedules"]:
            if schedule["skipped"] > self._missed.get(schedule["id"], 0):
                self._missed[schedule["id"]] = schedule["skipped"]
                self._tell(SystemClock().now(), f"the schedule {schedule['name']} is due, and does not fire")
        for step in state["scenario"]["steps"]:
            if step["says"] is not None and step["done_ms"] is not None and step["step"] not in self._told:
                self._told.add(step["step"])
                self._tell(datetime.fromtimestamp(step["done_ms"] / 1000, UTC), step["says"])
