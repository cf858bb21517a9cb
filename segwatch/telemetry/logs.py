"""Log lines: facts in snake_case with values beside them; JSON unless a terminal looks on."""

import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TextIO, cast

import structlog

Format = Literal["auto", "json", "console"]


def configure(*, level: str = "info", format_: Format = "auto", stream: TextIO | None = None) -> None:
    """Send structlog's and the libraries' log lines to `stream` (stderr), from `level` upward.

    NO_COLOR is respected (no-color.org). "auto" means console on a terminal, else JSON.
    """
    stream = cast(TextIO, _Tolerant(stream))
    console = format_ == "console" or (format_ == "auto" and stream.isatty())
    renderer: structlog.typing.Processor
    if console:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty() and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,  # no local variables: tokens are among them
        )
    else:
        renderer = structlog.processors.JSONRenderer()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if not console:
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # tokens are among the variables
        shared.append(structlog.processors.ExceptionRenderer(frames))
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer, _hidden],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_libraries(shared, renderer, stream, threshold)


_mask: Callable[[str], str] = lambda line: line  # noqa: E731


def hide(mask: Callable[[str], str]) -> None:
    """Let every finished line pass `mask`: the last line of defence, since texts are masked where they come in."""
    global _mask  # one for the process, as all that structlog and logging are told
    _mask = mask


def _hidden(logger: object, method: str, line: Any) -> Any:
    return _mask(line) if isinstance(line, str) else line


class _Tolerant(io.TextIOBase):
    """A stream whose failures are nobody else's: a log on a full disk loses lines, and the daemon carries on.

    Without one it is stderr as it is at the time: while a bar is drawn, that is what prints above it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._given = stream

    @property
    def _stream(self) -> TextIO:
        return self._given or sys.stderr

    def write(self, text: str) -> int:
        """Write what can be written; return the length of `text` all the same."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Return whether a terminal looks on."""
        return self._stream.isatty()


def _route_libraries(
    shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor, stream: TextIO, threshold: int
) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, _hidden],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    # libraries speak of their own workings at info; what a user must know of them comes at warning
    root.setLevel(max(threshold, logging.WARNING))
