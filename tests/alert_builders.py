"""Events that open and close alerts, and books that are told of them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fakes import at

from segwatch.alerts.book import Book
from segwatch.alerts.grouping import Way
from segwatch.alerts.labels import labels_of
from segwatch.alerts.model import Labels, Words
from segwatch.jobs.events import Event, EventType, severity_of

_numbers = itertools.count(1)


def event(type_: EventType, job_id: str = "1", *, when: datetime | None = None, **fields: Any) -> Event:
    """Return an event about an export of the sandbox prod, unless `fields` say otherwise."""
    made: dict[str, Any] = {
        "type": type_,
        "stream": f"job/prod/export_job/{job_id}",
        "sequence": next(_numbers),
        "at": when or at(),
        "severity": severity_of(type_),
        "sandbox": "prod",
        "kind": "export_job",
        "job_id": job_id,
    }
    return Event(**(made | fields))


def failed(job_id: str = "1", when: datetime | None = None, **fields: Any) -> Event:
    return event(EventType.JOB_FAILED, job_id, when=when, **fields)


def succeeded(job_id: str = "1", when: datetime | None = None, **fields: Any) -> Event:
    return event(EventType.JOB_SUCCEEDED, job_id, when=when, **fields)


def about_sandbox(type_: EventType, when: datetime | None = None) -> Event:
    return event(type_, when=when, stream="sandbox/prod", kind="", job_id="")


def words_of(event: Event) -> Words:
    return Words(title=f"Export {event.job_id} {event.type.value.partition('.')[2]}", cause="Internal error (500)")


def never(labels: Labels, now: datetime) -> bool:
    return False


@dataclass
class Told:
    """A book, and all that its channels were told: (channel, message)."""

    ways: Sequence[Way] = (Way(route="r", channel="ops"),)
    book: Book = field(default_factory=lambda: Book((), ()))
    messages: list[tuple[str, Event]] = field(default_factory=list)
    silenced: Any = never

    def take(
        self, *events: Event, told: Sequence[str] = (), withheld: Sequence[str] = (), at_once: Sequence[str] = ()
    ) -> tuple[str, ...]:  # fmt: skip
        closing: tuple[str, ...] = ()
        for one in events:
            closing = self.book.take(
                one, words=words_of(one), ways=self.ways, told=told, withheld=withheld,
                at_once=at_once, silenced=self.silenced(labels_of(one), one.at),
            )  # fmt: skip
        return closing

    def tick(self, now: datetime) -> list[Event]:
        told = [(one.channel, one.event()) for one in self.book.tick(now, self.silenced)]
        self.messages += told
        return [message for _, message in told]

    def through(self, until: datetime, since: datetime | None = None) -> list[Event]:
        """Let time pass in steps of five seconds; return what is told meanwhile."""
        now, told = since or at(), []
        while now <= until:
            told += self.tick(now)
            now += at(second=5) - at()
        return told
