"""The emulator as a server: in its own process or inside a test's event loop."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from segwatch.emulator.api.audiences import Audiences
from segwatch.emulator.api.batches import Batches
from segwatch.emulator.api.data_access import DataAccess
from segwatch.emulator.api.datasets import Catalog
from segwatch.emulator.api.definitions import Definitions
from segwatch.emulator.api.entities import Entities
from segwatch.emulator.api.export_jobs import ExportJobs
from segwatch.emulator.api.front import Front
from segwatch.emulator.api.ims import Ims
from segwatch.emulator.api.journaling import Journaling
from segwatch.emulator.api.queries import Queries
from segwatch.emulator.api.schedules import Schedules
from segwatch.emulator.api.segment_jobs import SegmentJobs
from segwatch.emulator.archive import Archive, ArchiveError
from segwatch.emulator.control.hand import Hand
from segwatch.emulator.control.past import Past
from segwatch.emulator.control.playback import Playback
from segwatch.emulator.control.routes import Control
from segwatch.emulator.control.scenario import Scenario
from segwatch.emulator.data import DataError
from segwatch.emulator.keeper import Keeper
from segwatch.emulator.settings import EmulatorSettings, Handle
from segwatch.emulator.world import World

__all__ = ["ArchiveError", "DataError", "EmulatorSettings", "build_app", "running"]

_ROOMS = (
    Ims,
    SegmentJobs,
    ExportJobs,
    Schedules,
    Definitions,
    Audiences,
    Entities,
    Catalog,
    Batches,
    DataAccess,
    Journaling,
)
_BODY_MAX_BYTES = 16 * 1024 * 1024
_BACKLOG = 1024
_STOP_GRACE_S = 0.2  # answers that a fault holds back are not worth waiting for


def build_app(
    settings: EmulatorSettings, scenario: Scenario | None = None, *, prepared: bool = False
) -> web.Application:
    """Return the whole emulator as an application; its timers end and its data is closed when it is cleaned up.

    Raises ArchiveError when the settings' directory cannot be used, or was made with others.
    """
    # first of all: it says so if another process has the directory
    archive = None if settings.data is None else Archive(settings.data)
    if archive is not None:
        settings = archive.as_made(settings)
    world = World(settings, now=time.time, call_later=_call_later)
    keeper = None if archive is None else Keeper(world, archive, call_later=_call_later)
    front = Front(world, keeper)
    app = web.Application(middlewares=[front.__call__], client_max_size=_BODY_MAX_BYTES)
    hand = Hand(world)
    past = Past(world)
    playback = Playback(world, hand)
    queries = Queries(world)
    rooms = [room(world) for room in _ROOMS]
    for room in (*rooms, queries, Control(world, hand, past, playback)):
        for route in room.routes():
            # both spellings are served, without a redirect. AEP contract 0
            for path in (route.path, f"{route.path}/"):
                app.router.add_route(route.method, path, route.handler)

    async def start(_app: web.Application) -> None:
        if keeper is not None:
            keeper.restore()
        if prepared:
            try:
                await world.data.prepare()
            except DataError:
                await stop(_app)  # aiohttp does not clean up what did not start
                raise
        playback.start(scenario)

    async def stop(_app: web.Application) -> None:
        await front.stop()
        await playback.stop()
        await queries.stop()
        await hand.stop()
        await past.stop()
        if keeper is not None:
            keeper.close()  # before the jobs are stopped: they go on when it starts again
        await world.close()

    app.on_startup.append(start)
    app.on_cleanup.append(stop)
    return app


@asynccontextmanager
async def running(
    settings: EmulatorSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    scenario: Scenario | None = None,
    prepared: bool = False,
) -> AsyncIterator[str]:
    """Serve in this event loop until the block ends, and yield the base URL. port 0 takes a free one.

    scenario: what happens by itself. prepared: make up the profiles at once, and not with the first job; one's own
    are read before anybody is served. Raises ArchiveError when the settings' directory cannot be used, DataError when
    its profiles cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    try:
        app = build_app(settings, scenario, prepared=prepared)
    except ArchiveError:
        listener.close()
        raise
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_GRACE_S)
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
