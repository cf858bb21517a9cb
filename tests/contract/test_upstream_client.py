"""The client over a real socket: what it sends, and what it makes of every kind of answer and accident."""

import asyncio
import gzip
import socket
import tracemalloc
from datetime import timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from fakes import FakeClock
from raw_platform import API_KEY, GET, NOON, POST, FixedTokens, client_of, raw_platform, reply

from segwatch.daemon.source import Source
from segwatch.kinds.base import Request, load_kinds
from segwatch.upstream.budget import Budget
from segwatch.upstream.errors import (
    BadReply,
    Fate,
    NotFound,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
    UpstreamError,
)
from segwatch.upstream.wire import Endpoint, Timeouts, proxy_for

LOST, ANSWERED, NOT_SENT = Fate.LOST, Fate.ANSWERED, Fate.NOT_SENT


async def failure_of(*script, request=POST, **rest):
    """Return the error that one call ends in, and the requests that the platform saw."""
    async with raw_platform(*script) as platform, client_of(platform.url, **rest) as client:
        with pytest.raises(UpstreamError) as caught:
            await client.call(request)
    return caught.value, platform.requests


async def test_a_call_carries_the_headers_of_its_sandbox():
    async with raw_platform(reply(body={"records": []})) as platform, client_of(platform.url) as client:
        answer = await client.call(GET)
    first, headers, body = platform.requests[0]
    assert first == "GET /data/core/ups/export/jobs?limit=2 HTTP/1.1"
    assert headers["authorization"] == "Bearer token-0001"
    assert headers["x-api-key"] == API_KEY
    assert headers["x-gw-ims-org-id"] == "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
    assert headers["x-sandbox-name"] == "prod"
    assert headers["accept-encoding"] == "gzip"
    assert headers["user-agent"].startswith("segwatch/")
    assert headers["x-request-id"]
    assert "content-type" not in headers
    assert body == b""
    assert (answer.status, answer.body) == (200, b'{"records": []}')


async def test_a_post_is_json_and_ids_and_tokens_are_encoded_once():
    request = Request(
        method="POST", path="/data/core/ups/x/a%2Fb", endpoint="/x/{id}", params=(("offset", "1_a/b c"),), body={"ä": 1}
    )
    async with raw_platform(reply(status=207)) as platform, client_of(platform.url) as client:
        assert (await client.call(request)).status == 207
    first, headers, body = platform.requests[0]
    assert first in (
        "POST /data/core/ups/x/a%2Fb?offset=1_a/b+c HTTP/1.1",
        "POST /data/core/ups/x/a%2Fb?offset=1_a/b%20c HTTP/1.1",
    )
    assert headers["content-type"] == "application/json"
    assert body == '{"ä":1}'.encode()


async def test_whoever_wants_to_know_is_told_just_before_the_bytes_leave_and_before_a_second_try():
    rejected, seen = reply(401, {"error_code": "401013"}), []
    async with raw_platform(rejected, reply()) as platform:

        async def mark():
            seen.append(len(platform.requests))

        async with client_of(platform.url, tokens=FixedTokens("a", "b")) as client:
            await client.call(POST, before_send=mark)
    assert seen == [0, 1]


async def test_what_is_raised_just_before_the_bytes_leave_keeps_them_here():
    async def refuse():
        raise LookupError("not now")

    async with raw_platform(reply()) as platform, client_of(platform.url) as client:
        with pytest.raises(LookupError):
            await client.call(POST, before_send=refuse)
    assert platform.requests == []


async def test_an_answer_without_a_body_is_fine():
    async with raw_platform(b"HTTP/1.1 204 No Content\r\n\r\n") as platform, client_of(platform.url) as client:
        assert (await client.call(GET)).body == b""


@pytest.mark.parametrize("path", ["@evil.example/x", ".evil.example/x", "", "x"])
async def test_a_path_cannot_move_the_token_to_another_host(path):
    async with raw_platform() as platform, client_of(platform.url) as client:
        with pytest.raises(ValueError, match="begins with one slash"):
            await client.call(Request(method="GET", path=path, endpoint="/x"))
    assert platform.requests == []


