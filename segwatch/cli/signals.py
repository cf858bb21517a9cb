"""What a command does when it is told to end, from its first moment on: SIGTERM goes the way of Ctrl-C.

Imports little, since it is there before anything else is.
"""

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SERVICES = ("run", "emulate", "demo")  # to be told to end is how they end
_LATER = "run"  # whose SIGHUP means something: read the settings again


class Stopped(Exception):
    """The command was told to end by SIGTERM, and has done so."""


def code(number: signal.Signals) -> int:
    """Return the exit code of a command that this signal has ended, as shells have it; 0 for one that serves."""
    return 0 if sys.argv[1:2] and sys.argv[1] in _SERVICES else 128 + number


def before_imports() -> None:
    """Let a signal end the command at once and without a word, while nothing has begun; the daemon's SIGHUP waits."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # whoever started us wants it to be ignored
            signal.signal(number, _at_once)
    if sys.argv[1:2] == [_LATER]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def hup_is_handled() -> None:
    """Let SIGHUP through, also one that came before."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def run(work: Callable[[], object]) -> None:
    """Do a command's work, in a loop if it is asynchronous. Raises Stopped or KeyboardInterrupt once that was ended."""
    with raised():
        doing = work()
        if isinstance(doing, Coroutine):
            import asyncio  # here, since what needs no loop need not wait for it

            asyncio.run(_stoppable(doing))


@contextmanager
def raised() -> Iterator[None]:
    """Let signals raise at once, wherever the block is: a task would hear of them at its next await."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _raise}
    kept = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        if kept[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)


async def _stoppable(work: Coroutine[Any, Any, object]) -> None:
    """Do the work as a task that SIGTERM cancels, as SIGINT does by asyncio itself. Raises Stopped."""
    import asyncio

    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    is_told = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal is_told
        if not is_told:  # timeout(1) sends it to the process, and then to its group
            is_told = True
            loop.call_soon_threadsafe(task.cancel)

    if signal.getsignal(signal.SIGTERM) is _raise:
        signal.signal(signal.SIGTERM, stop)
    try:
        await work
    except asyncio.CancelledError:
        if is_told:
            raise Stopped from None
        raise


def _at_once(number: int, frame: FrameType | None) -> None:
    os._exit(code(signal.Signals(number)))


def _raise(number: int, frame: FrameType | None) -> None:
    raise Stopped
