"""`segwatch notify route`: which channels an event reaches, and why."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from segwatch.alerts.labels import labels_of
from segwatch.alerts.notices import FOR_ONE, follows_no_route
from segwatch.alerts.silences import Silence, silenced_by
from segwatch.app.channels import routes_of
from segwatch.cli.closings import told_the_opening
from segwatch.cli.options import ConfigFile, Json
from segwatch.cli.output import Exit, clock, fail, lines, show, show_json
from segwatch.cli.samples import Labels, bare, labelled, type_of
from segwatch.cli.session import opened, settings_of, the_event
from segwatch.daemon.clock import SystemClock
from segwatch.deliveries.routing import Route, Verdict, channels_for, judge
from segwatch.jobs.events import Event
from segwatch.store.factory import file_of


async def route(event: str, /, *, label: Labels = None, as_json: Json = False, config: ConfigFile = None) -> None:
    """Show which routes an event takes, which channels that leads to, and why.

    Routes and silences are judged as they are now; of an event in the log it also says what silenced it then.

    Example: `segwatch notify route job.failed --label sandbox=prod --label kind=export_job`

    Parameters
    ----------
    event
        The id of an event in the log (`events list --json`), or a type, such as job.failed.
    """
    if event.startswith("evt_") and label:
        fail(Exit.USAGE, f"{event} has its own labels; leave out --label, or name a type of event")
    now = SystemClock().now()
    if event.startswith("evt_"):
        async with opened(config) as (settings, store):
            found = await the_event(store, event)
            silences = await store.silences()
            openings = await told_the_opening(store, found)
    else:
        kind = type_of(event)
        if kind in FOR_ONE:
            fail(Exit.USAGE, f'event is "{kind.value}"{follows_no_route(kind)}')
        found, openings = labelled(bare(kind, now), label or []), ()
        settings = settings_of(config)
        silences = await _silences(config) if file_of(settings.store.url).exists() else []
    routes = routes_of(settings)
    labels = labels_of(found)
    hushed = silenced_by(labels, silences, now)
    then = [one for one in silences if found.sequence and one.held(found.at) and one.matches(labels)]
    channels = (str(found.details["channel"]),) if found.type in FOR_ONE else channels_for(found, routes)
    report = _report(found, judge(found, routes), channels, hushed, now)
    report["told_the_opening"] = [one for one in openings if one not in report["channels"]]
    report["was_silenced_by"] = [one.id for one in then]
    if as_json:
        return show_json(report)
    rows = [row | {"taken": "yes" if row["taken"] else "no"} for row in report["routes"]]
    show(rows, as_json=False, empty="there are no routes: add [[routes]]")
    lines(["", _summary(found, report, hushed)])
    if then:
        lines([f"when it was recorded, it was silenced by {_whose(then)}"])
    return None


async def _silences(config: str | None) -> list[Silence]:
    async with opened(config) as (_, store):
        return await store.silences(untold=True)


def _report(
    event: Event, verdicts: tuple[Verdict, ...], channels: tuple[str, ...], hushed: tuple[Silence, ...], now: datetime
) -> dict[str, Any]:
    return {
        "event": event.type.value,
        "event_id": event.id if event.sequence else "",
        "labels": _known(event),
        "channels": [] if hushed else list(channels),
        "silenced_by": [one.id for one in hushed],
        "routes": [
            {
                "route": f"routes[{number}]",
                "taken": verdict.taken,
                "channels": list(verdict.route.channels),
                "told": _how(verdict.route, event, now) if verdict.taken else "",
                "why": verdict.why,
            }
            for number, verdict in enumerate(verdicts)
        ],
    }


def _known(event: Event) -> dict[str, list[str]]:
    """Return the labels that have a value. An event that is only thought of belongs to no alert."""
    labels = labels_of(event) | ({} if event.sequence else {"alert": ()})
    return {name: list(values) for name, values in labels.items() if values}


def _how(route: Route, event: Event, now: datetime) -> str:
    """Return how the channels of a route that is taken are told."""
    if not route.groups:
        return "at once"
    until = route.quiet_hours and route.quiet_hours.held_until(event.severity, now)
    by = f" by {', '.join(route.group_by)}" if route.group_by else ""
    return f"in groups{by}" + (f", not before {clock(until)} UTC" if until else "")


def _summary(event: Event, report: dict[str, Any], hushed: Sequence[Silence]) -> str:
    told = f"told: {', '.join(report['channels']) or 'nobody'}"
    if hushed:
        told = f"nobody is told: {event.type} is silenced by {_whose(hushed)}"
    openings = ", ".join(report["told_the_opening"])
    return told + (f"; but also {openings}, told of what this ends and so of its end" if openings else "")


def _whose(silences: Sequence[Silence]) -> str:
    owners = [f", by {one.owner}" if one.owner else "" for one in silences]
    return " and ".join(f"silence {one.id} ({one.what}{by})" for one, by in zip(silences, owners, strict=True))
