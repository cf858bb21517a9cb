"""Access tokens: fetched once for everybody who shares a credential, renewed early, never asked for in a hurry."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

import aiohttp
import msgspec
from pydantic import SecretStr
from yarl import URL

from segwatch.backoff import Backoff
from segwatch.kinds.fields import mapping, text, whole
from segwatch.upstream.envelopes import complaint_of, retry_after_of
from segwatch.upstream.errors import BadReply, Fate, RateLimited, Unauthorized, Unavailable, UpstreamError
from segwatch.upstream.json_bodies import mended
from segwatch.upstream.redaction import Redactor
from segwatch.upstream.tokens import FileTokens, FixedToken, FixedTokens, TokenFile, TokenSource, is_header_safe
from segwatch.upstream.wire import USER_AGENT, Endpoint, exchange, proxy_for

_PATH = "/ims/token/v3"
_MARGIN_MAX = timedelta(minutes=5)
_LIFE_UNKNOWN = timedelta(hours=1)
_SECONDS_MAX = 7 * 86_400  # a larger `expires_in` is milliseconds (AEP contract 2.2)
_ANSWER_MAX_BYTES = 1024 * 1024
_SPACING_S = 1.0  # between two requests for a token, whatever happens
_FAILURES_TOLD = 3  # in a row: one is the network's weather
_AFTER_REFUSAL = Backoff(first=timedelta(seconds=30), cap=timedelta(minutes=5))
_AFTER_SILENCE = Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """An OAuth server-to-server credential (AEP contract 2.1)."""

    client_id: str = field(repr=False)
    client_secret: SecretStr
    scopes: tuple[str, ...]


Credential = ClientSecret | TokenFile | FixedToken


class OAuthTokens:
    """Implements TokenSource by asking the identity service."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        credential: ClientSecret,
        *,
        endpoint: Endpoint,
        now: Callable[[], datetime],
        redactor: Redactor | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """now: wall clock, for expiry. Without `monotonic` the running loop's clock is used."""
        self._session = session
        self._credential = credential
        self._endpoint = endpoint
        self._proxy = proxy_for(endpoint.ims_url) if endpoint.trust_env else None
        self._now = now
        self._redactor = redactor or Redactor()
        learn(self._redactor, credential)
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._sleep = sleep
        self._flight = asyncio.Lock()
        self._token = ""
        self._accepted = ""  # the token that the platform took last, from any sandbox
        self._expires_at: datetime | None = None
        self._renew_at: datetime | None = None
        self._asked_at: float | None = None
        self._hold_until = 0.0
        self._failure: UpstreamError | None = None
        self._failures = 0
        self._rejections = 0  # fresh tokens in a row that the platform did not take

    @property
    def expires_at(self) -> datetime | None:
        """When the present token ends."""
        return self._expires_at

    @property
    def renews(self) -> bool:
        """Return True: a new token is asked for before the present one ends."""
        return True

    @property
    def trouble(self) -> str:
        """Why no new token could be got, the last times that it was tried; "" while all is well."""
        return str(self._failure) if self._failure and self._failures >= _FAILURES_TOLD else ""

    def accepted(self, token: str) -> None:
        """Take note that the platform took this token."""
        self._rejections = 0
        self._accepted = token

    async def token(self, *, rejected: str | None = None) -> str:
        """Return a token with some life left. One request at a time; who comes meanwhile waits and shares its result.

        While an early renewal fails, the old token is used up; so is one that the platform took from another sandbox.
        """
        if self._is_good(rejected):
            return self._token
        async with self._flight:
            if self._is_good(rejected):
                return self._token
            if rejected is not None and rejected == self._token and self._renew_at is not None:
                self._forget_rejected()
            return await self._renew(rejected)

    def _is_good(self, rejected: str | None) -> bool:
        fresh = self._renew_at is not None and self._now() < self._renew_at
        return bool(self._token) and fresh and self._token != rejected

    def _forget_rejected(self) -> None:
        self._renew_at = None
        if self._token != self._accepted:
            self._token, self._expires_at = "", None
        self._rejections += 1
        if self._rejections > 1:
            wait = _AFTER_SILENCE.ceiling(self._rejections - 1).total_seconds()
            self._hold(
                Unauthorized(
                    f"{self._what()} gives tokens that the platform rejects. Check that the credential belongs to the"
                    " sandbox's organization, and that both URLs are of one environment (production or stage).",
                    fate=Fate.NOT_SENT,
                    reason="token_rejected",
                    status=401,
                ),
                wait,
            )

    async def _renew(self, rejected: str | None) -> str:
        is_alive = self._expires_at is not None and self._now() < self._expires_at
        spare = self._token if is_alive and self._token != rejected else ""
        held_s = self._hold_until - self._monotonic()
        if self._failure is not None and held_s > 0:
            if spare:
                return spare
            raise self._failure.with_traceback(None)  # raised many times, it must not collect where from
        try:
            await self._space_out()
            self._keep(await self._ask())
        except UpstreamError as exc:
            exc.hide(self._redactor)
            self._failures += 1
            backoff = _AFTER_REFUSAL if isinstance(exc, Unauthorized) else _AFTER_SILENCE
            wait = backoff.ceiling(self._failures).total_seconds()
            if isinstance(exc, RateLimited) and exc.retry_after is not None:
                wait = max(wait, exc.retry_after.total_seconds())
            self._hold(exc, wait)
            if spare:
                return spare
            raise
        self._failure, self._failures = None, 0
        return self._token

    def _hold(self, failure: UpstreamError, seconds: float) -> None:
        self._failure, self._hold_until = failure, self._monotonic() + seconds

    async def _space_out(self) -> None:
        if self._asked_at is not None and (wait := self._asked_at + _SPACING_S - self._monotonic()) > 0:
            await self._sleep(wait)
        self._asked_at = self._monotonic()

    def _keep(self, answer: tuple[str, timedelta]) -> None:
        token, life = answer
        self._token = token
        self._redactor.know(token, owner=self._credential.client_id)
        self._expires_at = self._now() + life
        self._renew_at = self._expires_at - min(_MARGIN_MAX, life / 10)

    def _what(self) -> str:
        return f"The identity service {URL(self._endpoint.ims_url).host}"

    async def _ask(self) -> tuple[str, timedelta]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credential.client_id,
            "client_secret": self._credential.client_secret.get_secret_value(),
            "scope": ",".join(self._credential.scopes),
        }
        what = self._what()
        try:
            reply = await exchange(
                self._session,
                "POST",
                URL(self._endpoint.ims_url.rstrip("/") + _PATH, encoded=True),
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Accept": "application/json",
                    "User-Agent": USER_AGENT,
                },
                data=urlencode(form).encode(),
                timeouts=self._endpoint.timeouts,
                proxy=self._proxy,
                what=what,
                mask=self._redactor,
                body_max_bytes=_ANSWER_MAX_BYTES,
            )
        except UpstreamError as exc:
            exc.fate = Fate.NOT_SENT  # whatever became of this request, the call that needs the token was not made
            raise
        body, _ = mended(reply.body)
        if reply.status == 200:
            return _token_of(body, what)
        raise self._refusal(reply.status, body, reply.headers, what)

    def _refusal(self, status: int, body: bytes, headers: dict[str, str], what: str) -> UpstreamError:
        said = complaint_of(body, self._redactor)
        told = f"{what} answered {status} {said.code} ({said.words})" if said.words else f"{what} answered {status}"
        if status == 429:
            wait = retry_after_of(headers, said, self._now())
            return RateLimited(told, retry_after=wait, fate=Fate.NOT_SENT, code=said.code)
        if status == 408 or status >= 500:
            return Unavailable(told, fate=Fate.NOT_SENT, reason=f"ims_{status}", status=status)
        if status in (400, 401, 403):
            advice = _ADVICE.get(said.code, "Check client_id, client_secret and scopes against the Developer Console")
            return Unauthorized(
                f"{told}. {advice}.", fate=Fate.NOT_SENT, reason="credential", status=status, code=said.code
            )
        return BadReply(
            f"{told}. Check [platform].ims_url.", fate=Fate.NOT_SENT, reason="ims_status", status=status, code=said.code
        )


