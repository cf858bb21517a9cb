"""The emulator as a server: in its own process or inside a test's event loop."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from segwatch.emulator.api.batches import Batches
from segwatch.emulator.api.data_access import DataAccess
from segwatch.emulator.api.datasets import Catalog
from segwatch.emulator.api.definitions import Definitions
from segwatch.emulator.api.export_jobs import ExportJobs
from segwatch.emulator.api.front import Front
from segwatch.emulator.api.ims import Ims
from segwatch.emulator.api.queries import Queries
from segwatch.emulator.api.schedules import Schedules
from segwatch.emulator.api.segment_jobs import SegmentJobs
from segwatch.emulator.control.routes import Control
from segwatch.emulator.settings import EmulatorSettings, Handle
from segwatch.emulator.world import World

__all__ = ["EmulatorSettings", "build_app", "running"]

_BODY_MAX_BYTES = 16 * 1024 * 1024
_BACKLOG = 1024
_STOP_GRACE_S = 0.2  # answers that a fault holds back are not worth waiting for


def build_app(settings: EmulatorSettings) -> web.Application:
    """Return the whole emulator as an application; its timers end and its data is closed when it is cleaned up."""
    world = World(settings, now=time.time, call_later=_call_later)
    front = Front(world)
    app = web.Application(middlewares=[front.__call__], client_max_size=_BODY_MAX_BYTES)
    queries = Queries(world)
    rooms = (Ims, SegmentJobs, ExportJobs, Schedules, Definitions, Catalog, Batches, DataAccess, Control)
    for room in (queries, *(room(world) for room in rooms)):
        for route in room.routes():
            # both spellings are served, without a redirect. AEP contract 0
            for path in (route.path, f"{route.path}/"):
                app.router.add_route(route.method, path, route.handler)

    async def stop(_app: web.Application) -> None:
        await front.stop()
        await queries.stop()
        await world.close()

    app.on_cleanup.append(stop)
    return app


@asynccontextmanager
async def running(settings: EmulatorSettings, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve in this event loop until the block ends, and yield the base URL. port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    runner = web.AppRunner(build_app(settings), access_log=None, shutdown_timeout=_STOP_GRACE_S)
    try:
        await runner.setup()
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        taken = listener.getsockname()[1]
        yield f"http://[{host}]:{taken}" if family == socket.AF_INET6 else f"http://{host}:{taken}"
    finally:
        # asyncio (3.11) forgets a connection that was accepted in the turn in which its server closes
        asyncio.get_running_loop().remove_reader(listener)
        await asyncio.sleep(0)
        await runner.cleanup()
        listener.close()
        await asyncio.sleep(0)  # closed transports let go of their sockets one turn of the loop later


def _call_later(delay_s: float, callback: Callable[[], None]) -> Handle:
    return asyncio.get_running_loop().call_later(delay_s, callback)
