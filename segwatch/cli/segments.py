"""`segwatch segments`: what audiences there are."""

import sys
from typing import Any

from cyclopts import App

from segwatch.cli.options import ConfigFile, Json, Limit
from segwatch.cli.output import beneath, show, show_one
from segwatch.cli.platform import InSandbox, calling, left_out
from segwatch.upstream import definitions
from segwatch.upstream.definitions import Definition

app = App(name="segments")


@app.command(name="list")
async def list_(
    *, limit: Limit = 100, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None
) -> None:
    """List the segment definitions, the newest first.

    Example: `segwatch segments list --limit 20`
    """
    async with calling(config, sandbox) as platform:
        rows = definitions.list_(platform.client, limit=min(limit, 100), most=limit, on_unreadable=left_out)
        found = [one async for one in rows]
    # a screen of 80 columns has no room for a merge policy that is the same everywhere
    policies = not sys.stdout.isatty() or len({one.merge_policy_id for one in found}) > 1
    shown = [_record(one) if as_json else _row(one, policies=policies) for one in found]
    show(shown, as_json=as_json, empty="no segments are defined in this sandbox")


@app.command(name="show")
async def show_(segment: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None) -> None:
    """Show one segment definition with its PQL.

    Example: `segwatch segments show a1b2c3d4-0001-4000-8000-000000000001`

    Parameters
    ----------
    segment
        Its id, as `segwatch segments list` shows it.
    """
    async with calling(config, sandbox) as platform:
        show_one(_record(await definitions.get(platform.client, segment)), as_json=as_json)


def _row(one: Definition, *, policies: bool) -> dict[str, Any]:
    known = _record(one)
    names = ("id", "name", "evaluated", *(("merge_policy",) if policies else ()), "updated_at")
    return beneath({name: known[name] for name in names}, "id")


def _record(one: Definition) -> dict[str, Any]:
    # a definition that does not say how it is evaluated is so in batches (AEP contract 6.2)
    ways = {"batch": one.batch, "streaming": one.continuous, "edge": one.synchronous}
    told = any(on is not None for on in ways.values())
    return {
        "id": one.id, "name": one.name, "description": one.description,
        "evaluated": [way for way, on in ways.items() if on] if told else ["batch"],
        "merge_policy": one.merge_policy_id, "pql": one.expression.value if one.expression else "",
        "format": one.expression.format if one.expression else "", "exclude_opt_out": one.exclude_opt_out,
        "ttl_days": one.ttl_days, "schema": one.schema, "sandbox": one.sandbox.name if one.sandbox else "",
        "org_id": one.org_id, "created_at": one.created_at, "updated_at": one.updated_at,
    }  # fmt: skip
