"""Owns the standard streams: what becomes of words that nobody can take any more, for whoever writes them.

stderr has what is no result, such as progress: that it cannot be written ends nothing. stdout has the result: when its
reader has gone the rest is dropped, since the work is wanted all the same, and the exit code, which tells how it ended.
"""

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Unwritable(Exception):
    """The result cannot be written: a full disk, say. The text is the system's reason."""


class ReaderGone(Exception):
    """Nobody reads the result any more, and it would go on for ever."""


class _Words(io.FileIO):
    """Takes all bytes, whether they can be written or not."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Return how many bytes are done with; a reader that is slow is waited for."""
        try:
            while (written := super().write(data)) is None:  # a pipe that somebody else made non-blocking is full
                select.select([], [self], [])
        except OSError as error:
            self.lost(error)
            return memoryview(data).nbytes
        return written

    def lost(self, error: OSError) -> None:
        """Hear what could not be written, and why."""


class _Result(_Words):
    """Drops what no reader takes. Raises Unwritable, once, where there is no such reason."""

    reader_gone = False
    is_told = False

    def lost(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            self.reader_gone = True
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
        _result = _Result(sys.stdout.fileno(), "wb", closefd=False)
        sys.stdout = _text(_result, sys.stdout)
    if err_is_ours:
        sys.stderr = _text(_Words(sys.stderr.fileno(), "wb", closefd=False), sys.stderr)


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


def _text(raw: _Words, before: TextIO) -> io.TextIOWrapper:
    """Return a stream of text that is like the one before."""
    lines_at_once = bool(before.line_buffering)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=before.encoding, errors=before.errors, line_buffering=lines_at_once
    )
