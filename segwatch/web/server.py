"""Metrics, health, reload and the API over HTTP."""

import hmac
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from pydantic import SecretStr

from segwatch.addresses import is_loopback
from segwatch.telemetry.health import Heartbeats, Readiness
from segwatch.telemetry.metrics import CONTENT_TYPE, Exposition
from segwatch.web.silences import SilenceApi

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BODY_BYTES_MAX = 65536


class Server:
    """The listener. reload: re-reads the settings, and returns what is wrong with them, a line each.

    token: what callers must show before they may use the API or change something. silences: the API of silences.
    """

    def __init__(
        self,
        exposition: Exposition,
        heartbeats: Heartbeats,
        readiness: Readiness,
        reload: Callable[[], Awaitable[Sequence[str]]],
        token: Callable[[], SecretStr | None] = lambda: None,
        silences: SilenceApi | None = None,
    ) -> None:
        self._exposition = exposition
        self._heartbeats = heartbeats
        self._readiness = readiness
        self._reload = reload
        self._token = token
        self._silences = silences
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen, and return the URL. Raises OSError, for example when the port is taken."""
        app = web.Application(client_max_size=_BODY_BYTES_MAX, middlewares=[self._guard])
        app.router.add_get("/metrics", self._metrics)
        for path in ("/-/healthy", "/livez"):
            app.router.add_get(path, self._healthy)
        for path in ("/-/ready", "/readyz"):
            app.router.add_get(path, self._ready)
        app.router.add_post("/-/reload", self._reloaded)
        if self._silences:
            app.router.add_routes(self._silences.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        gzipped = "gzip" in request.headers.get("Accept-Encoding", "")
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=await self._exposition.text(gzipped=gzipped), headers=headers)

    async def _healthy(self, request: web.Request) -> web.Response:
        """Live: the loop turns, since it runs this, and every heartbeat is fresh. Nobody else's state counts."""
        stale = self._heartbeats.stale()
        if not stale:
            return web.Response(text=f"ok: {len(self._heartbeats)} workers turn\n")
        lines = [f"{worker.worker}: no sign of life, {worker.late_s:.0f} s overdue" for worker in stale]
        return web.Response(status=503, text="\n".join(lines) + "\n")

    async def _ready(self, request: web.Request) -> web.Response:
        problems = self._readiness.problems()
        if not problems:
            return web.Response(text="ready\n")
        return web.Response(status=503, text="".join(f"{part}: {why}\n" for part, why in problems.items()))

    async def _reloaded(self, request: web.Request) -> web.Response:
        problems = await self._reload()
        if not problems:
            return web.Response(text="reloaded\n")
        return web.Response(status=400, text="\n".join(problems) + "\n")

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only those who may: the API tells of jobs and people, and a reload changes something."""
        if request.path == "/-/reload" or request.path.startswith("/api/"):
            return self._refusal(request) or await handler(request)
        return await handler(request)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Return why this caller may not change anything: it lacks the token, or is elsewhere and there is none."""
        token = self._token()
        if token is None:
            if is_loopback(request.remote or ""):
                return None
            return web.Response(status=403, text="set http.token to allow this from other hosts\n")
        given = request.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, f"Bearer {token.get_secret_value()}".encode()):
            return None
        headers = {"WWW-Authenticate": "Bearer"}
        return web.Response(status=401, headers=headers, text="send http.token as Authorization: Bearer ...\n")
