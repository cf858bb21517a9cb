"""The platform's API in the name of one sandbox: one call, one try, one answer or one error that says what to do."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import aiohttp
import msgspec
from yarl import URL

from segwatch.backoff import Backoff
from segwatch.http_times import date_of
from segwatch.kinds.base import Request
from segwatch.kinds.excerpts import excerpt
from segwatch.upstream.budget import Share
from segwatch.upstream.envelopes import Complaint, complaint_of, is_complaint, retry_after_of
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
from segwatch.upstream.redaction import Redactor, is_json
from segwatch.upstream.tokens import TokenSource
from segwatch.upstream.wire import BODY_MAX_BYTES, USER_AGENT, Endpoint, Reply, exchange, proxy_for

# the gateway's codes and what a person can do about them (AEP contract 1.3)
_ADVICE = {
    "401013": "The token was renewed once and is still not valid: check client_id, client_secret and org_id",
    "403000": "Check client_id: the platform saw no API key",
    "403003": "Check client_id: the platform does not know this API key",
    "403010": "The platform saw no token; something on the way may have removed the Authorization header",
    "403023": "Check that the credential's product profile covers this organization",
    "403025": "Check org_id, and that the credential's product profile covers this organization",
    "403027": "Check org_id (it ends in @AdobeOrg), and that the credential has a product profile",
    "400003": "Check org_id",
}
_ADVICE_403 = (
    "Ask an administrator for the permissions of this sandbox: Manage Segments, Evaluate a segment, View Datasets"
)
_COMPARED_FOR_S = 3600.0
_CLOCKS_APART_MAX = timedelta(days=1)  # more is no clock's error, but a header that somebody made up
_AFTER_VAIN_RENEWAL = Backoff(first=timedelta(seconds=30), cap=timedelta(minutes=5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """In whose name calls are made. api_key: the credential's client id; it is in no text and no repr."""

    name: str
    org_id: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP exchange, for metrics. code: the status, or one word for what broke; from a small closed set."""

    sandbox: str
    endpoint: str
    code: str
    seconds: float


class PlatformClient:
    """Calls the platform for one sandbox. It tries once, and once more after renewing a token.

    When the new token is rejected too, it asks for no other for a while: others may share the credential.
    clock_behind: by how much the platform's clock is behind ours, to a second or so: the least that an answer of the
    last hour told. Less than zero if it is ahead, zero while nothing is known.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        sandbox: Identity,
        endpoint: Endpoint,
        tokens: TokenSource,
        budget: Share,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] | None = None,
        observe: Callable[[Call], None] = lambda call: None,
        redactor: Redactor | None = None,
        max_wait: timedelta = timedelta(seconds=30),
        body_max_bytes: int = BODY_MAX_BYTES,
    ) -> None:
        """redactor: what masks secrets; it learns the tokens that are used.

        now: wall clock, for dates in answers. Without `monotonic` the running loop's clock is used.
        max_wait: how long a call may stand in line for the budget. body_max_bytes: of an answer, decompressed.
        """
        self._session = session
        self._sandbox = sandbox
        self._endpoint = endpoint
        self._base = URL(endpoint.base_url.rstrip("/"), encoded=True)
        self._proxy = proxy_for(endpoint.base_url) if endpoint.trust_env else None
        self._tokens = tokens
        self._budget = budget
        self._now = now
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._observe = observe
        self.redactor = redactor or Redactor(ids=(sandbox.api_key,))
        self._max_wait = max_wait
        self._body_max_bytes = body_max_bytes
        self._vain_renewals = 0
        self._no_renewal_until = 0.0
        self.clock_behind = timedelta()
        self._compared_s: float | None = None

    @property
    def patience(self) -> timedelta:
        """How long one call may take at most: a new token, the wait for the budget and the exchange, each twice."""
        return 2 * (2 * self._endpoint.timeouts.total + self._max_wait)

    @property
    def sandbox(self) -> str:
        """The sandbox's name."""
        return self._sandbox.name

    async def call(self, request: Request) -> Reply:
        """Return the answer: any 2xx, its body whole JSON or empty.

        Raises an UpstreamError; its `fate` says what became of the request.
        """
        try:
            return await self._call(request, f"Sandbox {self._sandbox.name}: {request.method} {request.endpoint}")
        except UpstreamError as exc:
            exc.hide(self.redactor)
            raise

    async def _call(self, request: Request, what: str) -> Reply:
        token = await self._token()
        reply = await self._send(request, token, what)
        if reply.status == 401 and self._monotonic() >= self._no_renewal_until:
            # answered by the gateway before any service saw it, so sending it again is safe, a POST too
            token = await self._token(rejected=token)
            reply = await self._send(request, token, what)
            if reply.status == 401 and self._monotonic() >= self._no_renewal_until:
                self._vain_renewals += 1
                wait = _AFTER_VAIN_RENEWAL.ceiling(self._vain_renewals)
                self._no_renewal_until = self._monotonic() + wait.total_seconds()
        if reply.status != 401:
            self._tokens.accepted(token)
            self._vain_renewals, self._no_renewal_until = 0, 0.0
        if 200 <= reply.status < 300:
            return self._checked(reply, what)
        raise self._failure(reply, what)

    async def _token(self, *, rejected: str | None = None) -> str:
        token = await self._tokens.token(rejected=rejected)
        self.redactor.know(token, owner=self._sandbox.api_key)
        return token

    async def _send(self, request: Request, token: str, what: str) -> Reply:
        url = self._url(request)
        data = None if request.body is None else msgspec.json.encode(request.body)
        headers = {
            "Authorization": f"Bearer {token}",
            "x-api-key": self._sandbox.api_key,
            "x-gw-ims-org-id": self._sandbox.org_id,
            "x-sandbox-name": self._sandbox.name,
            "x-request-id": str(uuid.uuid4()),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Cache-Control": "no-cache",  # what a cache kept from before is no news
            "User-Agent": USER_AGENT,
        }
        if data is not None:
            headers["Content-Type"] = "application/json"
        await self._budget.acquire(max_wait=self._max_wait, what=what)
        clock = asyncio.get_running_loop().time
        began = clock()
        code = "cancelled"
        try:
            reply = await exchange(
                self._session,
                request.method,
                url,
                headers=headers,
                data=data,
                timeouts=self._endpoint.timeouts,
                proxy=self._proxy,
                what=what,
                mask=self.redactor,
                body_max_bytes=self._body_max_bytes,
            )
            code = str(reply.status)
            self._compare_clocks(reply)
        except UpstreamError as exc:
            code = exc.reason
            raise
        finally:
            self._observe(
                Call(
                    sandbox=self._sandbox.name,
                    endpoint=request.endpoint,
                    code=code,
                    seconds=clock() - began,
                )
            )
        return Reply(
            status=reply.status,
            body=reply.body,
            headers=reply.headers | {"x-request-id": self._request_id(reply) or headers["x-request-id"]},
        )

    def _compare_clocks(self, reply: Reply) -> None:
        told = date_of(reply.headers.get("date", ""))
        if told is None or abs(behind := self._now() - told) > _CLOCKS_APART_MAX:
            return
        # an answer that came late, or from a cache, makes the difference seem larger: the least of an hour is nearest
        now_s = self._monotonic()
        is_old = self._compared_s is None or now_s - self._compared_s > _COMPARED_FOR_S
        if is_old or behind < self.clock_behind:
            self.clock_behind, self._compared_s = behind, now_s

    def _url(self, request: Request) -> URL:
        """Return the address; always on the configured host, the only one that may see the token."""
        url = URL(f"{self._base}{request.path}", encoded=True)
        if not request.path.startswith("/") or url.origin() != self._base.origin():
            raise ValueError(f"A request's path begins with one slash: {request.path!r}")
        return url.with_query(list(request.params)) if request.params else url

    def _checked(self, reply: Reply, what: str) -> Reply:
        if is_complaint(reply.body):
            said = complaint_of(reply.body, self.redactor)
            text = f"{what}: {reply.status}, but the body is an error: {self._told(said, reply)}"
            raise BadReply(text, fate=Fate.LOST, reason="error_as_success", status=reply.status, code=said.code)
        body = self.redactor.body(reply.body)
        if body.strip() and not is_json(body):
            shown = excerpt(self.redactor(body.decode(errors="replace")).encode())
            text = f"{what}: {reply.status}, but the body is not JSON: {shown}"
            raise BadReply(text, fate=Fate.LOST, reason="not_json", status=reply.status)
        return replace(reply, body=body)

    def _failure(self, reply: Reply, what: str) -> UpstreamError:
        said = complaint_of(reply.body, self.redactor)
        status, code = reply.status, said.code
        text = f"{what}: {status} {self._told(said, reply)}"
        reason = f"http_{status}"
        if status == 429:
            retry_after = retry_after_of(reply.headers, said, self._now())
            self._budget.throttled(retry_after)
            return RateLimited(text, retry_after=retry_after, fate=Fate.ANSWERED, code=code)
        if status in (401, 403) or code in _ADVICE:
            advice = _ADVICE.get(code, _ADVICE_403 if status == 403 else _ADVICE["401013"])
            return Unauthorized(f"{text}. {advice}.", fate=Fate.ANSWERED, reason=reason, status=status, code=code)
        if status in (404, 410):
            return NotFound(text, fate=Fate.ANSWERED, reason=reason, status=status, code=code)
        if status in (502, 504):
            # a gateway's word, not the service's: the service may be busy with the request
            return Unavailable(text, fate=Fate.LOST, reason=reason, status=status, code=code)
        if status >= 500 or status in (408, 425):
            return Unavailable(text, fate=Fate.ANSWERED, reason=reason, status=status, code=code)
        if status >= 400:
            return Refused(text, fate=Fate.ANSWERED, reason=reason, status=status, code=code)
        hint = (
            "redirects are not followed, since the token must not leave the configured host. Check [platform].base_url"
        )
        return BadReply(f"{text}: {hint}.", fate=Fate.LOST, reason=reason, status=status, code=code)

    def _told(self, said: Complaint, reply: Reply) -> str:
        words = " ".join(part for part in (said.code, said.words) if part)
        return f"{words or '(no body)'} [request {said.request_id or reply.headers['x-request-id']}]"

    def _request_id(self, reply: Reply) -> str:
        return excerpt(self.redactor(reply.headers.get("x-request-id", "")).encode(), length=80)
