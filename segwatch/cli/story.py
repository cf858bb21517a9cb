"""What happens in the demo: jobs that the local platform walks through, some of which fail."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import aiohttp

_WRITE_ERROR = [
    {"code": "0090000009", "msg": "Error writing profiles to output path", "callStack": "com.example.Writer"},
    {"code": "unknown", "msg": "Job aborted.", "callStack": ""},
]
_SCHEMA_ERROR = [{"code": "0080000001", "msg": "The dataset's schema has no union view", "callStack": ""}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One job. at, waiting, running: parts of the story's length. errors: of an export that fails."""

    kind: str
    at: float
    waiting: float
    running: float
    ends: str = "SUCCEEDED"
    errors: tuple[dict[str, str], ...] = ()


def speed_for(length_s: float) -> float:
    """Return the platform's speed at which a job without a script (100 to 820 s) takes a fifth of the story at most."""
    return 820 / (0.2 * length_s)


def scenes(seed: int) -> list[Scene]:
    """Return the story: a nightly run of segments, exports after them, three exports that fail, one for good."""
    draw = random.Random(seed)  # noqa: S311 - a story, no secret

    def scene(kind: str, at: float, ends: str = "SUCCEEDED", errors: list[dict[str, str]] | None = None) -> Scene:
        waiting, running = draw.uniform(0.02, 0.06), draw.uniform(0.08, 0.18)
        return Scene(kind=kind, at=at, waiting=waiting, running=running, ends=ends, errors=tuple(errors or ()))

    segments = [scene("segment_job", 0.03 * number, "FAILED" if number == 7 else "SUCCEEDED") for number in range(10)]
    exports = [scene("export_job", 0.10 + 0.03 * number) for number in range(9)]
    failing = [
        scene("export_job", 0.08, "FAILED", _WRITE_ERROR),
        scene("export_job", 0.14, "FAILED", _WRITE_ERROR),
        scene("export_job", 0.22, "FAILED", _SCHEMA_ERROR),
    ]
    return sorted([*segments, *exports, *failing], key=lambda one: one.at)


class Story:
    """Tells the platform what happens when.

    length_s: how long the whole story takes. speed: the platform's factor, by which it divides the scripts' durations.
    """

    def __init__(self, session: aiohttp.ClientSession, platform: str, length_s: float, speed: float, seed: int) -> None:
        self._session = session
        self._control = f"{platform}/_emulator"
        self._length_s = length_s
        self._speed = speed
        self._scenes = scenes(seed)

    async def play(self) -> None:
        """Start every job at its time, and return when the story's length is over."""
        clock = asyncio.get_running_loop().time
        began = clock()
        dataset, segments = await self._stage()
        for number, scene in enumerate(self._scenes):
            await asyncio.sleep(max(0.0, began + scene.at * self._length_s - clock()))
            await self._start(scene, number, dataset, segments)
        await asyncio.sleep(max(0.0, began + self._length_s - clock()))

    async def _stage(self) -> tuple[str, list[str]]:
        async with self._session.get(f"{self._control}/state") as reply:
            state = await reply.json()
        return state["datasets"][0]["id"], [one["id"] for one in state["definitions"]]

    async def _start(self, scene: Scene, number: int, dataset: str, segments: list[str]) -> None:
        emulated_s = self._length_s * self._speed
        waiting, running = scene.waiting * emulated_s, scene.running * emulated_s
        script = [["NEW", round(waiting, 2)], ["PROCESSING", round(running, 2)], [scene.ends, 0]]
        job: dict[str, Any] = {"kind": scene.kind, "script": script}
        if scene.kind == "export_job":
            # each export asks for something else, so that every one of them has to be answered by itself
            job["body"] = {
                "filter": {"segments": [{"segmentId": segments[number % len(segments)], "status": ["realized"]}]},
                "fields": f"identities.id,segmentMembership,attribute{number}",
                "destination": {"datasetId": dataset, "segmentPerBatch": False},
                "schema": {"name": "_xdm.context.profile"},
            }
        if scene.errors:
            job["errors"] = list(scene.errors)
        await self._post("jobs", job)

    async def _post(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(f"{self._control}/{what}", json=body) as reply:
            answer: dict[str, Any] = await reply.json()
            if reply.status >= 400:
                raise RuntimeError(f"the local platform refused {what}: {answer}")
            return answer
