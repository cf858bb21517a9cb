"""`segwatch silence`: what nobody is told of for a while."""

import getpass
import secrets
from datetime import datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from segwatch.alerts.matching import Matcher, parse, routable
from segwatch.alerts.silences import BadSilence, Silence, SilenceState, begun
from segwatch.cli.options import ConfigFile, Json, Limit
from segwatch.cli.output import Exit, clock, fail, lines, show, show_json
from segwatch.cli.session import a_time, a_while, opened
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.opened import OpenAlerts
from segwatch.daemon.silencer import expire as expire_in
from segwatch.deliveries import silence_end
from segwatch.errors import BadValue
from segwatch.store.base import Change

app = App(name="silence")


@app.command(name="list")
async def list_(
    *,
    ended: Annotated[bool, Parameter(help="Also those that have ended.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the silences that are in force, or will be, oldest first.

    Example: `segwatch silence list --ended`
    """
    now = SystemClock().now()
    async with opened(config) as (_, store):
        silences = [one for one in await store.silences() if ended or one.state(now) is not SilenceState.ENDED]
    silences = silences[-limit:]
    if as_json:
        return show_json([one.payload(now) for one in silences])
    return show([_row(one, now) for one in silences], as_json=False, empty="nothing is silenced")


@app.command
async def add(
    *matchers: Annotated[str, Parameter(required=True)],
    for_: Annotated[str | None, Parameter(name="--for", help="How long, such as 90m or 2d.")] = None,
    until_resolved: Annotated[
        bool, Parameter(help="Until nothing that it matches is wrong; with --for, at most so long.")
    ] = False,
    start: Annotated[str | None, Parameter(help="When it begins, in UTC unless it has a zone; else now.")] = None,
    owner: Annotated[str | None, Parameter(help="Who to ask about it; else your user name.")] = None,
    reason: Annotated[str, Parameter(help="Why, for those who find it.")] = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Tell nobody of what all matchers fit. When it ends, what is still wrong is told.

    Events are recorded as ever, and failed exports submitted again. A running daemon hears of it within two seconds.

    Example: `segwatch silence add sandbox=dev 'type=~"job.*"' --for 2h --reason "dev is being moved"`

    Parameters
    ----------
    matchers
        As Alertmanager's: a label, one of = != =~ !~, and a value. A pattern must fit the whole value.
    """
    now = SystemClock().now()
    lasts, starts_at = a_while(for_, "--for"), a_time(start, "--start")
    read = tuple(matcher for text in matchers for matcher in _read(text))
    if lasts is None and not until_resolved:
        fail(Exit.USAGE, "a silence needs an end: write --for 2h or --until-resolved")
    try:
        silence = begun(
            secrets.token_hex(4), read, now, starts_at=starts_at, lasts=lasts, until_resolved=until_resolved,
            owner=_user() if owner is None else owner, reason=reason,
        )  # fmt: skip
    except BadSilence as error:
        fail(Exit.USAGE, str(error))
    async with opened(config, readonly=False) as (_, store):
        count = len(silence_end.matched(silence, await OpenAlerts(store)()))
        if until_resolved and not count:
            fail(Exit.FAILED, f"nothing that {silence.what} matches is wrong, so it would end at once; write --for 2h")
        await store.commit([Change(silence=silence)])
    if as_json:
        return show_json(silence.payload(now) | {"open_alerts": count})
    about = f"it is about {count or 'no'} open alert{'s' * (count != 1)}"
    return lines([
        f"silence {silence.id}: {silence.what}, {_when(silence)}; {about}",
        f"`segwatch silence expire {silence.id}` ends it",
    ])  # fmt: skip


@app.command
async def expire(
    *ids: Annotated[str, Parameter(required=True)], as_json: Json = False, config: ConfigFile = None
) -> None:
    """End silences now. The running daemon tells what is still wrong.

    Example: `segwatch silence expire 5f0c1d2e`

    Parameters
    ----------
    ids
        Ids of silences (`silence list`).
    """
    now = SystemClock().now()
    ended: list[Silence] = []
    unknown = []
    async with opened(config, readonly=False) as (_, store):
        for id_ in ids:
            found = await expire_in(store, id_, now)
            if found is None:
                unknown.append(f"no silence has the id {id_}; `segwatch silence list` shows them")
            else:
                ended.append(found)
    if as_json:
        show_json([one.payload(now) for one in ended])
    else:
        lines(f"silence {one.id} has ended" for one in ended)
    if unknown:
        fail(Exit.FAILED, *unknown)


def _read(text: str) -> tuple[Matcher, ...]:
    try:
        return routable(parse(text))
    except BadValue as error:
        fail(Exit.USAGE, f'matcher is "{text}"{error}')


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return ""


def _row(silence: Silence, now: datetime) -> dict[str, Any]:
    return {
        "id": silence.id,
        "state": silence.state(now).value,
        "matchers": silence.what,
        "when": _ended(silence) if silence.state(now) is SilenceState.ENDED else _when(silence),
        "owner": silence.owner,
        "reason": silence.reason,
    }


def _ended(silence: Silence) -> str:
    """Return when it ended, and why."""
    return f"ended {clock(silence.ends_at)} UTC: {silence.ends_by.words}" if silence.ends_at else "ended"


def _when(silence: Silence) -> str:
    from_ = "" if silence.starts_at <= silence.created_at else f"from {clock(silence.starts_at)} UTC "
    ends = [] if silence.ends_at is None else [f"until {clock(silence.ends_at)} UTC"]
    return from_ + " or ".join([*ends, *(["until resolved"] if silence.until_resolved else [])])