@pytest.mark.parametrize(
    ("answer", "kind", "fate", "code"),
    [
        pytest.param(reply(400, {"status": 400, "title": "Bad"}), Refused, ANSWERED, "", id="400"),
        pytest.param(reply(409, {"errorMessage": "no"}), Refused, ANSWERED, "", id="409"),
        pytest.param(reply(422, {"message": "no", "statusCode": "422"}), Refused, ANSWERED, "", id="422"),
        pytest.param(reply(403, {"error_code": "403025", "message": "m"}), Unauthorized, ANSWERED, "403025", id="403"),
        pytest.param(
            reply(400, {"error_code": "400003", "message": "m"}), Unauthorized, ANSWERED, "400003", id="400003"
        ),
        pytest.param(reply(404, b""), NotFound, ANSWERED, "", id="404"),
        pytest.param(reply(429, {"error_code": "429050"}), RateLimited, ANSWERED, "429050", id="429"),
        pytest.param(reply(500, b""), Unavailable, ANSWERED, "", id="500"),
        pytest.param(reply(503, b"<html>"), Unavailable, ANSWERED, "", id="503"),
        pytest.param(reply(502, b"<html>"), Unavailable, LOST, "", id="502"),
        pytest.param(reply(504, b""), Unavailable, LOST, "", id="504"),
        pytest.param(reply(302, b"", Location="https://evil.example/"), BadReply, LOST, "", id="302"),
        pytest.param(reply(200, {"error_code": "429050", "message": "m"}), BadReply, LOST, "429050", id="error-as-200"),
        pytest.param(reply(200, b"<html>login</html>"), BadReply, LOST, "", id="html-as-200"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", BadReply, LOST, "", id="garbage"),
        pytest.param(reply(200, b"{}", Content_Length="100")[:-1] + b"}", Unavailable, LOST, "", id="truncated"),
        pytest.param(reply(503, b"{", Content_Length="100"), Unavailable, ANSWERED, "", id="truncated-503"),
        pytest.param(reply(200, b"not gzip", Content_Encoding="gzip"), Unavailable, LOST, "", id="not-gzip"),
        pytest.param("reset", Unavailable, LOST, "", id="reset"),
        pytest.param(b"", Unavailable, LOST, "", id="closed"),
    ],
)
async def test_a_post_that_fails_says_what_became_of_it_and_is_sent_once(answer, kind, fate, code):
    async def half(writer):
        writer.write(answer)
        await writer.drain()

    cut = isinstance(answer, bytes) and b"Content-Length: 100" in answer
    error, requests = await failure_of(half if cut else answer)
    assert (type(error), error.fate, error.code) == (kind, fate, code)
    assert len(requests) == 1
    text = str(error)
    assert text.startswith("Sandbox prod: POST /data/core/ups/export/jobs: ")
    assert "token-0001" not in text
    assert API_KEY not in text


async def test_silence_is_a_lost_answer():
    timeouts = Timeouts(connect=timedelta(seconds=1), read=timedelta(seconds=0.05), total=timedelta(seconds=1))
    error, _ = await failure_of("hang", timeouts=timeouts)
    assert (type(error), error.fate, error.reason) == (Unavailable, LOST, "timeout")


async def test_a_trickle_ends_at_the_total_timeout():
    async def trickle(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    timeouts = Timeouts(connect=timedelta(seconds=1), read=timedelta(seconds=1), total=timedelta(seconds=0.2))
    error, _ = await failure_of(trickle, timeouts=timeouts)
    assert (type(error), error.fate, error.reason) == (Unavailable, LOST, "timeout")


async def test_a_refused_connection_was_not_sent():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        async with client_of(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            with pytest.raises(Unavailable) as caught:
                await client.call(POST)
    assert (caught.value.fate, caught.value.reason) == (NOT_SENT, "connect")


async def test_a_name_that_does_not_resolve_was_not_sent():
    class Nowhere(aiohttp.abc.AbstractResolver):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            raise OSError("no such name")

        async def close(self):
            return None

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Nowhere()))
    async with client_of("http://platform.invalid", session=session) as client:
        with pytest.raises(Unavailable) as caught:
            await client.call(POST)
    assert (caught.value.fate, caught.value.reason) == (NOT_SENT, "dns")


async def test_a_failed_tls_handshake_was_not_sent():
    async def not_tls(reader, writer):
        writer.write(b"220 no TLS here\r\n")
        writer.close()

    server = await asyncio.start_server(not_tls, "127.0.0.1", 0)
    async with server, client_of(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        with pytest.raises(Unavailable) as caught:
            await client.call(POST)
    assert (caught.value.fate, caught.value.reason) == (NOT_SENT, "tls")


async def test_a_call_without_budget_was_not_sent():
    async with raw_platform() as platform, client_of(platform.url, rate=0.001, max_wait=timedelta(0)) as client:
        for _ in range(100):
            await client.call(GET)
        with pytest.raises(Unavailable) as caught:
            await client.call(POST)
    assert (caught.value.fate, caught.value.reason) == (NOT_SENT, "budget")
    assert len(platform.requests) == 100


async def test_an_error_tells_the_platforms_words_and_both_sides_request_id():
    body = {
        "requestId": "req-7",
        "title": "Forbidden",
        "errors": {"403": [{"code": "UPAPI-1", "message": "No access"}]},
    }
    error, requests = await failure_of(reply(403, body))
    assert "403 UPAPI-1 Forbidden; No access [request req-7]. Ask an administrator" in str(error)
    error, requests = await failure_of(reply(500, b""))
    assert f"[request {requests[0][1]['x-request-id']}]" in str(error)


async def test_what_the_platform_echoes_of_our_secrets_is_masked():
    body = {"error_code": "403003", "message": f"Api Key {API_KEY} is invalid for token token-0001"}
    error, _ = await failure_of(reply(403, body, X_Request_Id="token-0001"))
    assert API_KEY not in str(error)
    assert "token-0001" not in str(error)
    assert "[masked]" in str(error)


async def test_a_429_slows_the_budget_and_tells_the_wait():
    for answer, wait in [
        (reply(429, {"error_code": "429050"}, Retry_After="7"), 7.0),
        (reply(429, {"statusCode": "429", "retryAfterMs": "500"}), 0.5),
        (reply(429, {"error_code": "429050"}, Retry_After="Sat, 06 Dec 2025 12:00:09 GMT"), 9.0),
        (reply(429, b""), None),
    ]:
        error, _ = await failure_of(answer)
        assert error.retry_after == (timedelta(seconds=wait) if wait is not None else None)
    async with raw_platform(reply(429, b"", Retry_After="60")) as platform:
        async with client_of(platform.url, max_wait=timedelta(seconds=1)) as client:
            with pytest.raises(RateLimited):
                await client.call(GET)
            with pytest.raises(Unavailable, match="budget"):
                await client.call(GET)
        assert len(platform.requests) == 1


@pytest.mark.parametrize(
    ("date", "behind_s"),
    [
        pytest.param("Sat, 06 Dec 2025 11:20:00 GMT", 2400, id="behind"),
        pytest.param("Sat, 06 Dec 2025 12:20:00 GMT", -1200, id="ahead"),
        pytest.param("Fri, 06 Dec 1985 12:00:00 GMT", 0, id="no-clock-is-so-wrong"),
        pytest.param("yesterday", 0, id="unreadable"),
        pytest.param(None, 0, id="not-told"),
    ],
)
async def test_how_far_apart_the_clocks_are_is_read_from_the_date_of_an_answer(date, behind_s):
    async with raw_platform(reply(Date=date)) as platform, client_of(platform.url) as client:
        await client.call(GET)
        assert abs(client.clock_behind - timedelta(seconds=behind_s)) < timedelta(seconds=1)
        assert (client.clock_shows is None) == (behind_s == 0)


async def clocks_apart(*dates_s: float, moved=lambda clock: clock) -> list[float]:
    """What is known of the two clocks after each answer, whose date is so far from our clock of that time."""
    clock, told = FakeClock(), []
    sent = [clock.now() + timedelta(seconds=index + 1 + date_s) for index, date_s in enumerate(dates_s)]
    answers = [reply(Date=format_datetime(date, usegmt=True)) for date in sent]
    async with (
        raw_platform(*answers) as platform,
        client_of(platform.url, now=clock.now, monotonic=clock.ran_s) as client,
    ):
        for _ in answers:
            await clock.advance(seconds=1)
            await client.call(GET)
            told.append(client.clock_behind.total_seconds())
        moved(clock)
        told.append(client.clock_behind.total_seconds())
    assert {headers["cache-control"] for _, headers, _ in platform.requests} == {"no-cache"}
    return told


async def test_neither_an_answer_that_a_cache_kept_nor_one_odd_date_tells_the_time():
    assert await clocks_apart(-120, -5, -5, 7200, -5) == [120, 120, 5, 5, 5, 5]


async def test_a_step_of_our_clock_shows_before_another_date_is_heard():
    assert await clocks_apart(-5, -5, moved=lambda clock: clock.set(clock.now() + timedelta(minutes=20))) == [
        5,
        5,
        1205,
    ]


async def test_what_a_date_in_whole_seconds_cannot_tell_is_no_difference():
    assert await clocks_apart(-1, 1) == [0, 0, 0]


async def test_after_an_hour_the_clocks_are_compared_anew():
    clock = FakeClock()
    fresh, kept = clock.now(), clock.now() + timedelta(hours=2) - timedelta(seconds=120)
    answers = [reply(Date=format_datetime(date, usegmt=True)) for date in (fresh, kept)]
    async with (
        raw_platform(*answers) as platform,
        client_of(platform.url, now=clock.now, monotonic=clock.ran_s) as client,
    ):
        await client.call(GET)
        await clock.advance(hours=2)
        await client.call(GET)
        assert client.clock_behind == timedelta(seconds=120)


async def test_a_rejected_token_is_renewed_once_and_the_call_made_again():
    tokens = FixedTokens("stale", "fresh")
    rejected = reply(401, {"error_code": "401013", "message": "Oauth token is not valid"})
    async with raw_platform(rejected, reply()) as platform, client_of(platform.url, tokens=tokens) as client:
        await client.call(POST)
    assert [headers["authorization"] for _, headers, _ in platform.requests] == ["Bearer stale", "Bearer fresh"]
    assert tokens.accepted_tokens == ["fresh"]


async def test_a_token_that_stays_rejected_needs_a_person():
    rejected = reply(401, {"error_code": "401013", "message": "Oauth token is not valid"})
    error, requests = await failure_of(rejected, rejected, tokens=FixedTokens("a", "b", "c"))
    assert (type(error), error.status, error.code, error.fate) == (Unauthorized, 401, "401013", ANSWERED)
    assert len(requests) == 2


async def test_a_sandbox_that_is_always_rejected_leaves_the_tokens_of_others_alone_for_a_while():
    clock = FakeClock()
    rejected, tokens = reply(401, {"error_code": "401013"}), FixedTokens(*"abcdef")
    async with (
        raw_platform(*[rejected] * 6, reply(), rejected) as platform,
        client_of(platform.url, tokens=tokens, monotonic=clock.ran_s) as client,
    ):
        for seconds in (0, 0, 29.9):
            await clock.advance(seconds=seconds)
            with pytest.raises(Unauthorized):
                await client.call(GET)
        assert tokens.tokens[0] == "b"
        await clock.advance(seconds=0.1)
        with pytest.raises(Unauthorized):
            await client.call(GET)
        assert tokens.tokens[0] == "c"
        await client.call(GET)
        await client.call(GET)
        assert tokens.tokens[0] == "d", "a token that is taken ends the wait"


async def test_every_exchange_is_observed():
    calls = []
    rejected = reply(401, b"")
    async with (
        raw_platform(rejected, reply(), "reset") as platform,
        client_of(platform.url, tokens=FixedTokens("a", "b"), calls=calls) as client,
    ):
        await client.call(GET)
        with pytest.raises(Unavailable):
            await client.call(POST)
    assert [call.code for call in calls[:2]] == ["401", "200"]
    assert calls[2].code in ("reset", "disconnected")
    assert {call.endpoint for call in calls} == {"/data/core/ups/export/jobs"}
    assert all(call.seconds >= 0 and call.sandbox == "prod" for call in calls)


async def test_a_cancelled_call_is_observed_and_frees_its_connection():
    calls = []
    async with raw_platform("hang") as platform, client_of(platform.url, calls=calls) as client:
        task = asyncio.create_task(client.call(GET))
        async with asyncio.timeout(2):
            await platform.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [call.code for call in calls] == ["cancelled"]


async def test_a_compressed_answer_is_unpacked():
    packed = reply(200, gzip.compress(b'{"records": []}'), Content_Encoding="gzip")
    async with raw_platform(packed) as platform, client_of(platform.url) as client:
        assert (await client.call(GET)).body == b'{"records": []}'


async def test_a_bomb_is_dropped_before_it_unfolds():
    packed = reply(200, gzip.compress(bytes(300_000_000), compresslevel=1), Content_Encoding="gzip")
    async with raw_platform(packed) as platform, client_of(platform.url, body_max_bytes=8 * 1024 * 1024) as client:
        tracemalloc.start()
        try:
            with pytest.raises(BadReply, match="larger than 8 MiB") as caught:
                await client.call(GET)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (caught.value.reason, caught.value.fate) == ("too_large", LOST)
    assert peak < 32 * 1024 * 1024


def test_every_timeout_is_set():
    timeouts = Endpoint(base_url="x", ims_url="y").timeouts.as_aiohttp()
    assert None not in (timeouts.total, timeouts.connect, timeouts.sock_connect, timeouts.sock_read)


def test_the_environment_names_the_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("https://platform.adobe.io") is None
    monkeypatch.setenv("https_proxy", "http://user:pass@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1,internal.example")
    proxy = proxy_for("https://platform.adobe.io")
    assert str(proxy.url) == "http://proxy.example:3128"
    assert proxy.headers == {"Proxy-Authorization": "Basic dXNlcjpwYXNz"}
    assert "dXNlcjpwYXNz" not in repr(proxy)
    assert proxy_for("https://internal.example") is None
    assert proxy_for("http://platform.adobe.io") is None


OPAQUE = "0paque-T0ken-" + "".join(f"{n:03}x" for n in range(30))


@pytest.mark.parametrize("form", ["{0}", "Bearer%20{0}", "{0:.60}"], ids=["whole", "encoded", "cut"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda t: reply(403, {"error_code": "403999", "message": "x" * 260 + t}), id="words"),
        pytest.param(lambda t: reply(500, {"error_code": t, "message": "no"}), id="code"),
        pytest.param(lambda t: reply(500, {"message": "no"}, X_Request_Id=t), id="request-id"),
        pytest.param(lambda t: reply(500, {"message": "no", "requestId": "r" * 50 + t}), id="request-id-in-body"),
        pytest.param(lambda t: reply(200, f"x {t}".encode()), id="no-json"),
        pytest.param(lambda t: reply(502, f"<html>{'y' * 100}{t}</html>".encode()), id="html"),
        pytest.param(lambda t: reply(200, {"error_code": "1", "message": t}), id="error-as-200"),
        pytest.param(lambda t: f"{t}\r\n\r\n".encode(), id="no-http"),
        pytest.param(lambda t: f"HTTP/1.1 2OO {'z' * 50} {t}\r\n\r\n".encode(), id="odd-status-line"),
    ],
)
async def test_no_piece_of_an_opaque_token_is_told(answer, form):
    error, _ = await failure_of(answer(form.format(OPAQUE)), tokens=FixedTokens(OPAQUE))
    assert OPAQUE[:8] not in str(error)
    assert OPAQUE[:8] not in error.code


async def test_a_token_that_was_renewed_is_masked_too_and_so_it_is_in_what_jobs_say():
    rejected = reply(401, {"message": "old"})
    answer = reply(200, {"records": [{"id": 1, "errors": [{"msg": f"token {OPAQUE}, then fresh-and-long-token"}]}]})
    tokens = FixedTokens(OPAQUE, "fresh-and-long-token")
    async with raw_platform(rejected, answer) as platform, client_of(platform.url, tokens=tokens) as client:
        body = (await client.call(GET)).body
    assert b'"msg": "token [masked], then [masked]"' in body


@pytest.mark.parametrize("answer", [{"records": OPAQUE}, {"seen": OPAQUE}, {"records": "x" * 80 + OPAQUE}])
async def test_an_answer_that_cannot_be_read_is_quoted_without_the_token(answer):
    kind = load_kinds()["export_job"]
    tokens = FixedTokens(OPAQUE)
    async with raw_platform(reply(200, answer)) as platform, client_of(platform.url, tokens=tokens) as client:
        share = Budget(requests_per_second=10, burst=1).share(requests_per_second=10, burst=1)
        source = Source(
            kind, client, share, FakeClock(NOON), unreadable=lambda part, n: None, places=asyncio.Semaphore()
        )
        with pytest.raises(BadReply, match="cannot read") as caught:
            await source.page(kind.list_newest(limit=2))
    assert OPAQUE[:8] not in str(caught.value)
