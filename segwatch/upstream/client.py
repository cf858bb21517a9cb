"""The platform's API in the name of one sandbox: one call, one try, one answer or one error that says what to do."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from weakref import WeakValueDictionary

import aiohttp
import msgspec
from yarl import URL

from segwatch.backoff import Backoff
from segwatch.kinds.base import Request
from segwatch.kinds.excerpts import excerpt
from segwatch.upstream.budget import Share
from segwatch.upstream.envelopes import Complaint, complaint_of, is_complaint, retry_after_of, words_of
from segwatch.upstream.errors import BadReply, Fate, UpstreamError
from segwatch.upstream.json_bodies import is_json, mended_beside
from segwatch.upstream.platform_clock import PlatformClock
from segwatch.upstream.redaction import Redactor
from segwatch.upstream.streaming import Opened, beginning, open_exchange
from segwatch.upstream.tokens import TokenSource
from segwatch.upstream.verdicts import failure_of
from segwatch.upstream.wire import BODY_MAX_BYTES, USER_AGENT, Endpoint, Reply, Timeouts, exchange, proxy_for

A = TypeVar("A", Reply, Opened)

_COMPLAINT_MAX_BYTES = 16 * 1024
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

        now: wall clock, for dates in answers. monotonic: seconds of a clock that is never set; without it the running
        loop's clock is used.
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
        self._clock = PlatformClock(now, self._monotonic)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def patience(self) -> timedelta:
        """How long one call may take at most: a new token, the wait for the budget and the exchange, each twice."""
        return 2 * (2 * self._endpoint.timeouts.total + self._max_wait)

    @property
    def sandbox(self) -> str:
        """The sandbox's name."""
        return self._sandbox.name

    @property
    def base_url(self) -> str:
        """Where the platform is; never with a secret in it."""
        return str(self._base)

    @property
    def clock_behind(self) -> timedelta:
        """By how much the platform's clock is behind ours, as in `PlatformClock`."""
        return self._clock.behind

    @property
    def clock_shows(self) -> datetime | None:
        """What the platform's clock shows, as in `PlatformClock`."""
        return self._clock.shows

    def turn(self, what: str) -> asyncio.Lock:
        """Return the lock under which those who share this client do `what`, one after the other."""
        return self._turns.setdefault(what, asyncio.Lock())

    async def call(self, request: Request, *, before_send: Callable[[], Awaitable[None]] | None = None) -> Reply:
        """Return the answer: any 2xx, its body whole JSON or empty; what was no strict JSON is made so.

        before_send: awaited when nothing but the connection stands between us and the request's bytes, and again before
        the second try after a 401. What it raises ends the call before anything was sent.
        Raises an UpstreamError; its `fate` says what became of the request.
        """
        what = f"Sandbox {self._sandbox.name}: {request.method} {request.endpoint}"
        try:
            reply = await self._renewing(lambda token: self._send(request, token, what, before_send))
            body, faults = await mended_beside(reply.body)
            reply = replace(reply, body=body, faults=faults)
            if 200 <= reply.status < 300:
                return self._checked(reply, what)
            raise self._failure(reply, what)
        except UpstreamError as exc:
            exc.hide(self.redactor)
            raise

    @asynccontextmanager
    async def stream(
        self, request: Request, *, headers: Mapping[str, str], timeouts: Timeouts
    ) -> AsyncIterator[Opened]:
        """Yield the answer to a request without a body while it comes: any 2xx, its bytes as they are.

        headers: more of them, or others. Raises an UpstreamError, also while the chunks are read.
        """
        what = f"Sandbox {self._sandbox.name}: {request.method} {request.endpoint}"
        async with AsyncExitStack() as exchanges:

            async def send(token: str) -> Opened:
                await exchanges.aclose()  # the one that was rejected
                await self._budget.acquire(max_wait=self._max_wait, what=what)
                answered = exchanges.enter_context(self._metered(request))
                opened = await exchanges.enter_async_context(
                    open_exchange(
                        self._session, request.method, self._url(request), headers={**self._headers(token), **headers},
                        timeouts=timeouts, proxy=self._proxy, what=what, mask=self.redactor,
                    )
                )  # fmt: skip
                answered(opened.status)
                return opened

            try:
                opened = await self._renewing(send)
                if not 200 <= opened.status < 300:
                    body = await beginning(opened.chunks, _COMPLAINT_MAX_BYTES)
                    raise self._failure(Reply(status=opened.status, body=body, headers=opened.headers), what)
                yield opened
            except UpstreamError as exc:
                exc.hide(self.redactor)
                raise

    async def _renewing(self, send: Callable[[str], Awaitable[A]]) -> A:
        """Return what `send` answers to a token; to a new one where the first is rejected."""
        token = await self._token()
        reply = await send(token)
        if reply.status == 401 and self._monotonic() >= self._no_renewal_until:
            # answered by the gateway before any service saw it, so sending it again is safe, a POST too
            token = await self._token(rejected=token)
            reply = await send(token)
            if reply.status == 401 and self._monotonic() >= self._no_renewal_until:
                self._vain_renewals += 1
                wait = _AFTER_VAIN_RENEWAL.ceiling(self._vain_renewals)
                self._no_renewal_until = self._monotonic() + wait.total_seconds()
        if reply.status != 401:
            self._tokens.accepted(token)
            self._vain_renewals, self._no_renewal_until = 0, 0.0
        return reply

    async def _token(self, *, rejected: str | None = None) -> str:
        token = await self._tokens.token(rejected=rejected)
        self.redactor.know(token, owner=self._sandbox.api_key)
        return token

    async def _send(
        self, request: Request, token: str, what: str, before_send: Callable[[], Awaitable[None]] | None
    ) -> Reply:
        url = self._url(request)
        data = None if request.body is None else msgspec.json.encode(request.body)
        headers = self._headers(token)
        if data is not None:
            headers["Content-Type"] = "application/json"
        await self._budget.acquire(max_wait=self._max_wait, what=what)
        if before_send is not None:
            await before_send()
        with self._metered(request) as answered:
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
            answered(reply.status)
            self._clock.told(reply.headers)
        asked_as = headers["x-request-id"]
        return replace(reply, headers=reply.headers | {"x-request-id": self._request_id(reply) or asked_as})

    def _headers(self, token: str) -> dict[str, str]:
        return {
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

    @contextmanager
    def _metered(self, request: Request) -> Iterator[Callable[[int], None]]:
        """Tell of one exchange when it ends; the body says which status came."""
        clock = asyncio.get_running_loop().time
        began = clock()
        code = "cancelled"

        def answered(status: int) -> None:
            nonlocal code
            code = str(status)

        try:
            yield answered
        except UpstreamError as exc:
            code = exc.reason
            raise
        finally:
            self._observe(
                Call(sandbox=self._sandbox.name, endpoint=request.endpoint, code=code, seconds=clock() - began)
            )

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
        retry_after = None
        if reply.status == 429:
            retry_after = retry_after_of(reply.headers, said, self._now())
            self._budget.throttled(retry_after)
        text = f"{what}: {reply.status} {self._told(said, reply)}"
        return failure_of(reply.status, said.code, text, retry_after=retry_after)

    def _told(self, said: Complaint, reply: Reply) -> str:
        request_id = said.request_id or reply.headers.get("x-request-id", "unknown")
        return f"{words_of(said, reply.status)} [request {request_id}]"

    def _request_id(self, reply: Reply) -> str:
        return excerpt(self.redactor(reply.headers.get("x-request-id", "")).encode(), length=80)
