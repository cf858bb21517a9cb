"""What is said of an event, the same for every channel; a channel only lays it out."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from segwatch.alerts.effects import effects_of, subject_of
from segwatch.alerts.model import Turn
from segwatch.deliveries import digest
from segwatch.deliveries.phrases import amount, count, moment, printable, span, text, texts
from segwatch.deliveries.wording import errors_of, said_of
from segwatch.jobs.events import Event, EventType, Severity


class Standing(StrEnum):
    """Whether something is wrong, is right again, or neither."""

    FIRING = "firing"
    RESOLVED = "resolved"
    STORY = "story"


_NAMED_MAX = 5
_ERRORS_MAX = 5
_STATUS_ONLY = frozenset({EventType.JOB_QUEUED, EventType.JOB_PROCESSING, EventType.JOB_CANCELLING})
_NOTICES = {
    EventType.ALERT_FIRING: Standing.FIRING,
    EventType.ALERT_RESOLVED: Standing.RESOLVED,
    EventType.ALERT_NOTED: Standing.STORY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A sentence for somebody who was asleep a minute ago, and what belongs to it. No text holds control characters.

    title: a headline without a full stop. summary: what happened, one sentence. action: what segwatch did or
    will do, "" when that is nothing. fields: (name, value), the most useful first.
    subject: what the alert is about, equal in the message that opens it and in the one that closes it; "" for a story.
    items: a line for each alert that the message counts, the worst first. links: (name, URL).
    """

    event_id: str
    type: EventType
    at: datetime
    severity: Severity
    title: str
    summary: str
    action: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    standing: Standing = Standing.STORY
    subject: str = ""
    items: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    @property
    def line(self) -> str:
        """Everything in one line, for a notification on a locked screen."""
        return f"{self.summary} {self.action}".rstrip()


def message_of(event: Event) -> Message:
    """Return what is said of `event`."""
    said = said_of(event)
    return Message(
        event_id=event.id,
        type=event.type,
        at=event.at,
        severity=event.severity,
        title=printable(said.title),
        summary=printable(said.summary),
        action=printable(said.action),
        fields=tuple((name, shown) for name, value in _fields(event) if (shown := _block(value))),
        standing=_standing(event),
        subject=event.stream if event.type in _NOTICES else subject_of(event),
        items=tuple(map(printable, _items(event))),
        links=tuple((text(name), url) for name, url in event.links.items() if _leads_somewhere(url)),
    )


def _standing(event: Event) -> Standing:
    if event.type in _NOTICES:
        return _NOTICES[event.type]
    if event.type in _STATUS_ONLY:  # it would close the alert of an unknown status, which next to no job has
        return Standing.STORY
    turns = {effect.turn for effect in effects_of(event)}
    if Turn.OPENS in turns:
        return Standing.FIRING
    return Standing.RESOLVED if Turn.CLOSES in turns else Standing.STORY


def _leads_somewhere(url: str) -> bool:
    """True for what a browser opens, and not for a path within the platform's API."""
    return url.startswith(("https://", "http://")) and url.isprintable() and " " not in url


def _items(event: Event) -> list[str]:
    return digest.lines(event) if event.type is EventType.DIGEST_DAILY else texts(event.details.get("items"))


def _fields(event: Event) -> list[tuple[str, str]]:
    if event.type is EventType.DIGEST_DAILY:
        return digest.fields(event)
    details = event.details
    return [
        ("Sandbox", text(event.sandbox)),
        ("Pipeline", text(details.get("pipeline"))),
        ("Run", text(details.get("run"))),
        ("Kind", text(event.kind)),
        ("Job", text(event.job_id)),
        ("Status", " -> ".join(filter(None, (event.status and text(event.previous), text(event.status))))),
        ("Reason", text(event.reason)),
        ("Further errors", _errors(event)),
        ("Attempt", count(details.get("attempt"))),
        ("Chain began with", text(details.get("root")) if text(details.get("root")) != event.job_id else ""),
        ("New job", text(details.get("new_job_id"))),
        ("Started", moment(details.get("started_at"), event.at)),
        ("Ended", moment(details.get("ended_at"), event.at)),
        ("Expected at", moment(details.get("expected_at"), event.at)),
        ("Last fired", moment(details.get("last_fired"), event.at)),
        ("Next", moment(details.get("next"), event.at)),
        ("Members", amount(details.get("members"))),
        ("Usually", _usually(details)),
        ("Expires", moment(details.get("expires_at"), event.at)),
        ("Took", span(details.get("duration_s")) or span(details.get("took_s"))),
        ("Segment job", text(details.get("segment_job"))),
        ("Export", text(details.get("export_job"))),
        ("Batches", _named(texts(details.get("batches")))),
        ("Exported profiles", amount(details.get("exported"))),
        ("Audiences", _profiles(details.get("profiles")) or _profiles(details.get("members")) or _segments(event)),
        ("Dataset", text(details.get("dataset"))),
        ("Steps not seen", ", ".join(texts(details.get("skipped")))),
        ("Settled by", text(details.get("settled_by"))),
        ("Late", "it happened while segwatch was not watching" if event.late else ""),
    ]


def _usually(details: dict[str, Any]) -> str:
    """Return what is usual, of an audience in members, of a job in time."""
    low, high = amount(details.get("low")), amount(details.get("high"))
    band = f" ({low} to {high})" if low and high else ""
    return (amount(details.get("expected")) + band) or span(details.get("usual_s"))


def _block(value: str) -> str:
    """Return a value as it may be shown, its lines kept."""
    return "\n".join(filter(None, map(printable, value.split("\n"))))


def _errors(event: Event) -> str:
    """Return the errors behind the first, which the summary tells."""
    others = errors_of(event)[1:]
    return _named(others, most=_ERRORS_MAX, between="\n")


def _profiles(value: object) -> str:
    """Return `segment: members` for the largest audiences."""
    if not isinstance(value, dict):
        return ""
    sizes = {text(name): size for name, size in value.items() if isinstance(size, int) and not isinstance(size, bool)}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))
    return _named([f"{name}: {sizes[name]:,}" for name in largest])


def _segments(event: Event) -> str:
    return _named(texts(event.details.get("segments")))


def _named(names: list[str], *, most: int = _NAMED_MAX, between: str = ", ") -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return between.join(names[:most] + more)
