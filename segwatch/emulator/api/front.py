"""What every request passes on its way in and every answer on its way out."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from uuid import uuid4

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.bodies import raw_body
from segwatch.emulator.envelopes import (
    Area,
    GatewayError,
    ImsError,
    ServiceError,
    area_of,
    refused,
)
from segwatch.emulator.faults import CUT, strike
from segwatch.emulator.keeper import Keeper
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.sandbox import SANDBOX_NAME
from segwatch.emulator.world import Sandbox, World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ORG = re.compile(r"[0-9A-Fa-f]{24}@AdobeOrg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: what the headers of a request say after the gateway let it pass."""

    org: str
    sandbox_name: str
    request_id: str
    world: World

    @property
    def sandbox(self) -> Sandbox:
        """Return the sandbox as it is now: a reset puts a new one in its place, also while a request waits."""
        return self.world.sandbox(self.sandbox_name)


CALLER = web.RequestKey("caller", Caller)


class Front:
    """The middleware of the server: request ids, ledger, faults, the gateway's checks, error envelopes.

    keeper: writes what a request has changed, before its answer leaves.
    """

    def __init__(self, world: World, keeper: Keeper | None) -> None:
        self._world = world
        self._keeper = keeper
        self._at_work: set[asyncio.Task[Any]] = set()

    async def stop(self) -> None:
        """End the requests that are still held back, also those whose client has gone."""
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    @web.middleware
    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._at_work.add(task)
        try:
            response = await self._pass(request, handler)
            if request.content.exception() is not None:
                response.force_close()  # where the next request begins in what comes is not known
            return response
        except OSError as lost:
            if request.content.exception() is not lost:
                raise
            return web.Response()  # nobody reads it: the client has gone, before its body was there
        finally:
            self._at_work.discard(task)

    async def _pass(self, request: web.Request, handler: Handler) -> web.Response:
        # a header may hold bytes that are no UTF-8, and envelopes repeat it
        request_id = request.headers.get("x-request-id", "").encode(errors="replace").decode() or uuid4().hex

        async def serve() -> web.Response:
            return await self._serve(request, handler, request_id)

        if area_of(request.path) is Area.CONTROL:
            return await serve()
        world = self._world
        fault = world.faults.claim(request.method, request.path, request.query_string)
        response = await (strike(fault, request, serve, request_id=request_id) if fault else serve())
        code = CUT if response is None else response.status
        world.ledger.count_request(request.method, _template(request), code)
        self._flush(request)
        if response is None:
            return web.Response()  # nobody reads it: the connection is gone
        response.headers["x-request-id"] = request_id
        return response

    async def _serve(self, request: web.Request, handler: Handler, request_id: str) -> web.Response:
        try:
            area = area_of(request.path)
            match area:
                case Area.CONTROL:
                    _demand_loopback(request)
                case Area.UPS | Area.ENTITIES | Area.PLATFORM:
                    request[CALLER] = self._caller(request, request_id, org_header="x-gw-ims-org-id")
                case Area.EVENTS | Area.ORGANIZATIONS:
                    request[CALLER] = self._caller(request, request_id, org_header="x-ims-org-id")
                case Area.IMS | Area.NOWHERE:
                    pass
            if request.method not in ("GET", "HEAD"):
                if area is not Area.IMS:  # a form is read in its own way, and tokens outlive a reset
                    await raw_body(request)  # while it comes in, a reset may pass: then this is one of the new world
                await self._world.at_rest()
            response = await handler(request)
        except (GatewayError, ImsError, ServiceError) as refusal:
            return refused(refusal, path=request.path, request_id=request_id)
        except web.HTTPException as missing:  # aiohttp's own: no such route, or not with this method
            status = 404 if missing.status == 405 else missing.status
            message = f"Nothing is served at {request.method} {request.path}."
            return refused(ServiceError(status, message), path=request.path, request_id=request_id)
        assert isinstance(response, web.Response)
        self._flush(request)  # also for an answer that a fault will not let through
        return response

    def _flush(self, request: web.Request) -> None:
        if self._keeper is not None:
            self._keeper.flush(read_only=request.method in ("GET", "HEAD"))

    def _caller(self, request: web.Request, request_id: str, *, org_header: str) -> Caller:
        """Return who asks, or raise what the gateway answers. AEP contract 1.2, 1.3, 11.5."""
        headers, settings = request.headers, self._world.settings
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if not token:
            raise GatewayError("403010")
        api_key = headers.get("x-api-key", "")
        if not api_key:
            raise GatewayError("403000")
        if settings.client_id not in (None, api_key):
            raise GatewayError("403003")
        if scheme.lower() != "bearer" or not self._world.tokens.is_valid(token.strip()):
            raise GatewayError("401013")
        org = headers.get(org_header, "")
        if not org:
            raise GatewayError("400003")
        if not _ORG.fullmatch(org):
            raise GatewayError("403027")
        # the first tutorial sends no sandbox at all
        name = headers.get("x-sandbox-name") or seed.SANDBOX
        if not SANDBOX_NAME.fullmatch(name):
            raise ServiceError(400, f"x-sandbox-name is {name!r}: a sandbox name is lower case, such as prod")
        if Quirk.STRICT_CONTENT_TYPE in self._world.quirks and _lacks_type(request):
            raise ServiceError(400, "A valid content-type must be specified")
        return Caller(org=org, sandbox_name=name, request_id=request_id, world=self._world)


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical.rstrip("/") if resource is not None else request.path


def _lacks_type(request: web.Request) -> bool:
    return request.method in ("POST", "PUT", "PATCH") and "json" not in request.content_type


def _demand_loopback(request: web.Request) -> None:
    if request.remote is None or not ip_address(request.remote).is_loopback:
        raise ServiceError(403, "The control API answers on loopback only. Ask from the emulator's own machine.")
