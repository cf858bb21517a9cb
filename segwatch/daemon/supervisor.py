"""Keeps workers alive: every task has a parent, a name, a heartbeat, and a wait before it starts again."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from segwatch.backoff import Backoff
from segwatch.daemon.clock import Clock
from segwatch.telemetry.health import Heartbeats

log = structlog.get_logger()

_RESTART = Backoff(first=timedelta(milliseconds=500), cap=timedelta(seconds=30))
BEAT_WITHIN_S = 60.0
_STEADY_S = 60.0  # a worker that ran so long was well: its next failure counts as the first again


Run = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Something that runs until it is cancelled, or returns when its work is done.

    run: gets the function to call as a heartbeat. within_s: how often it calls it at least, when all is well.
    """

    name: str
    run: Run
    within_s: float = BEAT_WITHIN_S


class Supervisor:
    """Runs workers side by side; one that fails is started again, and never takes another with it."""

    def __init__(self, clock: Clock, heartbeats: Heartbeats, on_restart: Callable[[str], None]) -> None:
        self._clock = clock
        self._heartbeats = heartbeats
        self._on_restart = on_restart
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, worker: Worker) -> bool:
        """Run this worker from now on; False when one of that name is running already."""
        if worker.name in self._tasks:
            return False
        task = asyncio.create_task(self._keep_alive(worker), name=worker.name)
        self._tasks[worker.name] = task
        task.add_done_callback(lambda _: self._tasks.pop(worker.name, None))
        return True

    async def stop(self, *prefixes: str) -> None:
        """Cancel the workers whose names begin so (all without any), and wait for them to finish what they must."""
        tasks = [task for name, task in self._tasks.items() if not prefixes or name.startswith(prefixes)]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("worker_stopped_badly", exc_info=result)

    async def _keep_alive(self, worker: Worker) -> None:
        def beat() -> None:
            self._heartbeats.beat(worker.name, worker.within_s)

        failures = 0
        try:
            while True:
                beat()
                started = self._clock.now()
                try:
                    await worker.run(beat)
                    return
                except Exception:
                    steady = (self._clock.now() - started).total_seconds() >= _STEADY_S
                    failures = 1 if steady else failures + 1
                    wait = _RESTART.delay(failures, random.random())  # noqa: S311 - jitter, no secret
                    log.exception("worker_failed", worker=worker.name, failures=failures, wait_s=wait.total_seconds())
                    self._on_restart(worker.name)
                beat()
                await self._clock.sleep(wait.total_seconds())
        finally:
            self._heartbeats.forget(worker.name)
