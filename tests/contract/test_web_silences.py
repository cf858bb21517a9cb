"""Silences over HTTP, over a real socket, on a real store."""

import json
from contextlib import asynccontextmanager

import aiohttp
import aiohttp.web
import pytest
from fakes import FakeClock
from pydantic import SecretStr
from store_builders import sandbox_event

from segwatch.app.channels import Routes
from segwatch.config import parse_duration
from segwatch.daemon.alerter import Alerter
from segwatch.daemon.opened import OpenAlerts
from segwatch.daemon.silencer import Silencer
from segwatch.store.base import Change
from segwatch.store.factory import store_of
from segwatch.telemetry.health import Heartbeats, Readiness
from segwatch.telemetry.metrics import Exposition, Metrics
from segwatch.web.server import Server
from segwatch.web.silences import SilenceApi

TOKEN = "t0ken-0f-the-test"
PATH = "/api/v1/silences"
WANTED = {"matchers": ["sandbox=prod", 'severity=~"warning|critical"'], "for": "2h", "owner": "sam", "reason": "known"}


class Site:
    def __init__(self, session, url, store, clock, silencer):
        self.session, self.url, self.store, self.clock, self.silencer = session, url, store, clock, silencer

    async def call(self, method, path=PATH, body=None, **headers):
        """Return status and JSON of the answer. body: sent as it is when it is text."""
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        headers = {"Content-Type": "application/json"} | headers
        async with self.session.request(method, self.url + path, data=body, headers=headers) as reply:
            text = await reply.text()
            assert TOKEN not in text
            return reply.status, json.loads(text) if reply.content_type == "application/json" else text


@asynccontextmanager
async def serving(tmp_path, token=None, *, opened=True):
    store, clock = store_of(f"sqlite://{tmp_path}/segwatch.db"), FakeClock()
    if opened:
        await store.open()
    metrics, secret = Metrics(), SecretStr(token) if token else None

    async def nothing():
        return []

    silencer = Silencer(store, clock, (), OpenAlerts(store), lambda events: None)
    server = Server(
        Exposition(metrics, nothing), Heartbeats(monotonic=lambda: 0.0), Readiness(), nothing, token=lambda: secret,
        silences=SilenceApi(lambda: silencer, clock.now, parse_duration),
    )  # fmt: skip
    url = await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            yield Site(session, url, store, clock, silencer)
    finally:
        await server.stop()
        await store.close()


@pytest.fixture
async def site(tmp_path):
    async with serving(tmp_path) as one:
        yield one


async def test_a_silence_is_made_shown_and_ended(site):
    status, made = await site.call("POST", body=WANTED)
    assert status == 201
    assert made == {
        "id": made["id"], "state": "active", "matchers": ["sandbox=prod", 'severity=~"warning|critical"'],
        "starts_at": "2026-01-05T03:00:00.000Z", "ends_at": "2026-01-05T05:00:00.000Z", "until_resolved": False,
        "ended_by": "", "owner": "sam", "reason": "known", "created_at": "2026-01-05T03:00:00.000Z",
    }  # fmt: skip
    assert site.silencer.promise((sandbox_event(1),), site.clock.now()) == ()
    assert await site.call("GET") == (200, [made])
    assert await site.call("GET", f"{PATH}/{made['id']}") == (200, made)
    status, ended = await site.call("DELETE", f"{PATH}/{made['id']}")
    assert (status, ended["state"], ended["ended_by"]) == (200, "ended", "expired")
    assert await site.call("DELETE", f"{PATH}/{made['id']}") == (200, ended), "twice is once"
    assert await site.call("GET") == (200, [])
    assert await site.call("GET", f"{PATH}?state=ended") == (200, [ended])
    assert await site.call("GET", f"{PATH}?state=all") == (200, [ended])


async def test_one_may_begin_later_and_times_may_have_any_zone(site):
    body = {"matchers": ["sandbox=prod"], "starts_at": "2026-01-05T06:00:00+02:00", "ends_at": "2026-01-05T05:30:00Z"}
    status, made = await site.call("POST", body=body)
    assert (status, made["state"], made["starts_at"]) == (201, "pending", "2026-01-05T04:00:00.000Z")


