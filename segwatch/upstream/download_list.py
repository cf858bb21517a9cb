"""What a batch consists of, file by file, and the patience with which the platform is asked for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from segwatch.backoff import Backoff, spread
from segwatch.upstream import batches, files
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.download_folder import DownloadError, Manifest, Wanted
from segwatch.upstream.errors import BadReply, Fate, RateLimited, Refused, Unavailable, UpstreamError
from segwatch.upstream.files import Part
from segwatch.upstream.parts import PIECE_BYTES, content_range, places
from segwatch.upstream.wire import Timeouts

T = TypeVar("T")

_TIMEOUTS = Timeouts(read=timedelta(seconds=30), total=timedelta(seconds=120))
_BACKOFF = Backoff(first=timedelta(milliseconds=500), cap=timedelta(seconds=10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How files are asked for. vain_most: so many tries in a row without one new byte, and a file is given up."""

    piece_bytes: int = PIECE_BYTES
    timeouts: Timeouts = _TIMEOUTS
    backoff: Backoff = _BACKOFF
    vain_most: int = 5
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def listed(client: PlatformClient, batch_id: str, manner: Manner) -> Manifest:
    """Return what a batch consists of. Raises DownloadError for none that can be stored, UpstreamError."""
    parts, versions = [], []
    for file in await _patiently(lambda: _all(files.of_batch(client, batch_id)), manner):
        found_here = await _patiently(partial(_parts, client, file.id), manner)
        parts += found_here
        updated = file.updated_at.isoformat() if file.updated_at else ""
        versions += [" ".join(filter(None, (file.version, updated)))] * len(found_here)
    if not parts:
        batch = await batches.get(client, batch_id)
        raise DownloadError(f"Batch {batch_id} has no files; its status is {batch.status or 'not told'}")
    try:
        found = places([(part.file_id, part.name) for part in parts])
    except ValueError as exc:
        raise DownloadError(f"Batch {batch_id} has a file that cannot be stored: {exc}") from exc
    lengths = [await _patiently(partial(_length, client, part, manner), manner) for part in parts]
    wanted = tuple(
        Wanted(path=str(path), file_id=part.file_id, name=part.name, length_bytes=length, version=version)
        for part, path, length, version in zip(parts, found, lengths, versions, strict=True)
    )
    return Manifest(batch=batch_id, sandbox=client.sandbox, platform=client.base_url, files=wanted)


async def pause(manner: Manner, trouble: UpstreamError, vain: int, topic: str) -> None:
    """Wait before the next try, at least as long as the platform asked for. vain: tries in a row without success."""
    wait = manner.backoff.delay(max(1, vain), spread(f"{topic}/{vain}"))
    wish = trouble.retry_after if isinstance(trouble, RateLimited) else None
    await manner.sleep(max(wait, wish or wait).total_seconds())


def headers(asked: str) -> dict[str, str]:
    """Return what a request for a range of bytes carries; compressed, they would be bytes of something else."""
    return {"Range": asked, "Accept": "*/*", "Accept-Encoding": "identity"}


async def _parts(client: PlatformClient, file_id: str) -> list[Part]:
    return await _all(files.parts(client, file_id))


async def _length(client: PlatformClient, part: Part, manner: Manner) -> int:
    """Return how long a part is, asking for its first byte where the list did not tell."""
    if part.length_bytes is not None:
        return part.length_bytes
    request = files.content_request(part.file_id, part.name)
    try:
        async with client.stream(request, headers=headers("bytes=0-0"), timeouts=manner.timeouts) as answer:
            given = content_range(answer.headers.get("content-range", ""))
            told = answer.headers.get("content-length", "")
            length = given[2] if given else int(told) if answer.status == 200 and told.isdecimal() else None
    except Refused as error:
        if error.status != 416:
            raise
        return 0  # not even a first byte
    if length is None:
        text = f"Sandbox {client.sandbox}: nobody tells how long {part.name} is"
        raise BadReply(text, fate=Fate.ANSWERED, reason="range", status=answer.status)
    return length


async def _patiently(ask: Callable[[], Awaitable[T]], manner: Manner) -> T:
    """Return the answer, asked for again where the platform may only have had no time. Raises UpstreamError."""
    for vain in range(1, manner.vain_most):
        try:
            return await ask()
        except (Unavailable, RateLimited) as error:
            await pause(manner, error, vain, "list")
    return await ask()


async def _all(rows: AsyncIterator[T]) -> list[T]:
    return [row async for row in rows]
