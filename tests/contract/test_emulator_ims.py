"""Tokens: how they are asked for, refused, and made invalid."""

import pytest
from emulator_fixtures import CREDENTIALS, SEGMENT_JOBS, emulating


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
@pytest.mark.parametrize("place", ["data", "params"])
async def test_a_token_is_issued_for_parameters_in_the_body_or_in_the_query(platform, version, place):
    reply = await platform.call("POST", f"/ims/token/{version}", **{place: CREDENTIALS})
    assert reply.status == 200
    assert reply.body["token_type"] == "bearer"
    assert reply.body["expires_in"] == 86_399
    headers = {"Authorization": f"Bearer {reply.body['access_token']}"}
    assert (await platform.call("GET", SEGMENT_JOBS, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"grant_type": ""}, "invalid_request", "grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type", "password"),
        ({"client_id": ""}, "invalid_client", "invalid client_id parameter"),
        ({"client_secret": ""}, "invalid_client", "invalid client_secret parameter"),
        ({"scope": ""}, "invalid_scope", "scope"),
    ],
)
async def test_a_bad_token_request_is_refused_in_the_words_of_ims(platform, change, error, words):
    reply = await platform.call("POST", "/ims/token/v3", data=CREDENTIALS | change)
    assert reply.status == 400
    assert reply.body["error"] == error
    assert words in reply.body["error_description"]


async def test_fixed_credentials_are_the_only_ones_accepted():
    async with emulating(client_id="an-id", client_secret="right", token_lifetime_s=60) as platform:
        wrong = await platform.call("POST", "/ims/token/v3", data=CREDENTIALS)
        assert wrong.body == {
            "error": "invalid_client",
            "error_description": "invalid client_secret parameter",
        }
        right = await platform.call("POST", "/ims/token/v3", data=CREDENTIALS | {"client_secret": "right"})
        assert right.body["expires_in"] == 60
        headers = {"Authorization": f"Bearer {right.body['access_token']}", "x-api-key": "another"}
        assert (await platform.call("GET", SEGMENT_JOBS, headers=headers)).body["error_code"] == "403003"


async def test_expiring_the_tokens_makes_the_next_call_a_401_and_a_new_token_cures_it(platform):
    assert await platform.control("tokens/expire") == {"expired": 1}
    reply = await platform.call("GET", SEGMENT_JOBS)
    assert (reply.status, reply.body) == (
        401,
        {"error_code": "401013", "message": "Oauth token is not valid"},
    )
    await platform.log_in()
    assert (await platform.call("GET", SEGMENT_JOBS)).status == 200
    assert (await platform.ledger())["tokens_issued"] == 2


async def test_an_unknown_ims_route_is_a_404_in_the_words_of_ims(platform):
    reply = await platform.call("POST", "/ims/exchange/jwt")
    assert reply.status == 404
    assert reply.body["error"] == "not_found"