async def test_until_resolved_needs_something_that_is_wrong(site):
    body = {"matchers": ["sandbox=prod"], "until_resolved": True}
    status, said = await site.call("POST", body=body)
    assert (status, "nothing that sandbox=prod matches is wrong" in said["error"]) == (409, True)
    await site.store.commit([Change(events=(sandbox_event(1),))])
    await Alerter(site.store, site.clock, Routes(()), told=lambda events: None)._turn()
    assert (await site.call("POST", body=body))[0] == 201


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param("{", "truncated", id="no-json"),
        pytest.param("[]", "Expected `object`", id="no-object"),
        pytest.param({"for": "2h"}, "missing required field `matchers`", id="no-matchers-key"),
        pytest.param(WANTED | {"matchers": []}, "needs a matcher", id="no-matchers"),
        pytest.param(WANTED | {"matchers": ["severty=critical"]}, "Did you mean severity?", id="label"),
        pytest.param(WANTED | {"matchers": ["sandbox!=prod"]}, "Ask for a value", id="almost-everything"),
        pytest.param(WANTED | {"matchers": ['job_id=~"("']}, "RE2 cannot read", id="pattern"),
        pytest.param(WANTED | {"matchers": "sandbox=prod"}, "Expected `array`", id="no-list"),
        pytest.param(WANTED | {"for": "2"}, 'for is "2", which has no unit. Write "2s".', id="no-unit"),
        pytest.param(WANTED | {"for": None}, "needs an end", id="no-end"),
        pytest.param(WANTED | {"ends_at": "2026-01-06T00:00:00Z"}, "one end", id="two-ends"),
        pytest.param({"matchers": ["kind=x"], "ends_at": "2026-01-05T02:00:00Z"}, "not in the past", id="past"),
        pytest.param({"matchers": ["kind=x"], "ends_at": "2026-01-05T02:00:00"}, "timezone", id="no-zone"),
        pytest.param(WANTED | {"comment": "x"}, "unknown field `comment`", id="unknown-key"),
    ],
)
async def test_what_nobody_can_mean_is_refused_with_the_reason(site, body, said):
    status, answer = await site.call("POST", body=body)
    assert (status, said in answer["error"]) == (400, True), answer
    assert await site.call("GET") == (200, [])


async def test_other_mistakes(site):
    assert (await site.call("POST", body=WANTED, **{"Content-Type": "text/plain"}))[0] == 415
    assert (await site.call("GET", f"{PATH}/none"))[0] == 404
    assert (await site.call("DELETE", f"{PATH}/none"))[0] == 404
    assert (await site.call("GET", f"{PATH}?state=gone"))[0] == 400
    assert (await site.call("PUT", body=WANTED))[0] == 405
    assert (await site.call("POST", body="x" * 70_000))[0] == 413


async def test_a_store_that_is_not_open_is_said(tmp_path):
    async with serving(tmp_path, opened=False) as site:
        for call in (("GET",), ("POST", PATH, WANTED), ("DELETE", f"{PATH}/x"), ("GET", f"{PATH}/x")):
            assert (await site.call(*call))[0] == 503, call


@pytest.mark.parametrize("call", [("GET",), ("POST", PATH, WANTED), ("DELETE", f"{PATH}/x"), ("GET", "/api/v1/other")])
async def test_the_api_needs_the_token_where_one_is_set(tmp_path, call):
    async with serving(tmp_path, TOKEN) as site:
        assert (await site.call(*call))[0] == 401
        assert (await site.call(*call, Authorization="Bearer an0ther"))[0] == 401
        assert (await site.call(*call, Authorization=f"Bearer {TOKEN}"))[0] in (200, 201, 404)


async def test_without_a_token_only_this_host_may_use_the_api(site, monkeypatch):
    monkeypatch.setattr(aiohttp.web.Request, "remote", "203.0.113.9")
    assert (await site.call("GET"))[0] == 403
    assert (await site.call("POST", body=WANTED))[0] == 403
    assert await site.store.silences() == []
