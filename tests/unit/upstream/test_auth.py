"""Tokens, with an identity service that answers from a script and clocks that the test moves."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import parse_qs

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses
from pydantic import SecretStr

from segwatch.upstream.auth import ClientSecret, OAuthTokens, TokenSources
from segwatch.upstream.errors import BadReply, Fate, RateLimited, Unauthorized, Unavailable, UpstreamError
from segwatch.upstream.redaction import Redactor
from segwatch.upstream.tokens import FileTokens, FixedToken, TokenFile
from segwatch.upstream.wire import Endpoint

IMS = "https://ims.example"
URL = f"{IMS}/ims/token/v3"
ENDPOINT = Endpoint(base_url="https://platform.example", ims_url=f"{IMS}/", trust_env=False)
CREDENTIAL = ClientSecret(client_id="the-id", client_secret=SecretStr("the-secret&="), scopes=("openid", "session"))
DAY_S = 86_399


class World:
    """An identity service, a credential that uses it, and the time of both."""

    def __init__(self):
        self.wall = datetime(2025, 12, 6, 12, 0, tzinfo=UTC)
        self.mono = 1000.0
        self.asked = []
        self.script = []
        self.issued = 0

    def advance(self, seconds):
        self.wall += timedelta(seconds=seconds)
        self.mono += seconds

    async def sleep(self, seconds):
        self.advance(seconds)
        await asyncio.sleep(0)

    def answer(self, url, **kwargs):
        self.asked.append((self.mono, kwargs))
        step = self.script.pop(0) if self.script else {}
        if isinstance(step, CallbackResult):
            return step
        self.issued += 1
        token = {"access_token": f"token-{self.issued}", "token_type": "bearer", "expires_in": DAY_S}
        return CallbackResult(status=200, payload=token | step)


def refusal(status=400, error="invalid_client", **headers):
    payload = {"error": error, "error_description": "invalid the-secret&= parameter"}
    return CallbackResult(status=status, payload=payload, headers=headers)


@pytest.fixture
def world():
    return World()


@pytest.fixture
async def tokens(world):
    with aioresponses() as ims:
        ims.post(URL, callback=world.answer, repeat=True)
        async with aiohttp.ClientSession() as session:
            yield OAuthTokens(
                session,
                CREDENTIAL,
                endpoint=ENDPOINT,
                now=lambda: world.wall,
                monotonic=lambda: world.mono,
                sleep=world.sleep,
            )


async def test_the_credential_travels_in_the_body(world, tokens):
    assert await tokens.token() == "token-1"
    kwargs = world.asked[0][1]
    assert parse_qs(kwargs["data"].decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-id"],
        "client_secret": ["the-secret&="],
        "scope": ["openid,session"],
    }
    assert kwargs["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert kwargs["allow_redirects"] is False


async def test_a_token_is_used_until_shortly_before_its_end(world, tokens):
    await tokens.token()
    assert tokens.expires_at == world.wall + timedelta(seconds=DAY_S)
    world.advance(DAY_S - 301)
    assert await tokens.token() == "token-1"
    world.advance(2)
    assert await tokens.token() == "token-2"


async def test_a_short_lived_token_is_used_for_nine_tenths_of_its_life(world, tokens):
    world.script = [{"expires_in": 60}]
    await tokens.token()
    world.advance(53)
    assert await tokens.token() == "token-1"
    world.advance(2)
    assert await tokens.token() == "token-2"


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(86_399, 86_399), (86_399_992, 86_399.992), ("86399", 86_399), (None, 3600), (0, 3600), (604_800, 604_800)],
)
async def test_the_life_of_a_token_is_read_in_seconds_and_milliseconds(world, tokens, expires_in, seconds):
    world.script = [{"expires_in": expires_in}]
    await tokens.token()
    assert tokens.expires_at - world.wall == timedelta(seconds=seconds)


async def test_a_token_is_read_though_another_text_beside_it_was_cut_in_a_character(world, tokens):
    body = b'\xef\xbb\xbf{"access_token": "token-x", "user": "Zo\xc3 \\ud83c", "expires_in": 60}'
    world.script = [CallbackResult(status=200, body=body)]
    assert await tokens.token() == "token-x"
    assert tokens.expires_at == world.wall + timedelta(seconds=60)


async def test_callers_at_the_same_time_share_one_request(world, tokens):
    assert set(await asyncio.gather(*(tokens.token() for _ in range(50)))) == {"token-1"}
    assert len(world.asked) == 1


async def test_a_cancelled_caller_does_not_take_the_others_token_away(world, tokens):
    first, second = asyncio.create_task(tokens.token()), asyncio.create_task(tokens.token())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).startswith("token-")


async def test_many_rejections_of_one_token_renew_it_once(world, tokens):
    old = await tokens.token()
    world.advance(10)
    assert set(await asyncio.gather(*(tokens.token(rejected=old) for _ in range(50)))) == {"token-2"}
    assert len(world.asked) == 2


async def test_a_storm_of_rejections_asks_at_most_once_a_second_and_slows_down(world, tokens):
    token = await tokens.token()
    began = world.mono
    while world.mono < began + 60:
        try:
            token = await tokens.token(rejected=token)
        except Unauthorized:
            world.advance(0.1)
    times = [at for at, _ in world.asked]
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))
    assert len(times) <= 8


async def test_rejections_that_are_far_apart_are_not_held_against_a_token(world, tokens):
    token = await tokens.token()
    for _ in range(5):
        world.advance(2)
        token = await tokens.token(rejected=token)
        tokens.accepted(token)
    assert token == "token-6"


async def test_a_wrong_credential_is_refused_at_once_for_a_growing_while(world, tokens):
    world.script = [refusal() for _ in range(100)]
    gaps = []
    for _ in range(6):
        with pytest.raises(Unauthorized, match=r"secret may have been rotated"):
            await tokens.token()
        before = world.mono
        asked = len(world.asked)
        while len(world.asked) == asked:
            world.advance(1)
            with pytest.raises(Unauthorized):
                await tokens.token()
        gaps.append(world.mono - before)
    assert gaps[0] == pytest.approx(30, abs=1)
    assert gaps[1] == pytest.approx(60, abs=1)
    assert gaps[-1] == pytest.approx(300, abs=1)


async def test_a_refusal_says_what_to_check_and_shows_no_secret(world, tokens):
    world.script = [refusal()]
    with pytest.raises(Unauthorized) as caught:
        await tokens.token()
    text = str(caught.value)
    assert "ims.example answered 400 invalid_client (invalid [masked] parameter). Check client_id" in text
    assert "the-secret" not in text + repr(CREDENTIAL)
    assert "the-id" not in text + repr(CREDENTIAL)
    assert (caught.value.fate, caught.value.status, caught.value.code) == (Fate.NOT_SENT, 400, "invalid_client")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status": 400, "payload": {"error": "invalid_client", "error_description": "x" * 290 + "{0}"}}),
        pytest.param({"status": 400, "payload": {"error": "bad secret {0}", "error_description": "no"}}),
        pytest.param({"status": 502, "body": "<b>client_id:{0}</b>"}),
    ],
    ids=["cut", "code", "html"],
)
async def test_no_piece_of_the_secret_is_told(world, tokens, answer):
    secret = CREDENTIAL.client_secret.get_secret_value()
    told = json.loads(json.dumps(answer).replace("{0}", secret))
    world.script = [CallbackResult(**told)]
    with pytest.raises(UpstreamError) as caught:
        await tokens.token()
    assert secret[:8] not in str(caught.value) + caught.value.code


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(CallbackResult(status=503, body="<html>"), Unavailable, id="503"),
        pytest.param(CallbackResult(status=200, body="<html>"), BadReply, id="html"),
        pytest.param(CallbackResult(status=200, payload={"token_type": "bearer"}), BadReply, id="no-token"),
        pytest.param(CallbackResult(status=200, payload={"access_token": "a\nb: c"}), BadReply, id="header-injection"),
        pytest.param(CallbackResult(status=404, body=""), BadReply, id="wrong-url"),
        pytest.param(CallbackResult(status=302, headers={"Location": "https://x"}), BadReply, id="redirect"),
        pytest.param(refusal(401), Unauthorized, id="401"),
        pytest.param(refusal(400, "invalid_scope"), Unauthorized, id="scope"),
        pytest.param(refusal(429, "slow", **{"Retry-After": "9"}), RateLimited, id="429"),
    ],
)
async def test_without_a_token_the_call_was_not_sent(world, tokens, answer, kind):
    world.script = [answer]
    with pytest.raises(kind) as caught:
        await tokens.token()
    assert caught.value.fate is Fate.NOT_SENT
    asked = len(world.asked)
    with pytest.raises(kind):
        await tokens.token()
    assert len(world.asked) == asked


async def test_an_unreachable_identity_service_is_tried_again_soon(world):
    with aioresponses() as ims:
        ims.post(URL, exception=aiohttp.ServerDisconnectedError())
        ims.post(URL, callback=world.answer)
        async with aiohttp.ClientSession() as session:
            source = OAuthTokens(
                session, CREDENTIAL, endpoint=ENDPOINT, now=lambda: world.wall, monotonic=lambda: world.mono
            )
            with pytest.raises(Unavailable) as caught:
                await source.token()
            assert caught.value.fate is Fate.NOT_SENT
            world.advance(1.1)
            assert await source.token() == "token-1"


async def test_while_an_early_renewal_fails_the_old_token_is_used_up(world, tokens):
    world.script = [{"expires_in": 1000}, *[CallbackResult(status=503, body="") for _ in range(50)]]
    await tokens.token()
    for _ in range(99):
        world.advance(10)
        assert await tokens.token() == "token-1"
    assert 2 <= len(world.asked) <= 10
    world.advance(10)
    with pytest.raises(Unavailable):
        await tokens.token()


async def test_what_one_sandbox_gets_rejected_stays_good_for_another_while_a_renewal_fails(world, tokens):
    world.script = [{}, *[refusal(429, "slow", **{"Retry-After": "20"}) for _ in range(2)]]
    tokens.accepted(await tokens.token())
    for _ in range(3):
        with pytest.raises(RateLimited):
            await tokens.token(rejected="token-1")
        assert await tokens.token() == "token-1"
        tokens.accepted("token-1")
        world.advance(5)
    assert len(world.asked) == 2
    world.advance(30)
    assert await tokens.token() == "token-1"
    world.advance(30)
    assert await tokens.token() == "token-2"


async def test_sandboxes_with_equal_credentials_share_a_source(world, tmp_path):
    async with aiohttp.ClientSession() as session:
        sources = TokenSources(session, endpoint=ENDPOINT, now=lambda: world.wall, redactor=Redactor())
        twin = ClientSecret(client_id="the-id", client_secret=SecretStr("the-secret&="), scopes=("openid", "session"))
        other = ClientSecret(client_id="the-id", client_secret=SecretStr("new"), scopes=("openid", "session"))
        assert sources.of(CREDENTIAL) is sources.of(twin)
        assert sources.of(CREDENTIAL) is not sources.of(other)
        assert isinstance(sources.of(TokenFile(client_id="x", path=tmp_path)), FileTokens)


async def test_secrets_of_all_credentials_and_of_former_settings_are_masked_for_everybody(world):
    redactor = Redactor()
    async with aiohttp.ClientSession() as session:
        for secret in ("one-0paque-secret", "new-0paque-secret"):
            sources = TokenSources(session, endpoint=ENDPOINT, now=lambda: world.wall, redactor=redactor)
            sources.of(ClientSecret(client_id="the-id", client_secret=SecretStr(secret), scopes=("openid",)))
            sources.of(FixedToken(client_id=f"id-of-{secret}", token=SecretStr(f"t0ken-{secret}")))
    said = "one-0paque-secret new-0paque-secret t0ken-one-0paque-secret"
    assert redactor.line(said) == redactor(said) == "[masked] [masked] [masked]"


async def test_a_token_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "token"
    source = FileTokens(TokenFile(client_id="x", path=path))
    with pytest.raises(Unauthorized, match="cannot be read"):
        await source.token()
    path.write_text("one\n")
    assert await source.token() == "one"
    with pytest.raises(Unauthorized, match="the platform rejects"):
        await source.token(rejected="one")
    path.write_text("two\n")
    os.utime(path, ns=(1, 1))
    assert await source.token(rejected="one") == "two"
    path.write_bytes(b"\xff\xfe not a token")
    with pytest.raises(Unauthorized) as caught:
        await source.token()
    assert caught.value.fate is Fate.NOT_SENT
    assert str(path) in str(caught.value)
