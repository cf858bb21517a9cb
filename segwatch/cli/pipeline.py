"""`segwatch pipeline`: whole runs: evaluate, export, check."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any
from uuid import uuid4

from cyclopts import App, Parameter

from segwatch.cli.driving import Hold, followed
from segwatch.cli.options import ConfigFile, Json, Limit
from segwatch.cli.output import Exit, ago, fail, heading, lines, show, show_json, show_one, span
from segwatch.cli.patience import Patience
from segwatch.cli.progress import tell
from segwatch.cli.runs import record_of
from segwatch.cli.session import opened, settings_of
from segwatch.config import Settings
from segwatch.daemon.clock import SystemClock
from segwatch.pipelines.advance import wished
from segwatch.pipelines.model import Run, RunState, person
from segwatch.store.base import Change, Store, StoreError
from segwatch.store.factory import file_of
from segwatch.store.filters import RunFilter

app = App(name="pipeline")

_OUTLINE = (
    "id", "pipeline", "sandbox", "cause", "state", "step", "began_at", "ended_at", "took", "reason", "why",
    "segment_job", "members", "dataset", "export_job", "batches", "exported", "adopted", "files", "bytes",
)  # fmt: skip


@app.command(name="list")
async def list_(*, limit: Limit = 50, as_json: Json = False, config: ConfigFile = None) -> None:
    """List the pipelines of the settings, each with its last run.

    Example: `segwatch pipeline list`
    """
    rows: list[dict[str, Any]] = []
    async with _recorded(config) as (settings, store):
        for one in settings.pipelines[:limit]:
            sandbox = settings.sandbox_of(one)
            runs = await store.runs(RunFilter(sandbox=sandbox, pipeline=one.name), limit=1) if store else []
            last = runs[0] if runs else None
            row: dict[str, Any] = {
                "name": one.name,
                "sandbox": sandbox,
                "after": one.after,
                "last_run": last.id if last else "",
            }
            row |= {"state": last.state.value if last else "", "step": last.step.value if last else ""}
            row |= (
                {"began_at": last.began_at if last else None}
                if as_json
                else {"age": ago(last.began_at if last else None)}
            )
            rows.append(row | {"why": last.why if last else ""})
    show(rows, as_json=as_json, empty="the settings have no [[pipelines]]")


@app.command(name="show")
async def show_(name: str, /, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Show one run: its steps, what it led to, and why it stands where it stands.

    Example: `segwatch pipeline show nightly`

    Parameters
    ----------
    name
        A pipeline, of which the last run is shown, or the id of a run.
    """
    async with _recorded(config) as (settings, store):
        run = await store.run(name) if store else None
        if store and run is None:
            run = next(iter(await store.runs(RunFilter(pipeline=name), limit=1)), None)
    if run is None and any(one.name == name for one in settings.pipelines):
        return (
            show_json(None) if as_json else lines([f"no run of {name} yet: `segwatch pipeline run {name}` begins one"])
        )
    if run is None:
        fail(Exit.FAILED, f"no run of {name} is recorded; `segwatch pipeline list` shows the pipelines")
    return _show(run, as_json=as_json)


@app.command(name="run")
async def run_(
    name: str, /, *,
    wait: bool = False,
    force: bool = False,
    timeout: Annotated[str | None, Parameter(name="--timeout")] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:  # fmt: skip
    """Begin a run. A running daemon drives it; without one it is driven here, with --wait.

    Without a daemon nothing but this run is done: other runs, failed exports of others and what is told of jobs are
    left to a daemon. A run that was left behind is taken up where it stands; while another command has the store, it
    waits for that. Ends with 0 when the run succeeded, with 1 when it failed.

    Example: `segwatch pipeline run nightly --wait`

    Parameters
    ----------
    name
        The pipeline, as the settings name it.
    wait
        Wait until the run has ended, and show it.
    force
        Also spend the last on-demand evaluation that the day or the year allows.
    timeout
        With --wait: wait no longer than this, such as 4h. The run goes on.
    """
    patience = Patience.of(timeout, wait=wait)
    settings = settings_of(config)
    wish = _wish(settings, name, force=force)
    try:
        async with Hold(settings, name) as hold:
            run = await _begun(hold, wish, wait=wait)
            if wait:
                run = await followed(settings, hold, run, patience=patience)
    except StoreError as error:
        fail(Exit.FAILED, str(error))
    if wait or as_json:
        _show(run, as_json=as_json)
    elif hold.is_daemons:
        lines([f"run {run.id} begins within seconds; `segwatch pipeline show {run.id}` shows how it goes"])
    else:
        why = f"{hold.holder}, has the store, and drives nothing else" if hold.holder else "no daemon is running"
        now = "afterwards" if hold.holder else "now"
        lines([
            f"run {run.id} waits: {why}."
            f" It begins with `segwatch run`, or {now} with `segwatch pipeline run {name} --wait`"
        ])  # fmt: skip
    if wait and run.state is not RunState.SUCCEEDED:
        raise SystemExit(int(Exit.FAILED))


def _wish(settings: Settings, name: str, *, force: bool) -> Run:
    """Return the run that is wanted; ends the command where there can be none."""
    section = next((one for one in settings.pipelines if one.name == name), None)
    if section is None:
        known = ", ".join(one.name for one in settings.pipelines)
        where = f"configured: {known}" if known else "the settings have no [[pipelines]]"
        fail(Exit.USAGE, f"no pipeline is named {name}; {where}")
    if not section.segments:
        fail(
            Exit.USAGE,
            f"pipeline {name} names no segments, so only an evaluation can begin it; write segments = [...] there",
        )
    cause = person(uuid4().hex)
    return wished(name, settings.sandbox_of(section), section.plan, cause, SystemClock().now(), force=force)


@asynccontextmanager
async def _recorded(config: str | None) -> AsyncIterator[tuple[Settings, Store | None]]:
    """Yield the settings and the open store, to be read; None where nothing has made it yet."""
    settings = settings_of(config)
    if not file_of(settings.store.url).exists():
        yield settings, None
        return
    async with opened(config) as both:
        yield both


async def _begun(hold: Hold, wish: Run, *, wait: bool) -> Run:
    """Write the wish and return it; an open run of the pipeline is followed in its place, where no daemon drives it."""
    wanted = RunFilter(sandbox=wish.sandbox, pipeline=wish.pipeline, open_only=True)
    there = sorted(await hold.store.runs(wanted), key=lambda run: (run.state is RunState.WAITING, run.began_at, run.id))
    for run in there:
        if not wait or hold.is_daemons:
            stands = f"{run.state.value} at {run.step.value}"
            fail(Exit.FAILED, f"run {run.id} of {wish.pipeline} is {stands}: one at a time")
        if hold.is_ours:
            tell(f"going on with run {run.id}, which had come to {run.step.value}")
        return run
    await hold.store.commit([Change(run=wish)])
    return wish


def _show(run: Run, *, as_json: bool) -> None:
    record = record_of(run)
    if as_json:
        return show_json(record)
    took = span((run.ended_at or SystemClock().now()) - run.began_at)
    show_one({name: (record | {"took": took}).get(name) for name in _OUTLINE}, as_json=False)
    heading("Steps")
    steps = [
        {"step": one.step.value, "at": one.at, "took": span(timedelta(seconds=one.took_s)), "note": one.note}
        for one in run.done
    ]
    return show(steps, as_json=False, empty="none is done yet")
