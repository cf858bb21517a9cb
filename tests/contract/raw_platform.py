"""A platform that answers with whatever bytes a test wants, over a real socket."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
from pydantic import SecretStr

from segwatch.kinds.base import Request
from segwatch.upstream.auth import ClientSecret, OAuthTokens
from segwatch.upstream.budget import Budget
from segwatch.upstream.client import Identity, PlatformClient
from segwatch.upstream.wire import Endpoint, Timeouts, open_session

PATH = "/data/core/ups/export/jobs"
GET = Request(method="GET", path=PATH, endpoint=PATH, params=(("limit", "2"),))
POST = Request(method="POST", path=PATH, endpoint=PATH, body={"a": 1})
NOON = datetime(2025, 12, 6, 12, 0, tzinfo=UTC)
API_KEY = "the-api-key-0001"
SECRET = "the-client-secret-0001"
QUICK = Timeouts(connect=timedelta(seconds=2), read=timedelta(seconds=2), total=timedelta(seconds=5))


class FixedTokens:
    """A token source that hands out one token after another."""

    expires_at = None

    def __init__(self, *tokens):
        self.tokens = list(tokens) or ["token-0001"]
        self.accepted_tokens = []

    async def token(self, *, rejected=None):
        if rejected == self.tokens[0]:
            self.tokens.pop(0)
        return self.tokens[0]

    def accepted(self, token):
        self.accepted_tokens.append(token)


def reply(status=200, body=b"{}", **headers):
    """Return an HTTP answer as bytes."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in named.items() if value is not None)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class RawPlatform:
    """Answers the requests of all connections in turn: with bytes, "reset", "hang", or as a coroutine function does."""

    def __init__(self):
        self.script = []
        self.requests = []
        self.asked = asyncio.Event()

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((first, headers, body))
                self.asked.set()
                step = self.script.pop(0) if self.script else reply()
                if step == "reset":
                    writer.transport.abort()
                    return
                if step == "hang":
                    await reader.read()
                    return
                if callable(step):
                    await step(writer)
                    return
                writer.write(step)
                await writer.drain()
                if b"content-length" not in step.lower():
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def raw_platform(*script):
    platform = RawPlatform()
    platform.script = list(script)
    server = await asyncio.start_server(platform.serve, "127.0.0.1", 0)
    platform.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield platform
    finally:
        server.close()


@asynccontextmanager
async def client_of(
    url, *, tokens=None, calls=None, session=None, rate=1000.0, timeouts=QUICK, now=lambda: NOON, **rest
):
    endpoint = Endpoint(base_url=url, ims_url=url, timeouts=timeouts)
    own = session or open_session()
    try:
        yield PlatformClient(
            own,
            sandbox=Identity(name="prod", org_id="0A1B2C3D4E5F60718293A4B5@AdobeOrg", api_key=API_KEY),
            endpoint=endpoint,
            tokens=tokens or FixedTokens(),
            budget=Budget(requests_per_second=rate, burst=100).share(requests_per_second=rate, burst=100),
            now=now,
            observe=calls.append if calls is not None else lambda call: None,
            **rest,
        )
    finally:
        await own.close()


def oauth(session: aiohttp.ClientSession, url: str, **rest) -> OAuthTokens:
    credential = ClientSecret(client_id=API_KEY, client_secret=SecretStr(SECRET), scopes=("openid", "session"))
    rest = {"now": lambda: NOON} | rest
    return OAuthTokens(session, credential, endpoint=Endpoint(base_url=url, ims_url=url, timeouts=QUICK), **rest)
