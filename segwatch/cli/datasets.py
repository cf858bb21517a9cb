"""`segwatch datasets`: what exports write to."""

from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from segwatch.cli.options import ConfigFile, Json, Limit
from segwatch.cli.output import fail, show, show_one
from segwatch.cli.platform import InSandbox, calling, exit_of, told
from segwatch.upstream import datasets
from segwatch.upstream.datasets import Dataset
from segwatch.upstream.errors import Fate, UpstreamError

app = App(name="datasets")


@app.command(name="list")
async def list_(
    *,
    name: str = "",
    every: Annotated[bool, Parameter(name="--every")] = False,
    limit: Limit = 50,
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the datasets that exports can write to, the newest first.

    Example: `segwatch datasets list --name "Segment Export"`

    Parameters
    ----------
    name
        Only those of exactly this name.
    every
        Also those that cannot hold profiles, so that no export can write to them.
    """
    found: list[Dataset] = []
    async with calling(config, sandbox) as platform:
        async for one in datasets.list_(platform.client, name=name):
            if (every or one.holds_profiles) and name in ("", one.name):
                found.append(one)
            if len(found) == limit:
                break
    rows = [_record(one) if as_json else _row(one) for one in found]
    show(rows, as_json=as_json, empty="no datasets for profiles: `segwatch datasets create` makes one")


@app.command(name="show")
async def show_(dataset: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None) -> None:
    """Show one dataset.

    Example: `segwatch datasets show 65a1b2c3d4e5f60718293a4b`

    Parameters
    ----------
    dataset
        Its id, as `segwatch datasets list` shows it.
    """
    async with calling(config, sandbox) as platform:
        show_one(_record(await datasets.get(platform.client, dataset)), as_json=as_json)


@app.command
async def create(
    name: str,
    /,
    *,
    description: str = "",
    reuse: bool = False,
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Make a dataset that exports can write to: one on the union schema of profiles.

    Example: `segwatch datasets create "Members of two segments" --reuse`

    Parameters
    ----------
    name
        What people will know it by; the platform lets several have the same.
    description
        What it is for.
    reuse
        Take the one that has this name already, if there is one.
    """
    async with calling(config, sandbox) as platform:
        try:
            if reuse:
                made, created = await datasets.find_or_create(platform.client, name, description=description)
            else:
                made, created = await datasets.create(platform.client, name, description=description), True
        except UpstreamError as error:
            if error.fate is not Fate.LOST:
                raise
            look = "whether it was made is not known: --reuse looks first, and takes it if it was"
            fail(exit_of(error), told(error), look)
    show_one({"id": made, "name": name, "created": created}, as_json=as_json)


def _row(one: Dataset) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "table": one.table, "updated": one.updated_at, "last_batch": one.last_batch,
    }  # fmt: skip


def _record(one: Dataset) -> dict[str, Any]:
    """Return all that is known of a dataset; what the platform told beside that is in its catalog."""
    fields = msgspec.structs.asdict(one)
    del fields["raw"]
    return fields | {"holds_profiles": one.holds_profiles}
