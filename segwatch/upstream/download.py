"""A batch's files, brought to disk: in pieces, resumed, checked."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from segwatch.upstream import files
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.download_folder import DownloadError, Folder, Manifest, Wanted, held
from segwatch.upstream.download_list import Manner, headers, listed, pause
from segwatch.upstream.errors import (
    BadReply,
    Fate,
    NotFound,
    RateLimited,
    Refused,
    Unavailable,
    UpstreamError,
)
from segwatch.upstream.parts import Refusal, content_of, fit, range_of

__all__ = ["DownloadError", "Manner", "Progress", "fetch"]

PARALLEL_MOST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a download came. files, bytes: what is there; resumed_bytes: of these, what need not come again."""

    files: int = 0
    files_all: int = 0
    bytes: int = 0
    bytes_all: int = 0
    resumed_bytes: int = 0


async def fetch(
    client: PlatformClient, batch_id: str, folder: Path, *, parallel: int = 4, force: bool = False,
    restart: bool = False, report: Callable[[Progress], None] = lambda progress: None, manner: Manner | None = None,
) -> Progress:  # fmt: skip
    """Bring all files of a batch to `folder`, and return what is there then; what was there already is not asked again.

    parallel: so many files at a time, 1 to 16. force: replace files in the folder that are not of this download.
    restart: delete what an earlier download left there. report: hears of every step; it must be quick.
    Memory does not grow with the size of files: at most `parallel` chunks are held. What came stays when this fails.
    Raises UpstreamError, DownloadError, OSError; NotSendable for an id that is none, ValueError for another `parallel`.
    """
    if not 1 <= parallel <= PARALLEL_MOST:
        raise ValueError(f"parallel is {parallel}: write 1 to {PARALLEL_MOST}")
    manner = manner or Manner()
    manifest = await listed(client, batch_id, manner)
    with held(folder) as own:
        await asyncio.to_thread(own.begin, manifest, force=force, restart=restart)
        return await _Download(client, own, manifest, manner, report).run(parallel)


@dataclass(slots=True)
class _Growing:
    """A file on its way. there_bytes: those that are written, all from its beginning on.

    resumed_bytes: of these, what an earlier download wrote. anew: its content had changed once, and it was begun again.
    """

    wanted: Wanted
    path: Path
    there_bytes: int
    resumed_bytes: int
    anew: bool = False

    @property
    def is_whole(self) -> bool:
        return self.there_bytes == self.wanted.length_bytes


@dataclass(slots=True)
class _Missing:
    """Files that were given up, and why."""

    why: list[tuple[Wanted, Exception]] = field(default_factory=list)
    new_bytes: int = -1  # of the whole download, when the last of them was given up


