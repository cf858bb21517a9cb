"""When a ready token ends, by its own claims."""

import base64
from datetime import UTC, datetime

import msgspec
import pytest
from pydantic import SecretStr

from segwatch.upstream.tokens import FixedToken, FixedTokens, end_of


def jwt(claims: object) -> str:
    body = base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")
    return f"aGVhZA.{body}.c2lnbg"


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("token", "end"),
    [
        pytest.param(jwt({"exp": SECONDS}), NOON, id="by-the-standard"),
        pytest.param(jwt({"created_at": str((SECONDS - 86400) * 1000), "expires_in": "86400000"}), NOON, id="by-adobe"),
        pytest.param(jwt({"exp": "soon"}), None, id="no-time"),
        pytest.param(jwt([1]), None, id="no-object"),
        pytest.param("a.!!.b", None, id="no-base64"),
        pytest.param("a.e30.b", None, id="no-claims"),
        pytest.param("opaque-token", None, id="no-jwt"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_token_ends_when_it_says_so(token, end):
    assert end_of(token) == end


def test_a_token_of_the_settings_is_never_renewed_by_us():
    tokens = FixedTokens(FixedToken(client_id="c", token=SecretStr(jwt({"exp": SECONDS}))))
    assert (tokens.expires_at, tokens.renews, tokens.trouble) == (NOON, False, "")
