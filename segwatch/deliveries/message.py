"""What is said of an event, the same for every channel; a channel only lays it out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from segwatch.alerts.effects import effects_of, subject_of
from segwatch.alerts.lines import clock
from segwatch.alerts.model import Alert, Turn
from segwatch.deliveries import digest
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.names import Resource
from segwatch.deliveries.phrases import amount, count, moment, printable, span, text, texts
from segwatch.deliveries.runes import rest_of
from segwatch.deliveries.wording import errors_of, said_of
from segwatch.jobs.events import Event, EventType, Severity, moment_of


class Standing(StrEnum):
    """Whether something is wrong, is right again, or neither."""

    FIRING = "firing"
    RESOLVED = "resolved"
    STORY = "story"


_NAMED_MAX = 5
_ERRORS_MAX = 5
ENDS = frozenset({EventType.JOB_SUCCEEDED, EventType.JOB_CANCELLED, EventType.PIPELINE_SUCCEEDED})
"""The types that end an alert now and then, and do not say so themselves: most jobs that end were never in trouble."""
_STATUS_ONLY = frozenset({EventType.JOB_QUEUED, EventType.JOB_PROCESSING, EventType.JOB_CANCELLING})
_NOTICES = {
    EventType.ALERT_FIRING: Standing.FIRING,
    EventType.ALERT_RESOLVED: Standing.RESOLVED,
    EventType.ALERT_NOTED: Standing.STORY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A sentence for somebody who was asleep a minute ago, and what belongs to it. No text holds control characters.

    title: a headline without a full stop. summary: what happened, one sentence. explanation: what the error behind
    it means and what to do about it, "" where that is not known. action: what segwatch did or will do, "" when that
    is nothing. fields: (name, value), the most useful first.
    subject: what the alert is about, equal in the message that opens it and in the one that closes it; "" for a story.
    ends: whether a job or run that ended well ended an alert by that.
    items: a line for each alert that the message counts, the worst first, but for a single one that the summary says
    already; items_left: how many more there are than lines; listed_by: a command that lists all, "" where none does.
    links: (name, URL).
    """

    event_id: str
    type: EventType
    at: datetime
    severity: Severity
    title: str
    summary: str
    explanation: str = ""
    action: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    standing: Standing = Standing.STORY
    subject: str = ""
    ends: bool = False
    items: tuple[str, ...] = ()
    items_left: int = 0
    listed_by: str = ""
    links: tuple[tuple[str, str], ...] = ()

    @property
    def line(self) -> str:
        """Everything in one line, for a notification on a locked screen."""
        return " ".join(self.said)

    @property
    def lines(self) -> tuple[str, ...]:
        """The items, and what counts those that are left out, for a channel that shows them all."""
        return (*self.items, rest_of(self.items_left, self.listed_by)) if self.items_left else self.items

    @property
    def said(self) -> tuple[str, ...]:
        """What happened, what that means, and what is done about it, without what there is not."""
        return tuple(filter(None, (self.summary, self.explanation, self.action)))


def message_of(event: Event, knowledge: Knowledge = NOTHING) -> Message:
    """Return what is said of `event`. knowledge: what it is told with."""
    said, standing = said_of(event, knowledge), _standing(event)
    links = ((text(name), url) for name, url in (*event.links.items(), *knowledge.links_of(event)))
    return Message(
        event_id=event.id,
        type=event.type,
        at=event.at,
        severity=event.severity,
        title=printable(said.title),
        summary=printable(said.summary),
        explanation="" if standing is Standing.RESOLVED else printable(knowledge.meaning(event).words),
        action=printable(said.action),
        fields=tuple((name, shown) for name, value in _fields(event, knowledge) if (shown := _block(value))),
        standing=standing,
        subject=event.stream if event.type in _NOTICES else subject_of(event),
        items=tuple(map(printable, _items(event, knowledge))),
        items_left=left if isinstance(left := event.details.get("items_left"), int) and left > 0 else 0,
        listed_by=text(event.details.get("listed_by")),
        links=tuple(dict.fromkeys((name, url) for name, url in links if _leads_somewhere(url))),
    )


def ending(message: Message, ends: Sequence[Alert]) -> Message:
    """Return the message, with what it ends."""
    if not ends:
        return message
    titles = "; ".join(f"{alert.title}, since {clock(alert.since, message.at)}" for alert in ends[:_NAMED_MAX])
    more = f" and {len(ends) - _NAMED_MAX:,} more" if len(ends) > _NAMED_MAX else ""
    return replace(message, ends=True, action=f"{message.action} This ends: {printable(titles)}{more}.".lstrip())


def _standing(event: Event) -> Standing:
    if event.type in _NOTICES:
        return _NOTICES[event.type]
    if event.type in _STATUS_ONLY:  # it would close the alert of an unknown status, which next to no job has
        return Standing.STORY
    match next((effect.turn for effect in effects_of(event)), Turn.ADDS):  # the first one is of its subject
        case Turn.OPENS:
            return Standing.FIRING
        case Turn.CLOSES:
            return Standing.RESOLVED
        case Turn.ADDS:
            return Standing.STORY


