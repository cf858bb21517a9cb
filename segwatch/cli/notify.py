"""`segwatch notify`: see and try what channels are told, see what was given up, send it again."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from segwatch.app.channels import channel_of, open_session
from segwatch.cli.digest import digest
from segwatch.cli.options import EVENT_TYPES, ConfigFile, Json, Limit
from segwatch.cli.output import Exit, fail, lines, show, show_json
from segwatch.cli.preview import preview
from segwatch.cli.replaying import named, without_what_is_over
from segwatch.cli.route import route
from segwatch.cli.samples import sample
from segwatch.cli.session import left_to_daemon, opened, settings_of, the_channel
from segwatch.daemon.clock import SystemClock
from segwatch.deliveries import health
from segwatch.deliveries.marking import as_test
from segwatch.deliveries.message import Standing, message_of
from segwatch.deliveries.model import Accepted, Stage, promised
from segwatch.deliveries.templates.rewriting import Fault
from segwatch.jobs.events import EventType

app = App(name="notify")
app.command(route)
app.command(preview)
app.command(digest)


@app.command(name="list")
async def list_(*, limit: Limit = 50, as_json: Json = False, config: ConfigFile = None) -> None:
    """List the channels, whether each works, and what waits for it.

    A channel that is no longer in the settings is listed while something waits for it or was given up.

    Example: `segwatch notify list`
    """
    async with opened(config) as (settings, store):
        depths = {depth.channel: depth for depth in await store.outbox_depth()}
        kinds = {channel.name: channel.kind for channel in settings.channels}
        gone = {
            name: "(not configured)" for name, one in depths.items() if name not in kinds and (one.pending or one.dead)
        }
        rows: list[dict[str, Any]] = []
        for name, kind in (kinds | gone).items():
            depth, said = depths.get(name), await store.subject(health.stream_of(name))
            rows.append({
                "channel": name, "kind": kind,
                "condition": said.condition if said else health.ChannelCondition.HEALTHY.value,
                "pending": depth.pending if depth else 0, "dead": depth.dead if depth else 0,
                "oldest": depth.oldest if depth else None,
            })  # fmt: skip
    show(rows[:limit], as_json=as_json, empty="no channels are configured: add [[channels]] and [[routes]]")


@app.command(name="test")
async def try_(
    channel: str,
    /,
    *,
    event: Annotated[str, Parameter(choices=EVENT_TYPES)] = EventType.JOB_FAILED.value,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Send a real sample to one channel, now, and say what the receiver answered.

    It needs no daemon, and leaves no trace in the store. Its title says "(a test)"; its sandbox is called sample.
    Where incidents are kept (PagerDuty, Alertmanager) all tests are about one, which `--event alert.resolved` closes.

    Example: `segwatch notify test ops --event job.failed`, or `segwatch notify test pager --event alert.resolved`

    Parameters
    ----------
    channel
        The channel's name in the settings.
    event
        What the sample tells of.
    """
    settings = settings_of(config)
    the_channel(settings, channel)
    clock = SystemClock()
    now = clock.now()
    delivery = promised(as_test(sample(EventType(event), now)), channel, now)
    faults: dict[Fault, None] = {}
    async with open_session() as session:
        told = channel_of(settings, channel, session, clock, failed=lambda name, event, fault: faults.setdefault(fault))
        outcome = await told.notifier.send(delivery)
    accepted = isinstance(outcome, Accepted)
    opens = accepted and told.stateful and message_of(delivery.event).standing is Standing.FIRING
    closed_by = f"segwatch notify test {channel} --event {EventType.ALERT_RESOLVED.value}" if opens else ""
    reason = "" if isinstance(outcome, Accepted) else outcome.reason
    if as_json:
        said = {"channel": channel, "accepted": accepted, "reason": reason, "webhook_id": delivery.id}
        show_json(said | {"closed_by": closed_by})
    else:
        lines([f"{channel}: accepted" if accepted else f"{channel}: not accepted: {reason}"])
        lines([f"`{closed_by}` closes what this opened"] if closed_by else [])
        lines(f"template {one.template} fails, so it was told in the standard words: {one}" for one in faults)
    if not accepted:
        raise SystemExit(Exit.FAILED)


@app.command
async def dead(*, channel: str = "", limit: Limit = 50, as_json: Json = False, config: ConfigFile = None) -> None:
    """List notifications that were given up.

    Example: `segwatch notify dead`, then `segwatch notify replay --dead`

    Parameters
    ----------
    channel
        Only those of this channel.
    """
    async with opened(config) as (_, store):
        letters = await store.deliveries(channel=channel, stages=(Stage.DEAD,), limit=limit)
    rows = [
        {"id": one.id, "channel": one.channel, "event": one.event.type.value, "job": one.event.job_id,
         "promised_at": one.promised_at, "attempts": one.attempts, "reason": one.reason}
        for one in letters
    ]  # fmt: skip
    show(rows, as_json=as_json, empty="no dead letters")


@app.command
async def replay(
    *ids: str,
    channel: str = "",
    dead: bool = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Send dead letters or past events again; the receiver sees the same webhook-id as before.

    A channel that is told in groups, or keeps incidents, gets the last message about the event's alert.

    Example: `segwatch notify replay --dead --channel ops`, or `segwatch notify replay evt_5f0c...`

    Parameters
    ----------
    ids
        Ids of dead letters (`notify dead`) or of events (`events list --json`).
    channel
        Only to this channel; for an event, also where no route leads.
    dead
        All dead letters.
    """
    if bool(ids) == dead:
        fail(Exit.USAGE, "write either ids or --dead; `segwatch notify dead` lists the ids")
    async with opened(config, readonly=False) as (settings, store):
        if channel:
            the_channel(settings, channel)
        now = SystemClock().now()
        if dead:
            letters = await store.deliveries(channel=channel, stages=(Stage.DEAD,))
            chosen = await without_what_is_over(store, settings, letters)
            left_out = len(letters) - len(chosen)
        else:
            chosen = [one for name in ids for one in await named(store, settings, name, channel, now)]
            left_out = 0
        again = [promised(one.event, one.channel, now) for one in chosen]
        count = await store.promise(again)
        kept = [await store.deliveries(event_id=one.event.id, channel=one.channel) for one in again]
    if as_json:
        show_json({"replayed": count, "left_out": left_out, "ids": [one.id for promised in kept for one in promised]})
    else:
        noun = "notification" if count == 1 else "notifications"
        lines([left_to_daemon(settings, f"send {count} {noun} again") if count else "nothing to send again"])
