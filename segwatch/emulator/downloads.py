"""Answers that are files, read while the client takes them."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

_PIECE_BYTES = 256 * 1024
_SLOW_INTERVAL_S = 0.05
_RANGE = re.compile(r"bytes=([0-9]{0,99})-([0-9]{0,99})")


class Unsatisfiable(Exception):
    """A range lies beyond the file's end."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The bytes of a file from `first` on."""

    first: int
    length: int


def stretch(header: str, size: int) -> Stretch | None:
    """Return which bytes a Range header asks for; None is the whole file. RFC 9110, section 14.

    A header that is no single range of bytes is as good as none. Raises Unsatisfiable.
    """
    found = _RANGE.fullmatch(header.strip().lower())
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if not first:  # so many from the end
        length = min(int(last), size)
        if length == 0:
            raise Unsatisfiable
        return Stretch(size - length, length)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable
    end = min(int(last), size - 1) if last else size - 1
    return Stretch(int(first), end - int(first) + 1)


class Download(web.Response):
    """A file, or a stretch of it. Never more than a piece of it is in memory, and the event loop never waits for it."""

    def __init__(self, path: Path, size: int, *, part: Stretch | None = None, content_type: str) -> None:
        self._path = path
        self._part = part or Stretch(0, size)
        self._piece_bytes = _PIECE_BYTES
        self._pause_s = 0.0
        self._sent_bytes = self._part.length
        self._break: Callable[[], Awaitable[None]] | None = None
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(self._part.length)}
        if part is not None:
            headers["Content-Range"] = f"bytes {part.first}-{part.first + part.length - 1}/{size}"
        super().__init__(
            status=200 if part is None else 206, headers=headers, body=self._pieces(), content_type=content_type
        )

    def slow_down(self, bytes_per_s: float) -> None:
        """Let the body trickle."""
        self._piece_bytes = max(1, int(bytes_per_s * _SLOW_INTERVAL_S))
        self._pause_s = self._piece_bytes / bytes_per_s

    def break_off(self, after_bytes: int, then: Callable[[], Awaitable[None]]) -> None:
        """Send so many bytes of those that are announced, then do something to the connection."""
        self._sent_bytes = min(after_bytes, self._part.length)
        self._break = then

    async def beginning(self, length: int) -> bytes:
        """Return the first bytes of the body."""
        return await asyncio.to_thread(self._read, self._part.first, min(length, self._part.length))

    async def _pieces(self) -> AsyncIterator[bytes]:
        end = self._part.first + self._sent_bytes
        for start in range(self._part.first, end, self._piece_bytes):
            yield await asyncio.to_thread(self._read, start, min(self._piece_bytes, end - start))
            if self._pause_s:
                await asyncio.sleep(self._pause_s)
        if self._break is not None:
            await self._break()

    def _read(self, start: int, length: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(length)
