"""A chat receiver for the demo: takes what segwatch sends, and counts it. Runs as a process of its own."""

import asyncio
import json
import signal
from typing import Any

from aiohttp import web

from segwatch.cli import lifeline


class Receiver:
    """Keeps every event once, by webhook-id, and every chat message, in the order of arrival."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.chat: list[str] = []
        self.requests = 0

    def app(self) -> web.Application:
        """Return the receiver as an application."""
        app = web.Application()
        app.router.add_post("/events", self._event)
        app.router.add_post("/chat", self._message)
        app.router.add_get("/received", self._received)
        return app

    async def _event(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.events.setdefault(request.headers["webhook-id"], json.loads(await request.read()))
        return web.Response(status=204)

    async def _message(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.chat.append(json.loads(await request.read())["text"])
        return web.Response(text="ok")

    async def _received(self, request: web.Request) -> web.Response:
        after = int(request.query.get("after", "0"))
        events = list(self.events.values())
        return web.json_response({"requests": self.requests, "events": events[after:], "chat": self.chat})


async def serve() -> None:
    """Listen on a free port of loopback, print the URL as a JSON line, and serve until told to stop."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    lifeline.watch()
    runner = web.AppRunner(Receiver().app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}), flush=True)  # noqa: T201
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
