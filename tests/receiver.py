"""A receiver on loopback that does what it is told, and remembers what it was sent."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

SECRET_PATH = "/services/T0PSECRET/B0PSECRET/hunter2hunter2"


@dataclass
class Answer:
    """What becomes of one request. act: "answer", "hang", "reset" or "stall" (headers and no more)."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    act: str = "answer"


HANG = Answer(act="hang")
RESET = Answer(act="reset")


@dataclass
class Received:
    """One request as it came in. at: seconds of the loop's clock. answered: the status, None when none was sent."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    answered: int | None

    @property
    def data(self) -> dict:
        return json.loads(self.body)["data"]


class Receiver:
    """`answer(n, request)` decides about request number n, from 0; `got` holds all requests in order of arrival."""

    def __init__(self, answer: Callable[[int, Received], Answer] | Answer | None = None) -> None:
        fixed = answer if isinstance(answer, Answer) else Answer()
        self.answer = answer if callable(answer) else lambda n, request: fixed
        self.got: list[Received] = []
        self.origin = ""
        self._free = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        return self.origin + SECRET_PATH

    @property
    def accepted(self) -> list[Received]:
        return [one for one in self.got if one.answered is not None and one.answered < 300]

    async def __aenter__(self) -> "Receiver":
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, handler_cancellation=True, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._free.set()
        await self._runner.cleanup()

    async def until(self, true: Callable[[], bool], within_s: float = 10.0) -> None:
        """Return once `true()` holds; it is asked again at each request."""
        async with asyncio.timeout(within_s):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.path, headers, await request.read(), asyncio.get_running_loop().time(), None)
        answer = self.answer(len(self.got), received)
        received.answered = answer.status if answer.act == "answer" else None
        self.got.append(received)
        self._changed.set()
        if answer.act == "hang":
            await self._free.wait()
        if answer.act == "reset" and request.transport is not None:
            request.transport.abort()
        if answer.act == "stall":
            reply = web.StreamResponse(status=answer.status, headers={"Content-Length": "100"})
            await reply.prepare(request)
            await self._free.wait()
            return reply
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
