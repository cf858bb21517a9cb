"""A command of this machine's, told the result of a run; it may be told the same result twice."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import IO

from segwatch.pipelines.seen import CommandEnded, Trouble

_TAIL_BYTES = 4096
_CHUNK_BYTES = 65_536
_GRACE_S = 2.0  # between SIGTERM and SIGKILL: a shutdown waits for it
_LAST_WORDS_S = 0.5  # to read the rest of what it said


async def run(argv: Sequence[str], told: bytes, more: Mapping[str, str], *, timeout_s: float) -> CommandEnded | Trouble:
    """Run a command to its end, with `told` on its stdin, and return how it ended.

    more: environment beside ours, of which settings of segwatch are left out, since they may hold secrets. What it
    writes to stdout is dropped, of stderr the last line is kept. One that takes too long is ended, with its children;
    children that it leaves behind when it ends go on.
    """
    around = {name: value for name, value in os.environ.items() if not name.startswith("SEGWATCH_")}
    # no pipe of asyncio's: its `wait` would wait for the pipes too, and what the command left behind may hold them
    try:
        stdin = _file_of(told)
    except OSError as error:
        return Trouble(why=f"{argv[0]} cannot be told the result: {error.strerror or error}")
    with stdin:
        async with _last_words() as words:
            try:
                child = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=stdin,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=words.sink,
                    env=around | dict(more),
                    start_new_session=True,
                )
            except OSError as error:
                return Trouble(why=f"{argv[0]} cannot be started: {error.strerror or error}")
            try:
                async with asyncio.timeout(timeout_s):
                    code = await child.wait()
            except TimeoutError:
                return Trouble(why=f"{argv[0]} ran for longer than {timeout_s:g} s, and was ended")
            finally:
                if child.returncode is None:
                    await _end(child)
            return CommandEnded(code=code, tail=await words.line())


def _file_of(told: bytes) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        file.write(told)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


class _LastWords:
    """What a command said last, read while it runs, in bounded memory. sink: the descriptor that it writes to."""

    def __init__(self, reader: asyncio.StreamReader, sink: int) -> None:
        self.sink = sink
        self._kept = b""
        self._reading = asyncio.create_task(self._read(reader), name="last-words")

    async def line(self) -> str:
        """Return the last line that says something, now that the command has ended."""
        self.let_go()
        await asyncio.wait({self._reading}, timeout=_LAST_WORDS_S)
        lines = [line.strip() for line in self._kept.decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")

    def let_go(self) -> None:
        """Close our end of the sink: there is an end to read when nobody else has one."""
        if self.sink >= 0:
            os.close(self.sink)
            self.sink = -1

    async def stop(self) -> None:
        """Read no further."""
        self._reading.cancel()
        await asyncio.wait({self._reading})

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            self._kept = (self._kept + chunk)[-_TAIL_BYTES:]


@asynccontextmanager
async def _last_words() -> AsyncIterator[_LastWords]:
    end, sink = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(end, "rb", 0)
    )
    words = _LastWords(reader, sink)
    try:
        yield words
    finally:
        words.let_go()
        await words.stop()
        transport.close()


async def _end(child: asyncio.subprocess.Process) -> None:
    """End whatever is left of the command: its process, and what that has started, which may not listen to SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await child.wait()
