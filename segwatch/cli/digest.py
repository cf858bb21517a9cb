"""`segwatch notify digest`: what the digest of a channel would say now."""

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from cyclopts import Parameter

from segwatch.app.channels import channel_of, open_session, scope_for, stateful_channels, wording_of
from segwatch.app.knowledge import knowledge_of
from segwatch.cli.message_panel import show_message
from segwatch.cli.options import ConfigFile, Json
from segwatch.cli.output import Exit, fail, lines, show_json
from segwatch.cli.session import a_while, opened, the_channel
from segwatch.config import Settings
from segwatch.config.channels import ChannelSection
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.digest_reading import figures, stretch_between, watched_since
from segwatch.deliveries.digest import event_of
from segwatch.deliveries.digest_times import stream_of
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.message import message_of
from segwatch.deliveries.model import Accepted, promised
from segwatch.jobs.events import Event, rfc3339

_DAY = timedelta(days=1)


async def digest(
    *,
    channel: Annotated[str, Parameter(help="As this channel would be told; else all that is watched.")] = "",
    day: Annotated[str | None, Parameter(help="A whole day: today, yesterday, or a date.")] = None,
    since: Annotated[str | None, Parameter(help="How far back from now, such as 24h or 7d; 24h by default.")] = None,
    send: Annotated[bool, Parameter(help="Also send it to the channel, now.", negative="")] = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Print what ran, what failed and what moved: the daily digest, now.

    Nothing is sent without --send, and the daemon's next digest is the same with or without. A day is one by the clocks
    of the channel's `digest.zone`; without a channel or a digest, in UTC.

    Example: `segwatch notify digest --channel team --day yesterday`
    """
    if day is not None and since is not None:
        fail(Exit.USAGE, "write either --day or --since: both say from when on")
    if send and not channel:
        fail(Exit.USAGE, "--send needs to know where to: add --channel NAME")
    back = a_while(since, "--since") or _DAY
    clock = SystemClock()
    now = clock.now()
    async with opened(config) as (settings, store):
        chosen = _chosen(settings, channel, send=send) if channel else None
        plan = chosen.digest if chosen else None
        zone = plan.zone if plan else "UTC"
        begin, end = _day(day, now, zone) if day is not None else (now - back, now)
        if begin >= now:
            fail(Exit.USAGE, f"--day is {day}, which has not begun. Write today, yesterday, or a date before.")
        scope = scope_for(settings, channel, (plan.sandboxes or ()) if plan else ())
        watched = await watched_since(store, scope)
        if watched is None or watched >= min(end, now):
            when = f"since {rfc3339(watched)} only" if watched else "not yet; `segwatch run` begins"
            fail(Exit.FAILED, f"nothing can be said of that time: it is watched {when}")
        begin = max(begin, watched)
        knowledge = await knowledge_of(settings, store)
        counted = await figures(store, scope, await stretch_between(store, begin, end), now)
    # a stream of its own: a receiver must not take the daemon's next digest for this one
    event = event_of(
        f"{stream_of(channel or 'all')}/{random.getrandbits(64):x}", 1, channel, counted,
        since=begin, until=min(end, now), zone=zone, now=now,
    )  # fmt: skip
    if as_json:
        show_json(event.payload())
    else:
        said = (
            wording_of(settings, channel, knowledge=lambda: knowledge).compose(event)
            if channel
            else message_of(event, knowledge)
        )
        show_message(channel or "all that is watched", said)
    if send:
        await _send(settings, channel, event, clock, knowledge)
        if not as_json:
            lines(["", f"sent to {channel}"])


def _chosen(settings: Settings, channel: str, *, send: bool) -> ChannelSection:
    found = the_channel(settings, channel)
    if send and channel in stateful_channels(settings):
        fail(Exit.USAGE, f"{channel} is of kind {found.kind}, which keeps incidents, and a digest is none")
    return found


def _day(word: str, now: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return when a day begins and ends, in UTC: 23 to 25 hours apart where clocks change."""
    today = now.astimezone(ZoneInfo(zone)).date()
    try:
        day = {"today": today, "yesterday": today - _DAY}.get(word) or date.fromisoformat(word)
        return _midnight(day, zone), _midnight(day + _DAY, zone)
    except (ValueError, OverflowError):
        fail(Exit.USAGE, f'--day is "{word}", which is no day. Write today, yesterday, or a date such as 2026-01-05.')


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


async def _send(settings: Settings, channel: str, event: Event, clock: SystemClock, knowledge: Knowledge) -> None:
    now = clock.now()
    async with open_session() as session:
        notifier = channel_of(settings, channel, session, clock, knowledge=lambda: knowledge).notifier
        outcome = await notifier.send(promised(event, channel, now))
    if not isinstance(outcome, Accepted):
        fail(Exit.FAILED, f"{channel}: not accepted: {outcome.reason}")
