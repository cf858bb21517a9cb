"""News for whoever looks on: metrics, log lines, web pages. What somebody relies on goes through the outbox instead."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from segwatch.jobs.events import Event
from segwatch.jobs.model import JobState

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An event that is on disk, with the job's state behind it where it is about a job."""

    event: Event
    job: JobState | None = None


class Bus:
    """Hands news to every listener, at once and in order. A listener that fails loses this piece, nobody else does."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[News], None]] = []

    def listen(self, listener: Callable[[News], None]) -> None:
        """Call `listener` with all news from now on."""
        self._listeners.append(listener)

    def publish(self, news: News) -> None:
        """Hand it out; never blocks, never raises."""
        for listener in self._listeners:
            try:
                listener(news)
            except Exception:
                log.exception("listener_failed", listener=repr(listener))
