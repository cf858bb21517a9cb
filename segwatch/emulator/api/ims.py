"""The identity service: access tokens for client credentials. AEP contract 2."""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from segwatch.emulator.envelopes import ImsError, ServiceError, answer
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.world import World


class Ims:
    """`POST /ims/token/v3` and its older versions; parameters come in the body or in the query. A JWT needs a quirk."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        tokens = [web.post(f"/ims/token/{version}", self._token) for version in ("v3", "v2", "v1")]
        return [*tokens, web.post("/ims/exchange/jwt", self._exchange)]

    async def _token(self, request: web.Request) -> web.Response:
        form = await _form(request)
        given = dict(request.query) | {name: value for name, value in form.items() if isinstance(value, str)}
        self._check_grant(given)
        self._check_client(given)
        if not given.get("scope", "").strip():
            raise ImsError("invalid_scope", "scope is missing")
        return self._issued(given, per_second=1)

    async def _exchange(self, request: web.Request) -> web.Response:
        """Answer the old way to a token, whose lifetime is told in milliseconds. AEP contract 2.2."""
        if Quirk.JWT_EXCHANGE not in self._world.quirks:
            raise ServiceError(404, "Tokens are not exchanged for a JWT any more: ask /ims/token/v3.")
        given = {name: value for name, value in (await _form(request)).items() if isinstance(value, str)}
        self._check_client(given)
        if given.get("jwt_token", "").count(".") != 2:
            raise ImsError("invalid_token", "Could not match JWT signature to any of the bindings")
        return self._issued(given, per_second=1000)

    def _issued(self, given: dict[str, str], *, per_second: int) -> web.Response:
        token = self._world.tokens.issue(given["client_id"])
        self._world.ledger.count_token()
        expires_in = self._world.tokens.lifetime_s * per_second
        return answer({"access_token": token, "token_type": "bearer", "expires_in": expires_in})

    def _check_grant(self, given: dict[str, str]) -> None:
        match given.get("grant_type"):
            case None | "":
                raise ImsError("invalid_request", "grant_type is missing")
            case "client_credentials":
                pass
            case other:
                raise ImsError("unsupported_grant_type", f"grant_type is {other}: write client_credentials")

    def _check_client(self, given: dict[str, str]) -> None:
        settings = self._world.settings
        for name, fixed in (("client_id", settings.client_id), ("client_secret", settings.client_secret)):
            value = given.get(name, "")
            if not value or fixed not in (None, value):
                raise ImsError("invalid_client", f"invalid {name} parameter")


async def _form(request: web.Request) -> Mapping[str, object]:
    try:
        return await request.post()
    except (
        ValueError,
        LookupError,
        HttpProcessingError,
    ) as exc:  # parts without a boundary, a length, a charset or an encoding that there is
        raise ImsError("invalid_request", f"The body is no form: {exc}") from exc
