"""`segwatch db`: care for the store."""

from cyclopts import App

from segwatch.cli.options import ConfigFile, Json
from segwatch.cli.output import Exit, lines, show_json
from segwatch.cli.session import opened

app = App(name="db")


@app.command
async def check(*, as_json: Json = False, config: ConfigFile = None) -> None:
    """Read the whole store and say what is wrong with it; works beside a running daemon.

    Example: `segwatch db check`
    """
    async with opened(config) as (settings, store):
        faults = await store.check()
    _tell(settings.store.url, faults, well="is sound", as_json=as_json)


@app.command
async def backup(target: str, /, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Copy the live store to a new file; works beside a running daemon.

    Example: `segwatch db backup /var/backups/segwatch-$(date +%F).db`

    Parameters
    ----------
    target
        The file to write; it must not exist.
    """
    async with opened(config) as (settings, store):
        size = await store.backup(target)
    if as_json:
        show_json({"store": settings.store.url, "backup": target, "bytes": size})
    else:
        lines([f"wrote {target}, {size:,} bytes"])


@app.command
async def migrate(*, as_json: Json = False, config: ConfigFile = None) -> None:
    """Bring the store to this version's form, or create it. The daemon must not run meanwhile.

    The daemon does the same when it starts; this command does it beforehand, and checks the result.

    Example: `segwatch db migrate`
    """
    async with opened(config, readonly=False, exclusive=True) as (settings, store):
        faults = await store.check()
    _tell(settings.store.url, faults, well="has the form of this version", as_json=as_json)


def _tell(url: str, faults: list[str], *, well: str, as_json: bool) -> None:
    """Print what is wrong with the store, and end with exit code 1 if anything is. well: what to say if nothing is."""
    if as_json:
        show_json({"store": url, "ok": not faults, "problems": faults})
    else:
        lines(faults or [f"{url} {well}"])
    if faults:
        raise SystemExit(Exit.FAILED)
