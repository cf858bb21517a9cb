"""`segwatch schedules`: when the platform evaluates by itself."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from segwatch.cli.options import ConfigFile, Json, Limit
from segwatch.cli.output import Exit, beneath, fail, lines, show, show_json, show_one
from segwatch.cli.platform import InSandbox, calling, exit_of, left_out, told
from segwatch.cli.signals import raised
from segwatch.cli.streams import say
from segwatch.cron import CronError, parse
from segwatch.daemon.clock import SystemClock
from segwatch.upstream import schedules
from segwatch.upstream.errors import Fate, NotFound, UpstreamError
from segwatch.upstream.schedules import Schedule

app = App(name="schedules")

CronText = Annotated[
    str, Parameter(name="--cron", help='When, in UTC and in Quartz\'s form: "0 0 1 * * ?" is 01:00:00 every day.')
]


@app.command(name="list")
async def list_(
    *, limit: Limit = 50, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None
) -> None:  # fmt: skip
    """List the schedules, and when the active ones run next.

    Example: `segwatch schedules list`
    """
    now = SystemClock().now()
    async with calling(config, sandbox) as platform:
        found = [one async for one in schedules.list_(platform.client, most=limit, on_unreadable=left_out)]
    rows = [_record(one, now) if as_json else _row(one, now) for one in found]
    show(rows, as_json=as_json, empty="no schedules: `segwatch schedules create` makes one")


@app.command(name="show")
async def show_(schedule: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None) -> None:
    """Show one schedule.

    Example: `segwatch schedules show 77e0b0a2-5c55-4b7f-9a3e-2f6f0b8c1d20`

    Parameters
    ----------
    schedule
        Its id, as `segwatch schedules list` shows it.
    """
    async with calling(config, sandbox) as platform:
        _show(await schedules.get(platform.client, schedule), as_json=as_json)


@app.command
async def create(
    name: str,
    /,
    *,
    cron: CronText,
    segments: Annotated[list[str] | None, Parameter(name="--segment")] = None,
    kind: Annotated[Literal["batch_segmentation", "export"], Parameter(name="--type")] = "batch_segmentation",
    active: bool = False,
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Make a schedule, inactive unless you say otherwise.

    The cron is checked before anything is sent. An organization may have only one schedule for evaluations.

    Example: `segwatch schedules create nightly --cron "0 0 1 * * ?"`

    Parameters
    ----------
    name
        What people will know it by.
    segments
        The id of a segment to evaluate; may be repeated. Without it all segments are evaluated.
    kind
        What it runs.
    active
        Let it run from now on, as `segwatch schedules enable` does.
    """
    now = SystemClock().now()
    checked = _checked(cron, now)
    async with calling(config, sandbox) as platform:
        try:
            made = await schedules.create(
                platform.client, name=name, cron=checked, segments=segments or ("*",), type_=kind, active=active
            )
        except UpstreamError as error:
            if error.fate is not Fate.LOST:
                raise
            look = "whether it was made is not known: `segwatch schedules list` tells, so look before you try again"
            fail(exit_of(error), told(error), look)
    _show(made, as_json=as_json)


@app.command
async def enable(
    schedule: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None
) -> None:
    """Let a schedule run. The platform may take half an hour to heed it.

    Example: `segwatch schedules enable 77e0b0a2-5c55-4b7f-9a3e-2f6f0b8c1d20`

    Parameters
    ----------
    schedule
        Its id.
    """
    async with calling(config, sandbox) as platform:
        with _told_if_lost(schedule):
            await schedules.enable(platform.client, schedule)
        _show(await schedules.get(platform.client, schedule), as_json=as_json)


@app.command
async def disable(
    schedule: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None
) -> None:
    """Let a schedule rest. An organization with streaming segmentation cannot.

    Example: `segwatch schedules disable 77e0b0a2-5c55-4b7f-9a3e-2f6f0b8c1d20`

    Parameters
    ----------
    schedule
        Its id.
    """
    async with calling(config, sandbox) as platform:
        with _told_if_lost(schedule):
            await schedules.disable(platform.client, schedule)
        _show(await schedules.get(platform.client, schedule), as_json=as_json)


