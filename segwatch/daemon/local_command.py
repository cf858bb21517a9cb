"""A command of this machine's, told the result of a run; it may be told the same result twice."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from segwatch.pipelines.seen import CommandEnded, Trouble

_TAIL_BYTES = 4096
_CHUNK_BYTES = 65_536
_GRACE_S = 2.0  # between SIGTERM and SIGKILL: a shutdown waits for it


async def run(argv: Sequence[str], told: bytes, more: Mapping[str, str], *, timeout_s: float) -> CommandEnded | Trouble:
    """Run a command to its end, with `told` on its stdin, and return how it ended.

    more: environment beside ours, of which settings of segwatch are left out, since they may hold secrets. What it
    writes to stdout is dropped, of stderr the last line is kept. One that takes too long is ended, with its children.
    """
    around = {name: value for name, value in os.environ.items() if not name.startswith("SEGWATCH_")}
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=around | dict(more),
            start_new_session=True,
        )
    except OSError as error:
        return Trouble(why=f"{argv[0]} cannot be started: {error.strerror or error}")
    try:
        async with asyncio.timeout(timeout_s):
            _, tail = await asyncio.gather(_tell(child, told), _tail(child))
            code = await child.wait()
    except TimeoutError:
        return Trouble(why=f"{argv[0]} ran for longer than {timeout_s:g} s, and was ended")
    finally:
        await _end(child)
    return CommandEnded(code=code, tail=tail)


async def _tell(child: asyncio.subprocess.Process, told: bytes) -> None:
    assert child.stdin is not None  # it was asked for
    with suppress(BrokenPipeError, ConnectionResetError):  # it need not read
        child.stdin.write(told)
        await child.stdin.drain()
    child.stdin.close()


async def _tail(child: asyncio.subprocess.Process) -> str:
    """Return the last line of stderr that says something, read to its end in bounded memory."""
    assert child.stderr is not None  # it was asked for
    kept = b""
    while chunk := await child.stderr.read(_CHUNK_BYTES):
        kept = (kept + chunk)[-_TAIL_BYTES:]
    lines = [line.strip() for line in kept.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


async def _end(child: asyncio.subprocess.Process) -> None:
    """End whatever is left of the command: its process, and what that has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await child.wait()
                return
