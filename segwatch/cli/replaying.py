"""What `segwatch notify replay` sends: dead letters, and past events as their channels hear of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from segwatch.alerts.notices import FOR_ONE
from segwatch.app.channels import routes_of, stateful_channels
from segwatch.cli.closings import notices_about
from segwatch.cli.output import Exit, fail
from segwatch.cli.session import the_event
from segwatch.config import Settings
from segwatch.deliveries import health
from segwatch.deliveries.model import Delivery, Stage, promised
from segwatch.deliveries.routing import leading
from segwatch.jobs.events import Event, EventType
from segwatch.store.base import Store
from segwatch.store.filters import EventFilter


async def named(store: Store, settings: Settings, name: str, channel: str, now: datetime) -> list[Delivery]:
    """Return the deliveries that an id means: of a settled one, or of an event to each of its channels.

    channel: only this one, "" for all. Ends the command for what cannot be meant, or would leave an incident open.
    """
    if name.startswith("msg_"):
        found = await store.deliveries(id=name, stages=(Stage.DEAD, Stage.DELIVERED))
        if not found:
            fail(Exit.FAILED, f"no settled delivery has the id {name}; `segwatch notify dead` lists those given up")
        if channel and found[0].channel != channel:
            whose = f"{name} is a notification to {found[0].channel}, not to {channel}"
            fail(Exit.USAGE, f"{whose}; leave out --channel, or name its event")
        await _refuse_what_is_over(store, settings, name, found[0].event, found[0].channel)
        return found
    event = await the_event(store, name)
    if event.type in FOR_ONE:
        its_own = str(event.details["channel"])
        if channel not in ("", its_own):
            fail(Exit.USAGE, f"{name} is a message to {its_own} alone, not to {channel}; leave out --channel")
        await _refuse_what_is_over(store, settings, name, event, its_own)
        return [promised(event, its_own, now)]
    return await _of_event(store, settings, event, channel, now)


async def without_what_is_over(store: Store, settings: Settings, letters: Sequence[Delivery]) -> list[Delivery]:
    """Return the letters without those that would open an incident whose end its channel was told already.

    Nor is a channel told that it fails itself: what reaches it shows that it does not.
    """
    again = {(one.event.id, one.channel) for one in letters}
    kept = []
    for one in letters:
        if one.event.type is EventType.CHANNEL_FAILING and one.event.stream == health.stream_of(one.channel):
            continue
        newer = await _ended_by(store, settings, one.event, one.channel)
        if newer is None or (newer.id, one.channel) in again:
            kept.append(one)
    return kept


async def _of_event(store: Store, settings: Settings, event: Event, channel: str, now: datetime) -> list[Delivery]:
    """Return the event itself to whom it is told at once, and to all others the last message about its alert."""
    routes = leading(event, routes_of(settings))
    stateful = stateful_channels(settings)
    told = {channel: routes.get(channel)} if channel else routes
    if not told:
        fail(Exit.FAILED, f"no route sends {event.id} anywhere; name a channel with --channel")
    notices = await notices_about(store, [event])
    found, untold = [], []
    for name, route in told.items():
        if name not in stateful and (route is None or not route.groups):
            found.append(promised(event, name, now))
        elif own := [one for one in notices if one.details["channel"] == name]:
            last = await _last(store, own[-1]) if name in stateful else own[-1]
            found.append(promised(last, name, now))
        elif channel and name not in stateful:
            found.append(promised(event, name, now))  # somebody wants this one, there
        else:
            untold.append(name)
    if not found:
        _refuse(event, untold, stateful)
    return found


def _refuse(event: Event, untold: Sequence[str], stateful: frozenset[str]) -> NoReturn:
    grouped = next((name for name in untold if name not in stateful), "")
    if grouped:
        why = f"{grouped} is told in groups, and no message there is about {event.id}"
        fail(Exit.FAILED, f"{why}; to send this event by itself: --channel {grouped}")
    why = f"{untold[0]} keeps incidents, and none there is about {event.id}: alone it would open one that nobody closes"
    fail(Exit.FAILED, f"{why}; `segwatch notify test {untold[0]} --event alert.firing` tries the channel")


async def _refuse_what_is_over(store: Store, settings: Settings, name: str, event: Event, channel: str) -> None:
    newer = await _ended_by(store, settings, event, channel)
    if newer is not None:
        why = f"{name} says that something fires, and {channel} was told since how that went on"
        fail(Exit.FAILED, f"{why}; to say the last of it again: segwatch notify replay {newer.id}")


async def _ended_by(store: Store, settings: Settings, event: Event, channel: str) -> Event | None:
    """Return the later message that a channel with incidents has had about this group; None where none is behind."""
    if event.type is not EventType.ALERT_FIRING or channel not in stateful_channels(settings):
        return None
    last = await _last(store, event)
    waiting = await store.deliveries(event_id=last.id, channel=channel, stages=(Stage.PENDING,))
    return None if last.id == event.id or waiting else last


async def _last(store: Store, notice: Event) -> Event:
    """Return the last message about the whole group of a notice, which is what an incident stands for."""
    (last,) = await store.events(EventFilter(stream=notice.stream), limit=1)
    return last.event
