"""Liveness: a worker that stands still shows on /-/healthy, through the real server."""

import asyncio
from collections.abc import Callable

import aiohttp
from fakes import FakeClock

from segwatch.daemon.supervisor import Supervisor, Worker
from segwatch.telemetry.health import Heartbeats, Readiness
from segwatch.telemetry.metrics import Exposition, Metrics
from segwatch.web.server import Server


async def wedged(beat: Callable[[], None]) -> None:
    await asyncio.Event().wait()


async def test_a_worker_that_awaits_for_ever_without_a_heartbeat_is_stale_and_named():
    clock = FakeClock()
    heartbeats = Heartbeats(monotonic=clock.ran_s)
    supervisor = Supervisor(clock, heartbeats, on_restart=lambda worker: None)
    turning = asyncio.Event()

    async def turns(beat: Callable[[], None]) -> None:
        while True:
            await turning.wait()
            turning.clear()
            beat()

    supervisor.start(Worker(name="wedged", run=wedged))
    supervisor.start(Worker(name="turning", run=turns))
    try:
        await asyncio.sleep(0)
        assert heartbeats.stale() == []
        await clock.advance(seconds=50)
        turning.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await clock.advance(seconds=20)
        assert [stale.worker for stale in heartbeats.stale()] == ["wedged"]
    finally:
        await supervisor.stop()
    assert heartbeats.stale() == []


async def test_the_server_answers_503_on_liveness_while_a_worker_is_wedged_and_ready_does_not_care():
    clock = FakeClock()
    heartbeats, readiness, metrics = Heartbeats(monotonic=clock.ran_s), Readiness(), Metrics()
    readiness.ok("start")

    async def nothing() -> None: ...

    async def reload() -> list[str]:
        return []

    server = Server(Exposition(metrics, nothing), heartbeats, readiness, reload)
    supervisor = Supervisor(clock, heartbeats, on_restart=lambda worker: None)
    url = await server.start("127.0.0.1", 0)
    supervisor.start(Worker(name="sandbox:prod/export_job", run=wedged))
    try:
        async with aiohttp.ClientSession() as session:

            async def ask(path: str) -> tuple[int, str]:
                async with session.get(url + path) as reply:
                    return reply.status, await reply.text()

            assert await ask("/-/healthy") == (200, "ok: 1 workers turn\n")
            await clock.advance(seconds=65)
            for path in ("/-/healthy", "/livez"):
                assert await ask(path) == (503, "sandbox:prod/export_job: no sign of life, 5 s overdue\n")
            assert (await ask("/-/ready"))[0] == 200
            await supervisor.stop()
            assert (await ask("/-/healthy"))[0] == 200
    finally:
        await supervisor.stop()
        await server.stop()
