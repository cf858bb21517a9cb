"""The identity service: access tokens for client credentials. AEP contract 2."""

from aiohttp import web

from segwatch.emulator.envelopes import ImsError, answer
from segwatch.emulator.world import World


class Ims:
    """`POST /ims/token/v3` and its older versions; parameters come in the body or in the query."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        return [web.post(f"/ims/token/{version}", self._token) for version in ("v3", "v2", "v1")]

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        given = dict(request.query) | {name: value for name, value in form.items() if isinstance(value, str)}
        self._check(given)
        token = self._world.tokens.issue(given["client_id"])
        self._world.ledger.count_token()
        lifetime_s = self._world.tokens.lifetime_s
        return answer({"access_token": token, "token_type": "bearer", "expires_in": lifetime_s})

    def _check(self, given: dict[str, str]) -> None:
        settings = self._world.settings
        match given.get("grant_type"):
            case None | "":
                raise ImsError("invalid_request", "grant_type is missing")
            case "client_credentials":
                pass
            case other:
                raise ImsError("unsupported_grant_type", f"grant_type is {other}: write client_credentials")
        for name, fixed in (("client_id", settings.client_id), ("client_secret", settings.client_secret)):
            value = given.get(name, "")
            if not value or fixed not in (None, value):
                raise ImsError("invalid_client", f"invalid {name} parameter")
        if not given.get("scope", "").strip():
            raise ImsError("invalid_scope", "scope is missing")
