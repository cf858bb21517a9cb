"""Owns the standard streams: what becomes of words that nobody can take any more, for whoever writes them.

stderr has what is no result, such as progress: that it cannot be written ends nothing. stdout has the result: when its
reader has gone the rest is dropped, since the work is wanted all the same, and the exit code, which tells how it ended.

A reader that is slow, or stands still, is waited for, and the command with it. But never where a signal could not end
it: no write sleeps in the system, and whoever is told to end drops what nobody takes.
"""

import io
import math
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Unwritable(Exception):
    """The result cannot be written: a full disk, say. The text is the system's reason."""


class ReaderGone(Exception):
    """Nobody reads the result any more, and it would go on for ever."""


_LOOK_S = 0.2  # how often whoever waits for a reader looks whether it is still worth it
_AGAIN_S = 0.01  # a terminal that is ready may yet have no room for the two bytes of a line's end
_GRACE_S = 1.0  # what readers get to take the last words

_told_until_s = math.inf  # by `time.monotonic`
_limits: list[Callable[[], float | None]] = []


def let_go() -> None:
    """Wait for readers for a moment more at most, from now on: the command is told to end."""
    global _told_until_s
    _told_until_s = min(_told_until_s, time.monotonic() + _GRACE_S)


@contextmanager
def limited(when: Callable[[], float | None]) -> Iterator[None]:
    """Wait for readers no longer than until then, by `time.monotonic`, while the block lasts. None: as ever."""
    _limits.append(when)
    try:
        yield
    finally:
        _limits.remove(when)


def _is_over() -> bool:
    """True when readers are waited for no longer."""
    now = time.monotonic()
    return now >= _told_until_s or any((until := when()) is not None and now >= until for when in _limits)


class _Words(io.FileIO):
    """Takes all bytes, whether they can be written or not."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Return how many bytes are done with; a reader that is slow is waited for."""
        rest = memoryview(data).cast("B")
        try:
            while True:
                if _is_ready(self):
                    # so much a pipe takes at once when it takes anything, and does not sleep until there is room
                    if (written := super().write(rest[: select.PIPE_BUF])) is not None:
                        return written
                    time.sleep(_AGAIN_S)
                if _is_over():
                    return rest.nbytes
        except OSError as error:
            self.lost(error)
            return rest.nbytes

    def lost(self, error: OSError) -> None:
        """Hear what could not be written, and why."""


class _Result(_Words):
    """Drops what no reader takes. Raises Unwritable, once, where there is no such reason."""

    reader_gone = False
    is_told = False

    def lost(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            self.reader_gone = True
        elif _told_until_s < math.inf:
            pass  # it was told to end, by a terminal that went, say
        elif not self.is_told:
            self.is_told = True  # what is buffered comes again with every flush
            raise Unwritable(error.strerror or str(error))


_result: _Result | None = None


def own() -> None:
    """Take the streams over for as long as the process lives. Those that whoever called has closed are opened.

    Else the file that is opened next would be taken for one of them. Streams that are not the interpreter's own, such
    as a test's, stay what they are.
    """
    global _result  # there is one stdout
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the process lives
    out_is_ours, err_is_ours = sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__
    if out_is_ours:
        _result = _Result(_patient(sys.stdout.fileno()), "wb", closefd=False)
        sys.stdout = _text(_result, sys.stdout)
    if err_is_ours:
        sys.stderr = _text(_Words(_patient(sys.stderr.fileno()), "wb", closefd=False), sys.stderr)


def put(text: str) -> None:
    """Print a part of the result as it is. Raises Unwritable."""
    print(text, flush=True)  # noqa: T201


def say(text: str, *, end: str = "\n") -> None:
    """Print what is no result: on stderr."""
    print(text, end=end, file=sys.stderr, flush=True)  # noqa: T201


def needs_reader() -> None:
    """Raise ReaderGone if nobody reads what was put: for those who would go on for ever."""
    if _result is not None and _result.reader_gone:
        raise ReaderGone


def _is_ready(file: io.FileIO) -> bool:
    """Wait until the file takes something, and return True; False after a while, or if it need not be waited for."""
    return bool(select.select([], [file], [], 0.0 if _is_over() else _LOOK_S)[1])


def _patient(number: int) -> int:
    """Return a descriptor for the same place that does not block, where it may and can be had; else this one.

    A terminal that is ready may take less than it is given, and sleep. Making this one non-blocking would make it so
    for all who share it, such as the shell; one that is opened anew is our own. Another user's may not be opened.
    """
    if os.isatty(number) or stat.S_ISFIFO(os.fstat(number).st_mode):
        with suppress(OSError):
            return os.open(f"/dev/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return number


def _text(raw: _Words, before: TextIO) -> io.TextIOWrapper:
    """Return a stream of text that is like the one before."""
    lines_at_once = bool(before.line_buffering)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=before.encoding, errors=before.errors, line_buffering=lines_at_once
    )
