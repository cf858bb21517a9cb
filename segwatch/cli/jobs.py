"""`segwatch jobs`: what is known of jobs, and a person's wish to cancel one or to submit one again."""

import sys
from dataclasses import replace
from typing import Annotated, Any

from cyclopts import App, Parameter

from segwatch.app.knowledge import knowledge_of
from segwatch.cli.cancellation import cancelled
from segwatch.cli.explanation import answer_of, explained, for_people, record_of, resubmits
from segwatch.cli.options import ConfigFile, Json, Limit
from segwatch.cli.output import Exit, ago, fail, heading, lines, show, show_json, show_one, span
from segwatch.cli.platform import calling
from segwatch.cli.session import left_to_daemon, opened, the_job
from segwatch.daemon.clock import SystemClock
from segwatch.deliveries.knowledge import Knowledge
from segwatch.jobs.model import JobState, Status
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.retry import NotNow, wished
from segwatch.kinds.base import load_kinds
from segwatch.store.base import Change, Conflict, Store
from segwatch.store.filters import JobFilter

app = App(name="jobs")

_OUTLINE = (
    "sandbox", "kind", "id", "status", "created_at", "ended_at", "took", "errors", "segments", "dataset", "root",
    "attempt",
)  # fmt: skip


@app.command(name="list")
async def list_(
    *,
    sandbox: str = "",
    kind: str = "",
    status: Annotated[list[Status] | None, Parameter(name="--status", name_transform=str.upper)] = None,
    active: bool = False,
    limit: Limit = 50,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List jobs, the last changed first.

    Example: `segwatch jobs list --status FAILED --limit 5`

    Parameters
    ----------
    sandbox
        Only jobs of this sandbox.
    kind
        Only jobs of this kind: segment_job or export_job.
    status
        Only jobs in this status; may be repeated.
    active
        Only jobs that have not ended.
    """
    if kind and kind not in (known := load_kinds()):
        fail(Exit.USAGE, f"--kind {kind}: no such kind. Known kinds: {', '.join(known)}")
    wanted = tuple(status or ())
    if active:
        wanted = tuple(one for one in Status if not one.is_final and (not wanted or one in wanted))
    async with opened(config) as (settings, store):
        jobs = await store.jobs(JobFilter(sandbox=sandbox, kind=kind, statuses=wanted), limit=limit)
        knowledge = await knowledge_of(settings, store)
    # a screen of 80 columns holds a whole id beside the rest only without a column that says one thing
    in_sandbox = not sys.stdout.isatty() or len({job.key.sandbox for job in jobs}) > 1
    rows = [record_of(job, knowledge) if as_json else _row(job, knowledge, in_sandbox=in_sandbox) for job in jobs]
    show(rows, as_json=as_json, empty="no jobs match")


@app.command(name="show")
async def show_(job: str, /, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Show one job as it was last seen.

    Example: `segwatch jobs show 24116`

    Parameters
    ----------
    job
        Its id, or `sandbox/kind/id` where several sandboxes have that id.
    """
    async with opened(config) as (settings, store):
        record = record_of(await the_job(store, job), await knowledge_of(settings, store))
    show_one(record if as_json else for_people(record), as_json=as_json)


@app.command
async def explain(job: str, /, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Tell the whole story of one job: looks, transitions, rules, retries, deliveries, and why.

    Rules and routes are judged by the settings as they are now.

    Example: `segwatch jobs explain 24116`

    Parameters
    ----------
    job
        Its id, or `sandbox/kind/id` where several sandboxes have that id.
    """
    async with opened(config) as (settings, store):
        explanation = await explained(settings, store, await the_job(store, job))
    if as_json:
        show_json(explanation)
        return
    outline = for_people(explanation["job"])
    show_one({name: outline.get(name) for name in _OUTLINE}, as_json=False)
    looks = explanation["polls"]
    heading("Looks")
    lines([
        f"{looks['looks']} looks, the last one {ago(looks['last_at'])} ago"
        + (f"; {looks['misses']} in a row did not find it" if looks["misses"] else "")
    ])  # fmt: skip
    heading("What happened")
    show(explanation["told"], as_json=False, empty="nothing was told: the job had ended before segwatch first looked")
    heading("Retry")
    lines(explanation["why"])
    if len(explanation["chain"]) > 1:
        heading("Chain")
        show(explanation["chain"], as_json=False, empty="")
    heading("Deliveries")
    show(explanation["deliveries"], as_json=False, empty="nobody was told: `segwatch notify route EVENT` says why")


@app.command
async def retry(job: str, /, *, force: bool = False, as_json: Json = False, config: ConfigFile = None) -> None:
    """Ask the daemon to submit a failed export again, whatever the policy says; it still looks first.

    An export whose answer has vanished may be submitted again, too.

    Example: `segwatch jobs retry 24116`, then `segwatch jobs explain 24116`

    Parameters
    ----------
    job
        The failed export's id, or `sandbox/kind/id` where several sandboxes have that id.
    force
        Also where the export that answers it is in a status that segwatch does not know, and you know it to be dead.
    """
    async with opened(config, readonly=False) as (settings, store):
        state = await the_job(store, job)
        if state.key.sandbox not in [one.name for one in settings.sandboxes]:
            fail(Exit.FAILED, f"{state.key}: the settings have no sandbox {state.key.sandbox}, so nobody can submit it")
        if not resubmits(state):
            fail(Exit.FAILED, f"{state.key} is {state.word}: only a failed or cancelled export can be submitted again")
        before = await store.resubmission(state.key)
        answering = await store.job(replace(state.key, id=before.new_id)) if before and before.new_id else None
        wish = wished(state, before, SystemClock().now(), answering=answering, force=force)
        if isinstance(wish, NotNow):
            answered = await _answered_by(store, state)
            hint = f"; it answers export {answered}: `segwatch jobs retry {answered}` submits that one" * bool(answered)
            fail(Exit.FAILED, f"{state.key} {wish.why}{hint}")
        try:
            await store.commit([Change(resubmission=wish, resubmission_before=before)])
        except Conflict:
            fail(Exit.FAILED, f"the daemon changed {state.key} at this moment; try again")
    if as_json:
        show_json(answer_of(wish))
    else:
        then = f"`segwatch jobs explain {state.key.id}` shows how it goes"
        lines([f"{left_to_daemon(settings, _will(state, before))}; {then}"])


@app.command
async def cancel(job: str, /, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Ask the platform to cancel a job that has not ended.

    A job that ends by this is not submitted again.

    Example: `segwatch jobs cancel 24116`

    Parameters
    ----------
    job
        Its id, or `sandbox/kind/id` where several sandboxes have that id.
    """
    async with opened(config) as (_, store):
        state = await the_job(store, job)
    if state.status.is_final:
        fail(Exit.FAILED, f"{state.key} has ended: it is {state.word}")
    async with calling(config, state.key.sandbox) as platform:
        ended = await cancelled(platform, state.key)
    if ended:
        fail(Exit.FAILED, f"{state.key} had ended already: it is {ended}")
    if as_json:
        show_json({"id": state.key.id, "asked": True})
    else:
        lines([f"the platform was asked to cancel {state.key}; `segwatch jobs show {state.key.id}` tells when it ends"])


def _will(failed: JobState, before: Resubmission | None) -> str:
    """Return what the daemon does for a person who wants the job submitted again, and what may keep it from that."""
    if before and before.step is Step.SCHEDULED and before.waits_for:
        return f"look anew within seconds, and submit {failed.key} again unless it still waits: {before.waits_for}"
    return f"look within seconds, and submit {failed.key} again if nothing stands in the way"


async def _answered_by(store: Store, job: JobState) -> str:
    """Return the failed export that this job was to answer, if it has vanished or nobody knows its status; else ""."""
    if job.status not in (Status.VANISHED, Status.UNKNOWN):
        return ""
    answers = await store.resubmissions(job.key.sandbox, steps=(Step.SUBMITTED, Step.ADOPTED))
    ids = [one.failed.id for one in answers if one.new_id == job.key.id and one.failed.kind == job.key.kind]
    return ids[0] if ids else ""


def _row(job: JobState, knowledge: Knowledge, *, in_sandbox: bool) -> dict[str, Any]:
    error = job.errors[0].text if job.errors and job.status is Status.FAILED else ""
    work = knowledge.work_of(job.key.sandbox, job.facts.segments, job.facts.dataset).strip()
    both = {"what": ": ".join(filter(None, (work, error)))}  # a terminal has room for one long column, or beneath
    told = both if sys.stdout.isatty() else {"work": work, "error": error}
    return ({"sandbox": job.key.sandbox} if in_sandbox else {}) | {
        "kind": job.key.kind, "id": job.key.id, "status": job.word,
        "age": ago(job.born_at), "took": span(job.over_at - job.born_at) if job.status.is_final else "",
        "try": job.attempt if job.attempt > 1 else "",
    } | told  # fmt: skip