def _leads_somewhere(url: str) -> bool:
    """True for what a browser opens, and not for a path within the platform's API."""
    return url.startswith(("https://", "http://")) and url.isprintable() and " " not in url


def _items(event: Event, knowledge: Knowledge) -> list[str]:
    if event.type is EventType.DIGEST_DAILY:
        return digest.lines(event, knowledge)
    items = texts(event.details.get("items"))
    is_told = len(items) == 1 and text(event.details.get("summary")).endswith(f"{items[0]}.")
    return [] if is_told else items


def _fields(event: Event, knowledge: Knowledge) -> list[tuple[str, str]]:
    if event.type is EventType.DIGEST_DAILY:
        return digest.fields(event)
    details = event.details
    job = text(event.job_id) or text(details.get("job"))
    sizes = _profiles(event, knowledge, "profiles") or _profiles(event, knowledge, "members")
    return [
        ("Sandbox", text(event.sandbox)),
        ("Pipeline", text(details.get("pipeline"))),
        ("Run", text(details.get("run"))),
        ("Kind", text(event.kind)),
        ("Job", job),
        ("Status", " -> ".join(filter(None, (event.status and text(event.previous), text(event.status))))),
        ("Reason", "" if event.type is EventType.SILENCE_ENDED else text(event.reason)),  # its sentence tells it
        ("Further errors", _errors(event)),
        ("Attempt", _attempt(details)),
        ("Chain began with", text(details.get("root")) if text(details.get("root")) != job else ""),
        ("New job", text(details.get("new_job_id"))),
        *_timeline(event),
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
        ("Audiences", sizes or _segments(event, knowledge)),
        ("Dataset", knowledge.shown(event.sandbox, Resource.DATASET, text(details.get("dataset")))),
        ("Steps not seen", ", ".join(texts(details.get("skipped")))),
        ("Settled by", text(details.get("settled_by"))),
        ("Late", "it happened while segwatch was not watching" if event.late else ""),
    ]


def _usually(details: dict[str, Any]) -> str:
    """Return what is usual, of an audience in members, of a job in time."""
    low, high = amount(details.get("low")), amount(details.get("high"))
    band = f" ({low} to {high})" if low and high else ""
    usual, p95 = span(details.get("usual_s")), span(details.get("p95_s"))
    return (amount(details.get("expected")) + band) or (f"{usual} (p95 {p95})" if usual and p95 else usual)


def _attempt(details: dict[str, Any]) -> str:
    """Return `1 of 3`, `1` where the bound is not told."""
    attempt, decided = count(details.get("attempt")), details.get("retry")
    told = decided if isinstance(decided, dict) else details
    most = count(told.get("max_attempts"))
    return f"{attempt} of {most}" if attempt and most else attempt


def _timeline(event: Event) -> list[tuple[str, str]]:
    """Return when the job was created, began to run and ended, and how long it waited before, as far as is known."""
    names = ("created", "started", "ended")
    at = {name: event.details.get(f"{name}_at") for name in names}
    told = {name: shown for name in names if (shown := moment(at[name], event.at))}
    if len(told) < 2:
        return [(name.capitalize(), shown) for name, shown in told.items()]
    queued = _between(at["created"], at["started"])
    if queued and "started" in told:
        told["started"] += f" (queued {queued})"
    words = {"started": "running"}
    return [("Timeline", " -> ".join(f"{words.get(name, name)} {shown}" for name, shown in told.items()))]


def _between(begin: object, end: object) -> str:
    since, until = moment_of(begin), moment_of(end)
    return span((until - since).total_seconds()) if since and until else ""


def _block(value: str) -> str:
    """Return a value as it may be shown, its lines kept."""
    return "\n".join(filter(None, map(printable, value.split("\n"))))


def _errors(event: Event) -> str:
    """Return the errors behind the first, which the summary tells."""
    others = errors_of(event)[1:]
    return _named(others, most=_ERRORS_MAX, between="\n")


def _profiles(event: Event, knowledge: Knowledge, detail: str) -> str:
    """Return `segment: members` for the largest audiences."""
    value = event.details.get(detail)
    if not isinstance(value, dict):
        return ""
    sizes = {text(name): size for name, size in value.items() if isinstance(size, int) and not isinstance(size, bool)}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))
    return _named([f"{knowledge.shown(event.sandbox, Resource.SEGMENT, name)}: {sizes[name]:,}" for name in largest])


def _segments(event: Event, knowledge: Knowledge) -> str:
    ids = texts(event.details.get("segments")) or texts([event.details.get("segment")])
    return _named([knowledge.shown(event.sandbox, Resource.SEGMENT, one) for one in ids])


def _named(names: list[str], *, most: int = _NAMED_MAX, between: str = ", ") -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return between.join(names[:most] + more)
