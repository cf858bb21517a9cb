"""`segwatch query`: SQL on datasets, run by the platform."""

import asyncio
import shlex
from datetime import timedelta
from typing import Any

from cyclopts import App

from segwatch.cli.options import ConfigFile, Json, Limit
from segwatch.cli.output import Exit, fail, lines, show, show_json, show_one
from segwatch.cli.patience import Patience
from segwatch.cli.platform import InSandbox, calling, exit_of, told
from segwatch.cli.progress import Bar, tell
from segwatch.config import format_duration
from segwatch.upstream import queries
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import Fate, UpstreamError
from segwatch.upstream.queries import Query, QueryState

app = App(name="query")


@app.command
async def run(
    sql: str,
    /,
    *,
    wait: bool = False,
    timeout: str | None = None,
    database: str = "",
    name: str = "",
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Have SQL run on datasets. The platform counts the rows that it finds, and sends none of them.

    With --wait the exit code is 1 unless the query succeeds.

    Example: `segwatch query run "SELECT count(*) FROM segment_export" --wait`

    Parameters
    ----------
    sql
        What to run; a dataset's table is what `segwatch datasets list` shows.
    wait
        Wait until it has ended. Ctrl-C ends the waiting, and not the query.
    timeout
        With --wait: wait no longer than this, such as 10m, and end with exit code 1.
    database
        Where to run it; else all datasets of the sandbox.
    name
        What people will know it by.
    """
    patience = Patience.of(timeout, wait=wait)
    async with calling(config, sandbox) as platform:
        client = platform.client
        try:
            query = await queries.create(client, sql, database=database, name=name)
        except UpstreamError as error:
            if error.fate is not Fate.LOST:
                raise
            look = "whether it runs is not known: `segwatch query list` tells, so look before you try again"
            fail(exit_of(error), told(error), look)
        except asyncio.CancelledError:  # Ctrl-C
            tell("no answer has come; `segwatch query list` tells whether the query runs")
            raise
        if wait:
            query = await _followed(client, query, patience=patience)
    show_one(_record(query), as_json=as_json)
    if wait and query.state is not QueryState.SUCCESS:
        raise SystemExit(Exit.FAILED)


@app.command(name="list")
async def list_(
    *, limit: Limit = 20, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None
) -> None:
    """List queries, the newest first, whoever had them run.

    Example: `segwatch query list --limit 5`
    """
    async with calling(config, sandbox) as platform:
        page = min(limit, 100)
        found = [_record(one) async for one in queries.list_(platform.client, limit=page, most=limit)]
    show(found, as_json=as_json, empty="no queries: `segwatch query run` has one run")


@app.command(name="show")
async def show_(query: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None) -> None:
    """Show one query: how far it came, and how many rows it found.

    Example: `segwatch query show 3f3f3f3f-0000-4000-8000-00000000abcd`

    Parameters
    ----------
    query
        Its id.
    """
    async with calling(config, sandbox) as platform:
        show_one(_record(await queries.get(platform.client, query)), as_json=as_json)


@app.command
async def cancel(query: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None) -> None:
    """Ask the platform to end a query.

    Example: `segwatch query cancel 3f3f3f3f-0000-4000-8000-00000000abcd`

    Parameters
    ----------
    query
        Its id.
    """
    async with calling(config, sandbox) as platform:
        if not await queries.cancel(platform.client, query):
            fail(Exit.FAILED, f"query {query} had ended already; `segwatch query show` tells how")
    if as_json:
        show_json({"id": query, "asked": True})
    else:
        lines([f"{query} is asked to end"])


async def _followed(client: PlatformClient, query: Query, *, patience: Patience) -> Query:
    """Return the query once it has ended; whoever leaves earlier is told its id, and what can be done with it."""
    title = f"{client.sandbox} query {query.id}"
    try:
        async with patience.limit():
            with Bar(title) as bar:
                return await queries.wait(client, query.id, heard=lambda seen: bar.update(0, phase=seen.word))
    except TimeoutError:
        hint = "`segwatch query show` follows it"
        within = format_duration(patience.given or timedelta())
        fail(Exit.FAILED, f"{title} has not ended within {within}; {hint}")
    except asyncio.CancelledError:  # Ctrl-C
        tell(f"{title} goes on; `segwatch query cancel {shlex.quote(query.id)}` ends it")
        raise
    except UpstreamError as error:
        fail(exit_of(error), f"{title} goes on, but cannot be followed: {told(error)}")


def _record(query: Query) -> dict[str, Any]:
    return {
        "id": query.id,
        "state": query.word,
        "row_count": query.row_count,
        "took_s": None if query.elapsed is None else query.elapsed.total_seconds(),
        "created_at": query.created_at,
        "sql": query.sql,
        "errors": [f"{error.code}: {error.message}" if error.code else error.message for error in query.errors],
    }
