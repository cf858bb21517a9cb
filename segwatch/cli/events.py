"""`segwatch events`: the event log."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter, validators

from segwatch.app.knowledge import knowledge_of
from segwatch.cli.options import EVENT_TYPES, ConfigFile, Json, Limit
from segwatch.cli.output import clock, line, show, show_json, style_of
from segwatch.cli.session import a_while, opened
from segwatch.cli.streams import needs_reader
from segwatch.daemon.clock import SystemClock
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.message import message_of
from segwatch.store.base import LoggedEvent
from segwatch.store.filters import EventFilter

app = App(name="events")

Types = Annotated[
    list[str] | None,
    Parameter(name="--type", choices=EVENT_TYPES, help="Only events of this type; may be repeated."),
]
Sandbox = Annotated[str, Parameter(name="--sandbox", help="Only events of this sandbox.")]
Job = Annotated[str, Parameter(name="--job", help="Only events of the job with this id.")]

_LOOK_S = 0.5
_PAGE = 500


@app.command(name="list")
async def list_(
    *,
    types: Types = None,
    sandbox: Sandbox = "",
    job: Job = "",
    since: Annotated[str | None, Parameter(help="Only events of so long ago or less, such as 36h.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the newest events, oldest first.

    Example: `segwatch events list --type job.failed --since 24h`
    """
    wanted = _filter(types, sandbox, job, since)
    async with opened(config) as (settings, store):
        logged = await store.events(wanted, limit=limit)
        knowledge = await knowledge_of(settings, store)
    show(
        [_payload(one) if as_json else _row(one, knowledge) for one in logged], as_json=as_json, empty="no events match"
    )


@app.command
async def tail(
    *,
    types: Types = None,
    sandbox: Sandbox = "",
    job: Job = "",
    limit: Annotated[
        int, Parameter(help="Begin with so many that are there already.", validator=validators.Number(gte=0))
    ] = 10,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Print the newest events, then new ones as they are recorded, until interrupted.

    With --json, one JSON object a line.

    Example: `segwatch events tail --json | jq .type`
    """
    wanted = _filter(types, sandbox, job, None)
    async with opened(config) as (settings, store):
        knowledge = await knowledge_of(settings, store)
        logged: Sequence[LoggedEvent] = await store.events(wanted, limit=limit) if limit else ()
        position = max((one.position for one in logged), default=0)
        if not logged:
            newest = await store.events(EventFilter(), limit=1)
            position = newest[-1].position if newest else 0
        while True:
            for one in logged:
                if as_json:
                    show_json(_payload(one))
                    needs_reader()
                else:
                    line(clock(one.event.at), message_of(one.event, knowledge).line, style=style_of(one.event.severity))
            await asyncio.sleep(_LOOK_S)
            logged = await store.events(wanted, after=position, limit=_PAGE)
            if logged and not as_json:  # names are learned meanwhile
                knowledge = await knowledge_of(settings, store)
            position = max((one.position for one in logged), default=position)


def _filter(types: list[str] | None, sandbox: str, job: str, since: str | None) -> EventFilter:
    age = a_while(since, "--since")
    start = SystemClock().now() - age if age else None
    return EventFilter(types=tuple(types or ()), sandbox=sandbox, job_id=job, since=start)


def _payload(logged: LoggedEvent) -> dict[str, Any]:
    return {"position": logged.position} | logged.event.payload()


def _row(logged: LoggedEvent, knowledge: Knowledge) -> dict[str, Any]:
    event = logged.event
    return {
        "at": event.at, "severity": event.severity.value, "event": event.type.value,
        "what": message_of(event, knowledge).summary,
    }  # fmt: skip
