"""What happens in the demo: the scenario of a night, played by the local platform as fast as the demo is long."""

import asyncio

import aiohttp

PROFILES = 10_000
_SCENARIO = "night"
_LENGTH_S = 2_400.0  # of the scenario, in emulated seconds
_OVERDUE_PART = 0.35  # of the story; only the job that is stuck takes longer
_LOOK_S = 0.5


def speed_for(length_s: float) -> float:
    """Return the platform's speed at which the scenario takes that long."""
    return _LENGTH_S / length_s


def overdue_after_s(length_s: float) -> int:
    """Return after how many seconds a job of the story is late."""
    return max(1, round(_OVERDUE_PART * length_s))


async def told(session: aiohttp.ClientSession, platform: str) -> None:
    """Have the scenario played, and return after its last step. Raises RuntimeError for one that could not be done."""
    async with session.post(f"{platform}/_emulator/scenario", json={"name": _SCENARIO}) as reply:
        reply.raise_for_status()
    while True:
        async with session.get(f"{platform}/_emulator/state") as reply:
            steps = (await reply.json())["scenario"]["steps"]
        for step in steps:
            if "error" in step:
                raise RuntimeError(f"the local platform could not carry out {step['step']}: {step['error']}")
        if all(step["done_ms"] is not None for step in steps):
            return
        await asyncio.sleep(_LOOK_S)
