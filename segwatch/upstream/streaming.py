"""An answer whose body is read while it comes, for what does not fit into memory."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from segwatch.upstream.wire import Proxy, Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An answer that has begun. headers: names in lower case. chunks: the body's bytes, once."""

    status: int
    headers: dict[str, str] = field(repr=False)
    chunks: AsyncIterator[bytes] = field(repr=False)


def open_exchange(
    session: aiohttp.ClientSession, method: str, url: URL, *, headers: Mapping[str, str], timeouts: Timeouts,
    proxy: Proxy | None, what: str, mask: Callable[[str], str],
) -> AbstractAsyncContextManager[Opened]:  # fmt: skip
    """Return the answer to one request, whatever its status; redirects are not followed.

    what, mask: as in `wire.exchange`. Raises Unavailable or BadReply, also while chunks are read.
    """
    raise NotImplementedError


async def beginning(chunks: AsyncIterator[bytes], most_bytes: int) -> bytes:
    """Return the first bytes of a body, about `most_bytes` of them: the next chunk may go beyond."""
    got = b""
    async for chunk in chunks:
        got += chunk
        if len(got) >= most_bytes:
            break
    return got
