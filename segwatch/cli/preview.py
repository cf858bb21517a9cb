"""`segwatch notify preview`: what each channel would say of an event."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any

import aiohttp
from cyclopts import Parameter

from segwatch.alerts.book import Book
from segwatch.alerts.grouping import Way
from segwatch.alerts.notices import FOR_ONE
from segwatch.app.channels import channel_of, open_session, routes_of, stateful_channels, wording_of
from segwatch.app.knowledge import knowledge_of, knowledge_without_names
from segwatch.cli.message_panel import show_message, show_note, show_payload
from segwatch.cli.options import EVENT_TYPES, ConfigFile, Json
from segwatch.cli.output import Exit, fail, lines, show_json
from segwatch.cli.samples import Labels, labelled, sample, type_of
from segwatch.cli.session import opened, settings_of, the_channel, the_event
from segwatch.config import Settings
from segwatch.daemon.clock import SystemClock
from segwatch.deliveries.alert_words import words_of
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.message import Message, Standing, message_of
from segwatch.deliveries.model import Rejected, promised
from segwatch.deliveries.routing import Route, leading
from segwatch.deliveries.templates.rewriting import Composed
from segwatch.deliveries.ways import way_of, ways_of
from segwatch.jobs.events import Event, EventType, rfc3339
from segwatch.notifiers.base import Body, is_worded, load_notifiers

Type = Annotated[
    str | None, Parameter(name="--type", choices=EVENT_TYPES, help="A sample of this type, in place of EVENT.")
]
Payload = Annotated[bool, Parameter(name="--payload", help="Also what would be sent, without the secrets in it.")]

_CLOSES = "nothing by itself: its news is that an alert is over, for those who have heard of that alert"
_STORY = "nothing: it opens and closes no incident, and the channel knows nothing else"
_NO_WORDS = "the event itself, which no template changes; --payload shows it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Telling:
    """How one channel is told. event: what it is told of, which in a group is a message about alerts; None: nothing."""

    channel: str
    kind: str
    how: str
    event: Event | None
    composed: Composed | None
    note: str
    body: Body | None


async def preview(
    event: str = "",
    /,
    *,
    type_: Type = None,
    channel: Annotated[str, Parameter(help="Only this channel, also where no route leads.")] = "",
    label: Labels = None,
    payload: Payload = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show what channels would say of an event, by their templates. Nothing is sent.

    Without an event it is a sample of job.failed. Of a channel that is told of alerts in groups it shows the message
    about this one. Silences and quiet hours are not asked. Exit code 1 when a template fails on the event.

    Example: `segwatch notify preview job.failed --label sandbox=prod --channel ops --payload`

    Parameters
    ----------
    event
        The id of an event in the log (`events list --json`), or a type, such as job.failed.
    """
    if event and type_:
        fail(Exit.USAGE, "write either an event or --type")
    if event.startswith("evt_") and label:
        fail(Exit.USAGE, f"{event} has its own labels; leave out --label, or name a type of event")
    if event.startswith("evt_"):
        async with opened(config) as (settings, store):
            found = await the_event(store, event)
            knowledge = await knowledge_of(settings, store)
    else:
        kind = type_of(event or type_ or EventType.JOB_FAILED.value)
        found, settings = labelled(sample(kind, SystemClock().now()), label or []), settings_of(config)
        knowledge = knowledge_without_names(settings)
    if channel:
        the_channel(settings, channel)
    async with open_session() as session:
        told = [
            _telling(settings, session, one, found, way, knowledge) for one, way in _reached(settings, found, channel)
        ]
    if as_json:
        show_json(_report(found, told, payload=payload))
    elif not told:
        where = "name a channel with --channel, or labels that a route asks for"
        lines([f"no route sends {found.type.value} anywhere; {where}"])
    else:
        for one in told:
            _show(one, payload=payload)
    if any(one.composed is not None and one.composed.fault for one in told):
        raise SystemExit(Exit.FAILED)