@app.command(name="set")
async def set_(
    schedule: str, /, *, cron: CronText, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None
) -> None:
    """Change when a schedule runs. The cron is checked before anything is sent.

    Example: `segwatch schedules set 77e0b0a2-5c55-4b7f-9a3e-2f6f0b8c1d20 --cron "0 15 10 * * ?"`

    Parameters
    ----------
    schedule
        Its id.
    """
    checked = _checked(cron, SystemClock().now())
    async with calling(config, sandbox) as platform:
        with _told_if_lost(schedule):
            await schedules.set_time(platform.client, schedule, checked)
        _show(await schedules.get(platform.client, schedule), as_json=as_json)


@app.command
async def delete(
    schedule: str,
    /,
    *,
    yes: Annotated[bool, Parameter(name="--yes")] = False,
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Delete a schedule, after asking on a terminal.

    Example: `segwatch schedules delete 77e0b0a2-5c55-4b7f-9a3e-2f6f0b8c1d20 --yes`

    Parameters
    ----------
    schedule
        Its id.
    yes
        Do not ask; needed where nobody can be asked.
    """
    if not yes and not sys.stdin.isatty():
        fail(Exit.USAGE, "nobody can be asked here whether the schedule may be deleted: write --yes")
    async with calling(config, sandbox) as platform:
        found = await schedules.get(platform.client, schedule)
        if not yes:
            _ask(f"Delete the schedule {found.name or found.id} ({found.state}, {found.cron})?")
        # it was there just now: where the first answer got lost on the way, the second is that it is gone
        with _told_if_lost(schedule), suppress(NotFound):
            await schedules.delete(platform.client, schedule)
    if as_json:
        show_json({"id": schedule, "deleted": True})
    else:
        lines([f"{schedule} is deleted"])


@contextmanager
def _told_if_lost(schedule: str) -> Iterator[None]:
    """End the command where a change's answer was lost, and say what tells whether it took effect."""
    try:
        yield
    except UpstreamError as error:
        if error.fate is not Fate.LOST:
            raise
        look = f"whether it took effect is not known: `segwatch schedules show {shlex.quote(schedule)}` tells"
        fail(exit_of(error), told(error), look)


def _checked(cron: str, now: datetime) -> str:
    try:
        return parse(cron, now=now).text
    except CronError as error:
        fail(Exit.USAGE, f"--cron: {error}")


def _ask(question: str) -> None:
    """End the command unless the answer is yes."""
    with raised():  # the loop's own handlers only cancel the task, which would notice when the answer is there
        say(f"{question} [y/N] ", end="")
        answer = sys.stdin.readline()
    if answer.strip().lower() not in ("y", "yes"):
        fail(Exit.FAILED, "nothing was deleted")


def _show(one: Schedule, *, as_json: bool) -> None:
    show_one(_record(one, SystemClock().now()), as_json=as_json)


def _row(one: Schedule, now: datetime) -> dict[str, Any]:
    known = _record(one, now)
    shown = {name: known[name] for name in ("id", "name", "state", "cron", "next_run", "frequency", "segments")}
    return beneath(shown, "id")


def _record(one: Schedule, now: datetime) -> dict[str, Any]:
    """Return what is shown of a schedule. Its cron may be one that we would not send: then nothing is made of it."""
    try:
        cron = parse(one.cron)
    except CronError:
        cron = None
    return {
        "id": one.id, "name": one.name, "type": one.type, "state": one.state, "cron": one.cron,
        "next_run": cron.next_after(now) if cron and one.is_active else None,
        "frequency": one.frequency or (cron.frequency if cron else ""), "segments": list(one.segments),
        "sandbox": one.sandbox.name if one.sandbox else "", "org_id": one.org_id,
        "created_at": one.created_at, "updated_at": one.updated_at,
    }  # fmt: skip
