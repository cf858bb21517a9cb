"""One HTTP exchange: sent once, answered within limits, and every way to fail given a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from segwatch import __version__
from segwatch.upstream.errors import BadReply, Fate, Unavailable, UpstreamError

USER_AGENT = f"segwatch/{__version__}"
BODY_MAX_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_CONNECTIONS_MAX = 32
_KEEP_IDLE_S = 10.0  # below the idle limits of gateways: a POST on a connection that just closed is a lost answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """connect: waiting for a connection, opened or from the pool. read: silence in the middle. total: all of it."""

    connect: timedelta = timedelta(seconds=10)
    read: timedelta = timedelta(seconds=30)
    total: timedelta = timedelta(seconds=90)

    def as_aiohttp(self) -> aiohttp.ClientTimeout:
        """Return the same with every field set: a field left out is no limit at all."""
        connect_s = self.connect.total_seconds()
        return aiohttp.ClientTimeout(
            total=self.total.total_seconds(),
            connect=connect_s,
            sock_connect=connect_s,
            sock_read=self.read.total_seconds(),
            ceil_threshold=5,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the platform and its identity service are. trust_env: honour HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""

    base_url: str
    ims_url: str
    timeouts: Timeouts = field(default_factory=Timeouts)
    trust_env: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The proxy on the way to one host. headers: what it wants to see when it is asked to connect."""

    url: URL
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with its whole body, decompressed.

    headers: names in lower case. faults: what was wrong with the body before it was mended, in words.
    """

    status: int
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    faults: tuple[str, ...] = ()


def open_session() -> aiohttp.ClientSession:
    """Return a session for the platform: no cookies, bounded connections, certificates checked.

    Its `trust_env` stays off, since aiohttp would then mix in credentials from ~/.netrc: `proxy_for` finds proxies.
    """
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS_MAX, keepalive_timeout=_KEEP_IDLE_S)
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=Timeouts().as_aiohttp()
    )


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that the environment names for `url`; None when it is reached directly."""
    target = URL(url)
    if target.host is None or proxy_bypass(target.host):
        return None
    proxies = getproxies()
    given = proxies.get(target.scheme) or proxies.get("all")
    if not given:
        return None
    proxy = URL(given if "://" in given else f"http://{given}")
    headers = {}
    if proxy.user:
        headers["Proxy-Authorization"] = aiohttp.encode_basic_auth(proxy.user, proxy.password or "")
    return Proxy(url=proxy.with_user(None), headers=headers)


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    headers: Mapping[str, str],
    data: bytes | None,
    timeouts: Timeouts,
    proxy: Proxy | None,
    what: str,
    mask: Callable[[str], str],
    body_max_bytes: int = BODY_MAX_BYTES,
) -> Reply:
    """Send one request and return its answer, whatever its status. Redirects are not followed.

    what: who asks for what, the opening of every error text. mask: takes secrets out of what the other side sent.
    Raises Unavailable, or BadReply for what is no HTTP answer or too large; their `fate` tells whether the request can
    have taken effect.
    """
    try:
        async with session.request(
            method,
            url,
            headers=headers,
            data=data,
            timeout=timeouts.as_aiohttp(),
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers=proxy.headers if proxy else None,
        ) as response:
            try:
                body = await _read(response, body_max_bytes, what)
            except (UpstreamError, aiohttp.ClientError, TimeoutError, OSError):
                if response.status < 400:
                    raise
                body = b""  # the status says enough, and it did arrive
            return Reply(status=response.status, body=body, headers=in_lower_case(response.headers))
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise failure(exc, what, mask) from exc


def in_lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers by their names in lower case; of several with one name the last."""
    return {name.lower(): value for name, value in headers.items()}


async def _read(response: aiohttp.ClientResponse, limit: int, what: str) -> bytes:
    """Return the body, counted while it is decompressed, so that a bomb is dropped before it unfolds."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        size += len(chunk)
        if size > limit:
            response.close()
            text = f"{what}: the answer is larger than {limit // (1024 * 1024)} MiB. Ask for fewer rows at a time."
            raise BadReply(text, fate=Fate.LOST, reason="too_large", status=response.status)
        chunks.append(chunk)
    return b"".join(chunks)


_FAILURES: tuple[tuple[type[BaseException], Fate, str, str], ...] = (
    (aiohttp.ClientConnectorDNSError, Fate.NOT_SENT, "dns", "its name cannot be resolved"),
    (aiohttp.ClientConnectorCertificateError, Fate.NOT_SENT, "tls", "its certificate is not trusted"),
    (aiohttp.ClientSSLError, Fate.NOT_SENT, "tls", "TLS could not be set up"),
    (aiohttp.ServerFingerprintMismatch, Fate.NOT_SENT, "tls", "TLS could not be set up"),
    (aiohttp.ClientProxyConnectionError, Fate.NOT_SENT, "proxy", "the proxy cannot be reached"),
    (aiohttp.ClientHttpProxyError, Fate.NOT_SENT, "proxy", "the proxy refused to connect"),
    (aiohttp.ClientConnectorError, Fate.NOT_SENT, "connect", "the connection was not accepted"),
    (aiohttp.ConnectionTimeoutError, Fate.NOT_SENT, "connect_timeout", "no connection in time"),
    (aiohttp.InvalidURL, Fate.NOT_SENT, "url", "the address is not valid"),
    (TimeoutError, Fate.LOST, "timeout", "no answer in time"),
    (aiohttp.ServerDisconnectedError, Fate.LOST, "disconnected", "the connection closed without an answer"),
    (aiohttp.ClientPayloadError, Fate.LOST, "truncated", "the answer broke off"),
    (OSError, Fate.LOST, "reset", "the connection broke"),
    (aiohttp.ClientError, Fate.LOST, "broken", "the exchange failed"),
)


def failure(exc: BaseException, what: str, mask: Callable[[str], str]) -> UpstreamError:
    """Return what it means that aiohttp or the operating system ended an exchange with `exc`."""
    if isinstance(exc, aiohttp.ClientResponseError) and not isinstance(exc, aiohttp.ClientHttpProxyError):
        said = mask(exc.message)
        return BadReply(f"{what}: the answer is not HTTP ({said[:80]!r})", fate=Fate.LOST, reason="garbage")
    _, fate, reason, words = next(row for row in _FAILURES if isinstance(exc, row[0]))
    return Unavailable(f"{what}: {words} ({type(exc).__name__})", fate=fate, reason=reason)