_ADVICE = {
    "invalid_client": "Check client_id and client_secret: the secret may have been rotated or deleted",
    "invalid_scope": "Check scopes: they must be those that the Developer Console shows for this credential",
    "unauthorized_client": "Check that the credential is an OAuth server-to-server one",
    "unsupported_grant_type": "Check that the credential is an OAuth server-to-server one",
}


def _token_of(body: bytes, what: str) -> tuple[str, timedelta]:
    """Return the token and its life. Raises BadReply without quoting the body, which may hold a token."""
    try:
        answer = mapping(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        answer = {}
    token = text(answer.get("access_token"))
    if not is_header_safe(token):
        hint = "no JSON" if not answer else "no access_token"
        raise BadReply(
            f"{what} answered 200 with {hint}. Check [platform].ims_url.", fate=Fate.NOT_SENT, reason="ims_body"
        )
    life = whole(answer.get("expires_in"))
    if life is None or life <= 0:
        return token, _LIFE_UNKNOWN
    return token, timedelta(milliseconds=life) if life > _SECONDS_MAX else timedelta(seconds=life)


def learn(redactor: Redactor, credential: Credential) -> None:
    """Let the redactor mask this credential's secrets; a token file's are made known when they are used."""
    redactor.know_id(credential.client_id)
    match credential:
        case ClientSecret():
            redactor.know(credential.client_secret.get_secret_value(), owner=credential.client_id, given=True)
        case FixedToken():
            redactor.know(credential.token.get_secret_value(), owner=credential.client_id, given=True)
        case TokenFile():
            pass


class TokenSources:
    """One source for each credential, however many sandboxes use it. redactor: learns all their secrets."""

    def __init__(
        self, session: aiohttp.ClientSession, *, endpoint: Endpoint, now: Callable[[], datetime], redactor: Redactor
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._now = now
        self._redactor = redactor
        self._sources: dict[Credential, TokenSource] = {}

    def of(self, credential: Credential) -> TokenSource:
        """Return the source of this credential's tokens, the same for equal credentials."""
        if credential not in self._sources:
            self._sources[credential] = self._open(credential)
        return self._sources[credential]

    def _open(self, credential: Credential) -> TokenSource:
        learn(self._redactor, credential)
        match credential:
            case TokenFile():
                return FileTokens(credential)
            case FixedToken():
                return FixedTokens(credential)
            case ClientSecret():
                return OAuthTokens(
                    self._session, credential, endpoint=self._endpoint, now=self._now, redactor=self._redactor
                )
