"""Log lines: facts in snake_case with values beside them; JSON unless a terminal looks on."""

import logging
import os
import sys
from typing import Literal, TextIO

import structlog

Format = Literal["auto", "json", "console"]


def configure(*, level: str = "info", format_: Format = "auto", stream: TextIO | None = None) -> None:
    """Send structlog's and the libraries' log lines to `stream` (stderr), from `level` upward.

    NO_COLOR is respected (no-color.org). "auto" means console on a terminal, else JSON.
    """
    stream = stream or sys.stderr
    console = format_ == "console" or (format_ == "auto" and stream.isatty())
    renderer: structlog.typing.Processor
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty() and not os.environ.get("NO_COLOR"))
    else:
        renderer = structlog.processors.JSONRenderer()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if not console:
        shared.append(structlog.processors.dict_tracebacks)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_libraries(shared, renderer, stream, threshold)


def _route_libraries(
    shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor, stream: TextIO, threshold: int
) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    # libraries speak of their own workings at info; what a user must know of them comes at warning
    root.setLevel(max(threshold, logging.WARNING))
