"""What a command does when it is told to end, from its first moment on: by Ctrl-C, by SIGTERM, or as its terminal goes.

Imports little, since it is there before anything else is.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from segwatch.cli import streams

_SERVICES = ("run", "emulate")  # to be told to end is how they end; the demo ends with 0 from its story on
_LATER = "run"  # whose SIGHUP means something: read the settings again
_ONE_TELLING_S = 1.0  # timeout(1) sends its signal to the process, and then to its group

Handler = Callable[[int, FrameType | None], object]

_busy: list[Callable[[], bool]] = []


class Stopped(BaseException):  # past whoever catches what may go wrong, as KeyboardInterrupt
    """The command was told to end by a signal, and has done so."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number)
        self.code = code(number)


def code(number: signal.Signals) -> int:
    """Return the exit code of a command that this signal has ended, as shells have it; 0 for one that serves."""
    return 0 if sys.argv[1:2] and sys.argv[1] in _SERVICES else 128 + number


def before_imports() -> None:
    """Let a signal end the command at once and without a word, while nothing has begun; the daemon's SIGHUP waits."""
    _handle(lambda number, frame: os._exit(code(signal.Signals(number))))
    if sys.argv[1:2] == [_LATER]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def hup_is_handled() -> None:
    """Let SIGHUP through, also one that came before."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def run(work: Callable[[], object]) -> None:
    """Do a command's work, in a loop if it is asynchronous. Raises Stopped once that was ended."""
    with raised():
        doing = work()
        if isinstance(doing, Coroutine):
            import asyncio  # here, since what needs no loop need not wait for it

            asyncio.run(_stoppable(doing))


@contextmanager
def raised() -> Iterator[None]:
    """Let signals raise Stopped at once, wherever the block is: a task would hear of them at its next await."""
    with _handled(_raise):
        yield


def on_told(stop: Callable[[], object]) -> None:
    """Have the running loop call `stop` when the command is told to end: for those who serve until then."""
    import asyncio

    loop = asyncio.get_running_loop()

    def told(number: int, frame: FrameType | None) -> None:
        streams.let_go()
        loop.call_soon_threadsafe(stop)

    _handle(told)


@contextmanager
def not_at_once_while(is_busy: Callable[[], bool]) -> Iterator[None]:
    """Let a second signal not end the command at once while it is busy: it would leave behind what it has started."""
    _busy.append(is_busy)
    try:
        yield
    finally:
        _busy.remove(is_busy)


async def _stoppable(work: Coroutine[Any, Any, object]) -> None:
    """Do the work as a task that a signal cancels, and a second one ends. Raises Stopped."""
    import asyncio

    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    first: signal.Signals | None = None
    first_s = 0.0

    def told(number: int, frame: FrameType | None) -> None:
        nonlocal first, first_s
        if first is None:
            first, first_s = signal.Signals(number), time.monotonic()
            streams.let_go()
            loop.call_soon_threadsafe(task.cancel)
        elif time.monotonic() - first_s > _ONE_TELLING_S and not any(is_busy() for is_busy in _busy):
            os._exit(code(first))

    with _handled(told):
        try:
            await work
        except asyncio.CancelledError:
            if first is None:
                raise
    if first is not None:
        raise Stopped(first)


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    kept = _handle(handler)
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)


def _handle(handler: Handler) -> dict[signal.Signals, Any]:
    """Let what tells us to end be handled so; return how it was. What whoever started us wants ignored stays so."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.argv[1:2] != [_LATER]:
        numbers.append(signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    heard = {number: was for number, was in before.items() if was is not signal.SIG_IGN}
    for number in heard:
        signal.signal(number, handler)
    return heard


def _raise(number: int, frame: FrameType | None) -> None:
    streams.let_go()
    raise Stopped(signal.Signals(number))
