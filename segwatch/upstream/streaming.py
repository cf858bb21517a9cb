"""An answer whose body is read while it comes, for what does not fit into memory."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from segwatch.upstream.wire import Proxy, Timeouts, failure, in_lower_case

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An answer that has begun. headers: names in lower case. chunks: the body's bytes, once."""

    status: int
    headers: dict[str, str] = field(repr=False)
    chunks: AsyncIterator[bytes] = field(repr=False)


@asynccontextmanager
async def open_exchange(
    session: aiohttp.ClientSession, method: str, url: URL, *, headers: Mapping[str, str], timeouts: Timeouts,
    proxy: Proxy | None, what: str, mask: Callable[[str], str],
) -> AsyncIterator[Opened]:  # fmt: skip
    """Yield the answer to one request, whatever its status; redirects are not followed.

    what, mask: as in `wire.exchange`. A connection whose body was not read to its end is closed. Raises Unavailable or
    BadReply, also while chunks are read; what is raised in the block stays what it is.
    """
    try:
        response = await session.request(
            method,
            url,
            headers=headers,
            timeout=timeouts.as_aiohttp(),
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers=proxy.headers if proxy else None,
            read_bufsize=CHUNK_BYTES,
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise failure(exc, what, mask) from exc
    async with response:
        yield Opened(
            status=response.status,
            headers=in_lower_case(response.headers),
            chunks=_chunks(response.content, what, mask),
        )


async def beginning(chunks: AsyncIterator[bytes], most_bytes: int) -> bytes:
    """Return the first bytes of a body, about `most_bytes` of them: the next chunk may go beyond."""
    got = b""
    async for chunk in chunks:
        got += chunk
        if len(got) >= most_bytes:
            break
    return got


async def _chunks(content: aiohttp.StreamReader, what: str, mask: Callable[[str], str]) -> AsyncIterator[bytes]:
    try:
        async for chunk in content.iter_chunked(CHUNK_BYTES):
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise failure(exc, what, mask) from exc
