"""The local commands under way in this process: they outlive the workers that wait for them."""

import asyncio
from collections.abc import Callable, Coroutine

from segwatch.pipelines.seen import CommandEnded, Trouble

Ended = CommandEnded | Trouble


class Commands:
    """One command for each run at most. A reload replaces who waits for it, and must neither end nor repeat it."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Task[Ended]] = {}
        self._tasks: set[asyncio.Task[Ended]] = set()  # also those that are being ended

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._under_way

    @property
    def at_work(self) -> bool:
        """True while any of them is under way, or being ended."""
        return bool(self._tasks)

    async def ended(self, run_id: str, start: Callable[[], Coroutine[None, None, Ended]]) -> Ended:
        """Return how the run's command ended; it is started unless it is under way. Cancelled, it leaves it so."""
        task = self._under_way.get(run_id)
        if task is None:
            task = self._under_way[run_id] = asyncio.create_task(start(), name=f"command:{run_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task])
        del self._under_way[run_id]
        return task.result()

    async def end(self, run_id: str) -> None:
        """End the run's command, if it is under way."""
        await _end([task] if (task := self._under_way.pop(run_id, None)) else [])

    async def close(self) -> None:
        """End all of them: nobody will ask any more."""
        left, self._under_way = list(self._under_way.values()), {}
        await _end(left)


async def _end(tasks: list[asyncio.Task[Ended]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