def _reached(settings: Settings, event: Event, channel: str) -> Iterator[tuple[str, Way | None]]:
    """Yield the channels that are told of the event, each with how it is told of alerts; None for at once."""
    routes, stateful = routes_of(settings), stateful_channels(settings)
    if event.type in FOR_ONE:  # whom such a message is for is in it; a sample is for all who get such messages
        told = dict.fromkeys(one.channel for one in ways_of(routes))
        if event.type is EventType.DIGEST_DAILY:
            told = dict.fromkeys(one.name for one in settings.channels if one.digest)
        meant = [str(event.details["channel"])] if event.details.get("channel") else list(told)
        configured = [one.name for one in settings.channels]
        yield from ((name, None) for name in ([channel] if channel else meant or configured) if name in configured)
        return
    found = leading(event, routes)
    if channel:
        alone = Route(channels=(channel,), stateful=stateful.intersection([channel]))
        found = {channel: found.get(channel, alone)}
    yield from ((name, way_of(route, name)) for name, route in found.items())


def _telling(
    settings: Settings, session: aiohttp.ClientSession, name: str, event: Event, way: Way | None, knowledge: Knowledge
) -> _Telling:  # fmt: skip
    kind = next(one.kind for one in settings.channels if one.name == name)
    said = event if way is None else _notice(event, way, knowledge)
    how = "at once" if way is None else "as an incident of its own" if way.stateful else "in a group"
    if said is None:
        note = _STORY if message_of(event).standing is Standing.STORY else _CLOSES
        return _Telling(channel=name, kind=kind, how=how, event=None, composed=None, note=note, body=None)
    clock = SystemClock()
    now = clock.now()
    delivery = promised(said, name, now)
    body = channel_of(settings, name, session, clock, knowledge=lambda: knowledge).notifier.body(delivery)
    composed = (
        wording_of(settings, name, knowledge=lambda: knowledge).composed(said)
        if is_worded(load_notifiers()[kind])
        else None
    )
    refused = _STORY if isinstance(body, Rejected) else ""
    return _Telling(
        channel=name, kind=kind, how=how, event=said, composed=None if refused else composed,
        note=refused or ("" if composed else _NO_WORDS), body=None if isinstance(body, Rejected) else body,
    )  # fmt: skip


def _notice(event: Event, way: Way, knowledge: Knowledge) -> Event | None:
    """Return the message about the alert that this event opens, as if it were the only one; None if it opens none."""
    book = Book((), ())
    at_once = replace(way, group_wait=timedelta(), quiet=None)
    book.take(event, words=words_of(event, knowledge), ways=(at_once,))
    due = book.tick(event.at, lambda labels, now: False)
    return next((one.event() for one in due), None)


def _show(told: _Telling, *, payload: bool) -> None:
    heading = f"{told.channel} ({told.kind}), {told.how}"
    if told.composed is None:
        show_note(heading, told.note)
    else:
        by = f", by template {told.composed.template}" if told.composed.template else ""
        show_message(f"{heading}{by}", told.composed.message)
        if fault := told.composed.fault:
            lines([f"template {fault.template} fails, so these are the standard words: {fault}"], style="yellow")
    if payload and told.body is not None:
        show_payload(told.body)
    lines([""])


def _report(event: Event, told: list[_Telling], *, payload: bool) -> dict[str, Any]:
    return {
        "event": event.type.value,
        "event_id": event.id,
        "channels": [
            {
                "channel": one.channel,
                "kind": one.kind,
                "told": one.how,
                "type": one.event.type.value if one.event else "",
                "note": one.note,
                "template": one.composed.template if one.composed else "",
                "fault": _fault(one.composed),
                "message": _message(one.composed.message) if one.composed else None,
            }
            | (
                {"payload": one.body and {"media_type": one.body.media_type, "body": one.body.content}}
                if payload
                else {}
            )
            for one in told
        ],
    }


def _fault(composed: Composed | None) -> dict[str, Any] | None:
    if composed is None or composed.fault is None:
        return None
    fault = composed.fault
    return {"template": fault.template, "part": fault.part, "line": fault.line, "why": fault.why}


def _message(message: Message) -> dict[str, Any]:
    return {
        "title": message.title, "summary": message.summary, "action": message.action,
        "fields": dict(message.fields), "items": list(message.items),
        "items_left": message.items_left, "listed_by": message.listed_by, "links": dict(message.links),
        "severity": message.severity.value, "standing": message.standing.value, "at": rfc3339(message.at),
    }  # fmt: skip
