"""The daemon's own web server, over a real socket."""

import gzip
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import aiohttp.web
import pytest
from pydantic import SecretStr

from segwatch.telemetry.health import Heartbeats, Readiness
from segwatch.telemetry.metrics import Exposition, Metrics
from segwatch.web.server import Server


@dataclass
class Site:
    """A server, what it tells of, and a caller that leaves bodies as they come."""

    session: aiohttp.ClientSession
    url: str
    metrics: Metrics
    readiness: Readiness
    heartbeats: Heartbeats
    clock: list[float]
    complaints: list[str]
    reloads: list[str] = field(default_factory=list)

    async def call(self, method: str, path: str, **headers: str) -> tuple[int, bytes, aiohttp.ClientResponse]:
        async with self.session.request(method, self.url + path, headers=headers) as reply:
            return reply.status, await reply.read(), reply

    async def text(self, path: str, method: str = "GET") -> tuple[int, str]:
        status, body, _ = await self.call(method, path)
        return status, body.decode()


@asynccontextmanager
async def serving(token: str | None = None) -> AsyncIterator[Site]:
    clock, complaints, reloads = [0.0], [], []
    metrics, readiness, heartbeats = Metrics(), Readiness(), Heartbeats(monotonic=lambda: clock[0])
    metrics.expect({"prod": ("segment_job", "export_job")}, ("ops",))

    async def refresh() -> None:
        metrics.build.info({"version": "1", "python": "3"})

    async def reload() -> list[str]:
        reloads.append("asked")
        return list(complaints)

    secret = SecretStr(token) if token else None
    server = Server(Exposition(metrics, refresh), heartbeats, readiness, reload, token=lambda: secret)
    url = await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Site(session, url, metrics, readiness, heartbeats, clock, complaints, reloads)
    finally:
        await server.stop()


@pytest.fixture
async def site():
    async with serving() as one:
        yield one


@pytest.mark.parametrize("path", ["/-/healthy", "/livez"])
async def test_alive_while_every_worker_turns(site, path):
    site.heartbeats.beat("reader", within_s=60)
    site.heartbeats.beat("dispatcher", within_s=60)
    assert await site.text(path) == (200, "ok: 2 workers turn\n")


@pytest.mark.parametrize("path", ["/-/healthy", "/livez"])
async def test_a_wedged_worker_is_named(site, path):
    site.heartbeats.beat("sandbox:prod/export_job", within_s=60)
    site.heartbeats.beat("caretaker", within_s=200)
    site.clock[0] = 100.0
    assert await site.text(path) == (503, "sandbox:prod/export_job: no sign of life, 40 s overdue\n")
    site.heartbeats.beat("sandbox:prod/export_job", within_s=60)
    assert (await site.text(path))[0] == 200


@pytest.mark.parametrize("path", ["/-/ready", "/readyz"])
async def test_not_ready_says_why_a_line_each(site, path):
    site.readiness.problem("store", "disk is full")
    assert await site.text(path) == (503, "start: still starting\nstore: disk is full\n")
    site.readiness.ok("start")
    site.readiness.ok("store")
    assert await site.text(path) == (200, "ready\n")


async def test_a_full_disk_is_no_reason_to_be_killed(site):
    site.heartbeats.beat("caretaker", within_s=60)
    site.readiness.problem("store", "disk is full")
    assert (await site.text("/-/healthy"))[0] == 200


async def test_a_reload_answers_with_what_is_wrong(site):
    assert await site.text("/-/reload", "POST") == (200, "reloaded\n")
    site.complaints += ["config.toml: retry.mode is wrong", "config.toml: store.url is wrong"]
    wrong = "config.toml: retry.mode is wrong\nconfig.toml: store.url is wrong\n"
    assert await site.text("/-/reload", "POST") == (400, wrong)
    assert len(site.reloads) == 2


async def test_looking_is_no_reload(site):
    assert (await site.text("/-/reload"))[0] == 405
    assert site.reloads == []


async def test_metrics_are_the_same_plain_and_compressed(site):
    status, packed, reply = await site.call("GET", "/metrics", **{"Accept-Encoding": "gzip"})
    assert (status, reply.headers["Content-Encoding"]) == (200, "gzip")
    status, plain, other = await site.call("GET", "/metrics", **{"Accept-Encoding": "identity"})
    assert status == 200
    assert "Content-Encoding" not in other.headers
    for one in (reply, other):
        assert one.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert one.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain)


@pytest.mark.needs("promtool")
async def test_promtool_finds_nothing_to_say_about_the_metrics(site):
    _, body, _ = await site.call("GET", "/metrics", **{"Accept-Encoding": "identity"})
    checked = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)  # noqa: ASYNC221 - a second at most
    assert (checked.returncode, checked.stderr.decode(), checked.stdout.decode()) == (0, "", "")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param({}, 401, id="no-token"),
        pytest.param({"Authorization": "Bearer an0ther"}, 401, id="wrong-token"),
        pytest.param({"Authorization": "Bearer t0ken-0f-the-test"}, 200, id="right-token"),
    ],
)
async def test_a_reload_needs_the_token_where_one_is_set(sent, status):
    async with serving("t0ken-0f-the-test") as site:
        got, body, _ = await site.call("POST", "/-/reload", **sent)
        assert (got, bool(site.reloads)) == (status, status == 200)
        assert b"t0ken" not in body
        assert (await site.text("/-/healthy"))[0] == 200


async def test_without_a_token_only_this_host_may_ask_for_a_reload(monkeypatch):
    async with serving() as site:
        monkeypatch.setattr(aiohttp.web.Request, "remote", "203.0.113.9")
        status, said = await site.text("/-/reload", "POST")
        assert (status, "http.token" in said, site.reloads) == (403, True, [])
        assert (await site.text("/-/ready"))[0] == 503  # looking is free, and it is still starting
        monkeypatch.setattr(aiohttp.web.Request, "remote", "::1")
        assert (await site.text("/-/reload", "POST"))[0] == 200


async def test_with_a_token_it_does_not_matter_who_asks_for_a_reload(monkeypatch):
    monkeypatch.setattr(aiohttp.web.Request, "remote", "203.0.113.9")
    async with serving("t0ken-0f-the-test") as site:
        got, _, _ = await site.call("POST", "/-/reload", Authorization="Bearer t0ken-0f-the-test")
        assert (got, site.reloads) == (200, ["asked"])