class _Download:
    """One batch on its way into a folder."""

    def __init__(
        self, client: PlatformClient, folder: Folder, manifest: Manifest, manner: Manner,
        report: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self._client = client
        self._folder = folder
        self._manifest = manifest
        self._manner = manner
        self._report = report
        self._new_bytes = 0
        self._progress = Progress(
            files_all=len(manifest.files), bytes_all=sum(one.length_bytes for one in manifest.files)
        )

    async def run(self, parallel: int) -> Progress:
        there_bytes, left = await asyncio.to_thread(self._looked)
        files_there = len(self._manifest.files) - len(left)
        self._tell(files=files_there, bytes=there_bytes, resumed_bytes=there_bytes)
        queue, missing = iter(left), _Missing()
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(parallel, len(left))):
                    workers.create_task(self._work(queue, missing), name="download")
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        if missing.why:
            raise self._incomplete(missing)
        return self._progress

    def _looked(self) -> tuple[int, list[Wanted]]:
        """Return how many bytes are there, and the files of which something is missing."""
        there_bytes = sum(self._folder.there_bytes(one) for one in self._manifest.files)
        return there_bytes, [one for one in self._manifest.files if not self._folder.is_done(one)]

    async def _work(self, queue: Iterable[Wanted], missing: _Missing) -> None:
        """Take files until there are none. A disk that is full and a token that is refused end all of it."""
        for wanted in queue:
            try:
                await self._bring(wanted)
                self._tell(files=self._progress.files + 1)
            except (Unavailable, RateLimited, BadReply, NotFound, Refused, DownloadError) as error:
                is_over = isinstance(error, Unavailable) and missing.new_bytes == self._new_bytes
                missing.new_bytes = self._new_bytes
                missing.why.append((wanted, error))
                if is_over:  # two files were given up, and nothing came in between: nothing will for the others
                    return

    async def _bring(self, wanted: Wanted) -> None:
        growing = await asyncio.to_thread(self._begun, wanted)
        vain = 0
        while not growing.is_whole:
            before = growing.there_bytes
            trouble = await self._piece(growing)
            if trouble is None:
                continue
            vain = vain + 1 if growing.there_bytes == before else 0
            if vain >= self._manner.vain_most:
                raise trouble
            await pause(self._manner, trouble, vain, wanted.path)
        await asyncio.to_thread(self._folder.finish, wanted)

    def _begun(self, wanted: Wanted) -> _Growing:
        there, path = self._folder.there_bytes(wanted), self._folder.part(wanted)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not there:  # nothing, or too much to be a beginning of this file
            path.unlink(missing_ok=True)
            path.touch()
        return _Growing(wanted, path, there, there)

    async def _piece(self, growing: _Growing) -> UpstreamError | None:
        """Add the next piece to a file; return what broke it off, if something did that may pass."""
        there = growing.there_bytes
        try:
            await self._stream(growing)
        except (Unavailable, RateLimited, BadReply) as error:
            if error.status is not None and 300 <= error.status < 400:
                raise
            return error
        if growing.there_bytes == there:
            what = f"Sandbox {self._client.sandbox}: {growing.wanted.path}"
            return BadReply(f"{what}: the answer had no bytes", fate=Fate.ANSWERED, reason="empty")
        return None

    async def _stream(self, growing: _Growing) -> None:
        wanted, piece = growing.wanted, self._manner.piece_bytes
        asked = range_of(growing.there_bytes, wanted.length_bytes, piece_bytes=piece)
        async with self._client.stream(
            files.content_request(wanted.file_id, wanted.name), headers=headers(asked), timeouts=self._manner.timeouts
        ) as answer:
            what = f"Sandbox {self._client.sandbox}: {wanted.path}"
            fits = fit(answer.status, answer.headers, first=growing.there_bytes, length_bytes=wanted.length_bytes)
            if isinstance(fits, Refusal):
                raise BadReply(f"{what}: {fits.why}", fate=Fate.ANSWERED, reason="range", status=answer.status)
            await self._compare(growing, content_of(answer.headers), what)
            there = growing.there_bytes
            try:
                await self._take(growing, answer.chunks, fits.bytes, what)
            finally:
                if fits.if_whole and not growing.is_whole:  # a page of some gateway, for all that we know
                    await asyncio.to_thread(_cut, growing.path, there)
                    self._count(growing, there - growing.there_bytes)

    async def _compare(self, growing: _Growing, content: str, what: str) -> None:
        """Begin the file anew if the answer is a piece of another content than what is there. Raises BadReply then."""
        before = self._folder.content(growing.wanted)
        if not content or content == before:
            return
        # a platform that names the same content otherwise each time would never let it end: only once
        is_other = bool(before) and growing.there_bytes > 0 and not growing.anew
        if is_other:
            await asyncio.to_thread(_cut, growing.path, 0)  # first: a crash in between finds nothing to go on with
        await asyncio.to_thread(self._folder.note_content, growing.wanted, content)
        if not is_other:
            return
        growing.anew = True
        self._tell(resumed_bytes=self._progress.resumed_bytes - growing.resumed_bytes)
        self._count(growing, -growing.there_bytes)
        growing.resumed_bytes = 0
        text = f"{what}: the file has changed since its beginning came, so it is begun anew"
        raise BadReply(text, fate=Fate.ANSWERED, reason="changed")

    async def _take(self, growing: _Growing, chunks: AsyncIterator[bytes], skip: int, what: str) -> None:
        """Add what comes to a file, all but the first `skip` bytes."""
        length_bytes = growing.wanted.length_bytes
        async for chunk in chunks:
            new = chunk[skip:]
            skip = max(0, skip - len(chunk))
            if len(new) > length_bytes - growing.there_bytes:
                text = f"{what}: more came than the {length_bytes} bytes of the list"
                raise BadReply(text, fate=Fate.ANSWERED, reason="range")
            if new:
                await asyncio.to_thread(_append, growing.path, new)
                self._count(growing, len(new))

    def _count(self, growing: _Growing, new_bytes: int) -> None:
        growing.there_bytes += new_bytes
        self._new_bytes += new_bytes
        self._tell(bytes=self._progress.bytes + new_bytes)

    def _tell(self, **changed: int) -> None:
        self._progress = replace(self._progress, **changed)
        self._report(self._progress)

    def _incomplete(self, missing: _Missing) -> DownloadError:
        passing = (Unavailable, RateLimited)
        wanted, error = next((one for one in missing.why if not isinstance(one[1], passing)), missing.why[0])
        there = self._progress
        incomplete = DownloadError(
            f"{there.files} of {there.files_all} files are complete in {self._folder.path}. {wanted.path}: {error}. "
            "The same command goes on with what is there"
        )
        incomplete.__cause__ = error
        return incomplete


def _append(path: Path, content: bytes) -> None:
    """Add to a file: what a crash leaves is a beginning of it."""
    # opened for each chunk: a file held open would outlive a task that is cancelled while a thread opens it
    # and never through a link: whoever else may write to the folder would choose the file
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with os.fdopen(fd, "ab") as file:
        file.write(content)


def _cut(path: Path, length_bytes: int) -> None:
    """Take back what was added to a file behind this length."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, length_bytes)
    finally:
        os.close(fd)
