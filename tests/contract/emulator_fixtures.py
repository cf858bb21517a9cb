"""A caller of the emulator over a real socket, for the tests beside this file."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from segwatch.emulator.server import EmulatorSettings, running

UPS = "/data/core/ups"
SEGMENT_JOBS = f"{UPS}/segment/jobs"
EXPORT_JOBS = f"{UPS}/export/jobs"
SCHEDULES = f"{UPS}/config/schedules"
DEFINITIONS = f"{UPS}/segment/definitions"
DATASETS = "/data/foundation/catalog/dataSets"
ORG = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
SEGMENT = "a1b2c3d4-0001-4000-8000-000000000001"
OTHER_SEGMENT = "a1b2c3d4-0002-4000-8000-000000000002"
DATASET = "65a1b2c3d4e5f60718293a4b"
CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "an-id",
    "client_secret": "a-secret",
    "scope": "openid,session",
}


def an_export(**changes: Any) -> dict[str, Any]:
    """Return the body of a valid export, with the changes that a test is about."""
    return {
        "filter": {"segments": [{"segmentId": SEGMENT, "segmentNs": "ups", "status": ["realized"]}]},
        "schema": {"name": "_xdm.context.profile"},
        "destination": {"datasetId": DATASET},
    } | changes


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Any
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Platform:
    """One emulator and one client of it, which holds a token. A header given as None is left out."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self.base_url = base_url
        self.headers = {"x-api-key": "an-id", "x-gw-ims-org-id": ORG, "x-sandbox-name": "prod"}

    async def log_in(self) -> None:
        reply = await self.call("POST", "/ims/token/v3", data=CREDENTIALS)
        self.headers["Authorization"] = f"Bearer {reply.body['access_token']}"

    async def call(self, method: str, path: str, *, headers: Any = None, **rest: Any) -> Reply:
        merged = {name: text for name, text in (self.headers | (headers or {})).items() if text is not None}
        async with self._session.request(
            method, self.base_url + path, headers=merged, allow_redirects=False, **rest
        ) as reply:
            return Reply(reply.status, reply.headers, await reply.read())

    async def get(self, path: str, **rest: Any) -> Any:
        reply = await self.call("GET", path, **rest)
        assert reply.status == 200, reply.raw
        return reply.body

    async def control(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        reply = await self.call(method, f"/_emulator/{path}", json=body)
        assert reply.status == 200, reply.raw
        return reply.body

    async def place(self, kind: str, *script: list[Any], **rest: Any) -> list[Any]:
        order = {"kind": kind, **({"script": list(script)} if script else {}), **rest}
        ids: list[Any] = (await self.control("jobs", order))["ids"]
        return ids

    async def state_of(self, job_id: Any) -> Any:
        state = await self.control("state", method="GET")
        return next(job for job in state["jobs"] if job["id"] == job_id)

    async def until_status(self, job_id: Any, status: str) -> Any:
        async def reached() -> Any:
            job = await self.state_of(job_id)
            return job if job["status"] == status else None

        return await until(reached)

    async def ledger(self) -> Any:
        return await self.control("ledger", method="GET")


async def until(condition: Callable[[], Awaitable[Any]], deadline_s: float = 15.0) -> Any:
    """Return what the condition gives once it is true; TimeoutError after the deadline."""
    async with asyncio.timeout(deadline_s):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.005)


@asynccontextmanager
async def emulating(*, prepared: bool = False, **settings: Any) -> AsyncIterator[Platform]:
    # a new connection per request: aiohttp repeats a GET by itself when a kept one was reset
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        running(EmulatorSettings(**{"size": 200} | settings), prepared=prepared) as base_url,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        platform = Platform(session, base_url)
        if settings.get("client_id") is None:
            await platform.log_in()
        yield platform
