"""How one POST to a receiver is made, and how its reply becomes an outcome."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from pydantic import SecretStr

from segwatch.deliveries.model import Accepted, Outcome, Rejected, Retryable
from segwatch.http_times import wish_of
from segwatch.notifiers.base import NotifierContext

_RETRY_STATUSES = frozenset({408, 425, 429})
_RETRY_AFTER_MAX = timedelta(days=365)  # past any maximum age; timedelta would overflow
_EXCERPT_MAX = 200
_REPLY_BYTES_MAX = 4096
_DRAIN_S = 1.0
_TELLING_MIN = 6  # runes: a shorter part of a URL ("hooks", "in", "v1") gives nothing away


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a receiver answered.

    headers: their names in any case. text: the beginning of the body as it came; it may repeat a secret, so it is never
    shown. shown: the same, with all secrets masked.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    shown: str

    @property
    def fields(self) -> dict[str, Any]:
        """The body, if it is a JSON object; else nothing."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def retry_after(reply: Reply) -> str:
    """Return how long a reply asks us to wait, in the words of `Retry-After`; "" when it does not."""
    return reply.headers.get("Retry-After", "")


def outcome_of(status: int, retry_after: str, body: str, *, now: datetime) -> Outcome:
    """Return what an HTTP reply means for the delivery.

    retry_after: the header, if any. body: what of the reply may be shown; it becomes part of the reason.
    A redirect is refused, not followed: it would hand the event to a host that nobody configured.
    """
    code = f"http_{status}"
    if 200 <= status <= 299:
        return Accepted()
    if 300 <= status <= 399:
        return Rejected(reason=f"{code}: redirects are not followed")
    excerpt = excerpt_of(body)
    reason = f"{code}: {excerpt}" if excerpt else code
    if status in _RETRY_STATUSES or status >= 500:
        return Retryable(reason=reason, retry_after=wish_of(retry_after, now, most=_RETRY_AFTER_MAX))
    return Rejected(reason=reason)


def excerpt_of(text: str) -> str:
    """Return the beginning of what a receiver said, in one line of what can be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_EXCERPT_MAX]


async def post(
    context: NotifierContext,
    url: SecretStr | str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    secrets: tuple[SecretStr, ...] = (),
    wish: Callable[[Reply], str] = retry_after,
) -> Outcome:
    """Return how one POST ended. Failures of the network may pass and are worth another attempt.

    url: text if it may be shown. secrets: what else no reason may show, even when the receiver repeats it. wish: where
    this receiver says how long to wait, in the form of a `Retry-After`.
    """
    reply = await exchange(context, url, body, headers, secrets=secrets)
    if isinstance(reply, Reply):
        return outcome_of(reply.status, wish(reply), reply.shown, now=context.now())
    return reply


async def exchange(
    context: NotifierContext,
    url: SecretStr | str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    secrets: tuple[SecretStr, ...] = (),
    reply_bytes: int = _REPLY_BYTES_MAX,
) -> Reply | Rejected | Retryable:
    """Return what was answered to one POST, for those who read more than its status; or why there was no answer."""
    address = url if isinstance(url, str) else url.get_secret_value()
    hidden = secrets if isinstance(url, str) else (url, *secrets)
    asked = {"User-Agent": "segwatch", "Accept-Encoding": "identity"} | dict(headers)
    timeout = aiohttp.ClientTimeout(total=context.timeout_s)
    try:
        async with context.session.post(
            address,
            data=body,
            headers=asked,
            timeout=timeout,
            allow_redirects=False,
            **context.route_to(address),
            auto_decompress=False,  # of a reply that decompresses into a gigabyte we would read all
        ) as reply:
            text = await _start_of(reply, reply_bytes)
            return Reply(status=reply.status, headers=reply.headers, text=text, shown=redacted(text, *hidden))
    except aiohttp.InvalidURL:
        return Rejected(reason="bad_url")
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        return Retryable(reason=_network_reason(exc))


def authorization(
    username: str, password: SecretStr | None, token: SecretStr | None
) -> tuple[dict[str, str], tuple[SecretStr, ...]]:
    """Return the header of a request by token or by password, none without either; and what of it is secret."""
    if token is not None:
        return {"Authorization": f"Bearer {token.get_secret_value()}"}, (token,)
    if password is None:
        return {}, ()
    both = SecretStr(base64.b64encode(f"{username}:{password.get_secret_value()}".encode()).decode())
    return {"Authorization": f"Basic {both.get_secret_value()}"}, (password, both)


def json_body(payload: Mapping[str, Any]) -> bytes:
    """Return the payload as JSON in UTF-8, each rune as itself: receivers count runes, and bytes."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


async def _start_of(reply: aiohttp.ClientResponse, most: int) -> str:
    """Return the first bytes of a reply as text. What was accepted stays so, however the reply goes on."""
    found = bytearray()
    try:
        async with asyncio.timeout(_DRAIN_S):
            while len(found) < most:
                chunk = await reply.content.read(most - len(found))
                if not chunk:
                    break
                found += chunk
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass  # the status has been read, and it decides
    return found.decode("utf-8", "replace")


def _network_reason(exc: Exception) -> str:
    """Return one word of a small set: what exceptions of the network say of themselves may name the URL."""
    match exc:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return "tls"
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ClientConnectionError() | OSError():
            return "connection_lost"
        case _:
            return "bad_reply"


def redacted(text: str, *secrets: SecretStr) -> str:
    """Return the text without the secrets, and without the parts of those that are URLs."""
    for part in _telling_parts(secrets):
        text = text.replace(part, "[redacted]")
    return text


def _telling_parts(secrets: tuple[SecretStr, ...]) -> list[str]:
    """Return what must not be shown, longest first: 404 pages repeat the path, which is a webhook's secret."""
    told: list[str | None] = []
    for secret in secrets:
        whole = secret.get_secret_value()
        told.append(whole)
        if "://" in whole:
            parts = urlsplit(whole)
            pieces = [*parts.path.split("/"), *parts.query.replace("=", "&").split("&")]
            told += [parts.path, parts.query, parts.username, parts.password, *pieces]
    known = {form for one in told if one for form in (one, unquote(one)) if len(form) >= _TELLING_MIN}
    return sorted(known, key=len, reverse=True)
