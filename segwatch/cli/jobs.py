"""`segwatch jobs`: what is known of jobs, and a person's wish to submit one again."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cyclopts import App

from segwatch.cli.output import (
    ConfigFile,
    Exit,
    Json,
    Limit,
    ago,
    fail,
    heading,
    lines,
    show,
    show_json,
    show_one,
    span,
)
from segwatch.cli.session import opened, the_job
from segwatch.deliveries.message import message_of
from segwatch.jobs.model import JobState, Status
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.tracker import job_details
from segwatch.store.base import Change, Conflict, EventFilter, JobFilter, LoggedEvent, Store

app = App(name="jobs", help="Show jobs from the store, and retry failed exports.")

_ALL = 100_000


@app.command(name="list")
async def list_(
    *,
    sandbox: str = "",
    kind: str = "",
    status: list[Status] | None = None,
    active: bool = False,
    limit: Limit = 50,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List jobs, the last changed first.

    Example: `segwatch jobs list --status FAILED --limit 5`.

    Parameters
    ----------
    sandbox
        Only jobs of this sandbox.
    kind
        Only segment_job or export_job.
    status
        Only jobs in this status; may be repeated.
    active
        Only jobs that have not ended.
    """
    wanted = tuple(status or ())
    if active:
        wanted = tuple(one for one in Status if not one.is_final and (not wanted or one in wanted))
    async with opened(config) as (_, store):
        jobs = await store.jobs(JobFilter(sandbox=sandbox, kind=kind, statuses=wanted), limit=limit)
    rows = [_full(job) if as_json else _row(job) for job in jobs]
    show(rows, as_json=as_json, empty="no jobs are recorded that match")


@app.command(name="show")
async def show_(job: str, /, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Show one job as it was last seen.

    Example: `segwatch jobs show 24116`.

    Parameters
    ----------
    job
        Its id, or `sandbox/kind/id` where several sandboxes have that id.
    """
    async with opened(config) as (_, store):
        show_one(_full(await the_job(store, job)), as_json=as_json)


@app.command
async def explain(job: str, /, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Tell the whole story of one job: looks, transitions, rules, retries, deliveries, and why.

    Example: `segwatch jobs explain 24116`.

    Parameters
    ----------
    job
        Its id, or `sandbox/kind/id` where several sandboxes have that id.
    """
    async with opened(config) as (_, store):
        state = await the_job(store, job)
        events = await store.events(EventFilter(stream=state.key.stream))
        answer = await store.resubmission(state.key)
        chain = await _chain(store, state)
        deliveries = [
            {"event": one.event.type.value, "channel": one.channel, "stage": one.stage.value,
             "attempts": one.attempts, "due_at": one.due_at, "reason": one.reason}
            for logged in events
            for one in await store.deliveries(event_id=logged.event.id)
        ]  # fmt: skip
    why = _why(state, answer)
    if as_json:
        show_json({
            "job": _full(state),
            "polls": {"looks": state.looks, "last_at": state.asked_at, "misses": state.misses},
            "events": [{"position": one.position} | one.event.payload() for one in events],
            "retry": _retry(answer), "chain": chain, "deliveries": deliveries, "why": why,
        })  # fmt: skip
        return
    show_one(_full(state), as_json=False)
    heading("Looks")
    lines([f"{state.looks} looks, the last {ago(state.asked_at)} ago; {state.misses} in a row found nothing"])
    heading("What happened")
    show(
        [_told(one) for one in events],
        as_json=False,
        empty="nothing was told: the job had ended before the first start",
    )
    heading("Retry")
    lines(why)
    show(chain, as_json=False, empty="")
    heading("Deliveries")
    show(deliveries, as_json=False, empty="no route sends these events anywhere")


@app.command
async def retry(job: str, /, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Ask the daemon to submit a failed export again, whatever the policy says; it still looks first.

    Example: `segwatch jobs retry 24116`, then `segwatch jobs explain 24116`.

    Parameters
    ----------
    job
        The failed export's id, or `sandbox/kind/id` where several sandboxes have that id.
    """
    async with opened(config, readonly=False) as (_, store):
        state = await the_job(store, job)
        if state.key.kind != "export_job" or state.status not in (Status.FAILED, Status.CANCELLED):
            fail(Exit.FAILED, f"{state.key} is {state.word}: only a failed or cancelled export can be submitted again")
        before = await store.resubmission(state.key)
        if before and before.step in (Step.SUBMITTED, Step.ADOPTED):
            fail(Exit.FAILED, f"{state.key} is answered by job {before.new_id}; retry that one if it failed too")
        if before and before.step is Step.POSTING:
            fail(
                Exit.FAILED, f"{state.key} is being submitted; `segwatch jobs explain {state.key.id}` shows how it ends"
            )
        now = datetime.now(UTC)  # noqa: TID251 - a command is the edge of the house
        wish = replace(before or _fresh(state, now), step=Step.SCHEDULED, due_at=now, since=now, reason="", manual=True)
        try:
            await store.commit([Change(resubmission=wish, resubmission_before=before)])
        except Conflict:
            fail(Exit.FAILED, f"the daemon changed {state.key} at this moment; try again")
    if as_json:
        show_json(_retry(wish))
    else:
        lines(
            [f"the running daemon will submit {state.key} again; watch it with `segwatch jobs explain {state.key.id}`"]
        )


def _fresh(state: JobState, now: datetime) -> Resubmission:
    return Resubmission(
        failed=state.key, root=state.root, attempt=state.attempt + 1, fingerprint=state.facts.fingerprint,
        request=state.facts.request, step=Step.SCHEDULED, due_at=now, since=now,
    )  # fmt: skip


async def _chain(store: Store, state: JobState) -> list[dict[str, Any]]:
    if state.key.kind != "export_job":
        return []
    answers = await store.resubmissions(state.key.sandbox)
    return [
        {"attempt": one.attempt, "failed_job": one.failed.id, "step": one.step.value, "new_job": one.new_id,
         "due_at": one.due_at, "reason": one.reason}
        for one in answers
        if one.root == state.root
    ]  # fmt: skip


def _why(state: JobState, answer: Resubmission | None) -> list[str]:
    if answer is None:
        if state.status is Status.FAILED and state.key.kind == "export_job":
            return [
                "no retry: it failed before segwatch watched it, or retry.mode is off. `segwatch jobs retry` submits it"
            ]
        return [
            "no retry: " + ("it has not failed" if state.status is not Status.FAILED else "only exports are retried")
        ]
    match answer.step:
        case Step.PROPOSED:
            return [f"a retry is proposed (retry.mode is propose): `segwatch jobs retry {state.key.id}` submits it"]
        case Step.SCHEDULED:
            asked = "somebody asked for it" if answer.manual else "the retry policy allows it"
            return [f"attempt {answer.attempt} is due at {answer.due_at:%Y-%m-%d %H:%M:%S} UTC: {asked}"]
        case Step.POSTING:
            return [
                f"attempt {answer.attempt} was posted and its reply is not known yet: the platform's list will tell"
            ]
        case Step.SUBMITTED:
            return [f"attempt {answer.attempt} was submitted as job {answer.new_id}"]
        case Step.ADOPTED:
            return [f"job {answer.new_id}, which somebody else submitted, was taken as attempt {answer.attempt}"]
        case Step.REFUSED:
            return [f"refused ({answer.reason}); `segwatch jobs retry {state.key.id}` submits it all the same"]


def _retry(answer: Resubmission | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {
        "failed_job": str(answer.failed), "root": answer.root, "attempt": answer.attempt, "step": answer.step.value,
        "reason": answer.reason, "due_at": answer.due_at, "new_job": answer.new_id, "tries": answer.tries,
        "manual": answer.manual,
    }  # fmt: skip


def _row(job: JobState) -> dict[str, Any]:
    ended = job.ended_at or (job.since if job.status.is_final else None)
    return {
        "sandbox": job.key.sandbox, "kind": job.key.kind, "id": job.key.id, "status": job.word,
        "age": ago(job.born_at), "took": span(ended - job.born_at) if ended else "", "attempt": job.attempt,
        "error": job.errors[0].text if job.errors and job.status is Status.FAILED else "",
    }  # fmt: skip


def _full(job: JobState) -> dict[str, Any]:
    return {
        "sandbox": job.key.sandbox, "kind": job.key.kind, "id": job.key.id, "status": job.word,
        "active": job.is_active, "discovered_at": job.discovered_at, "status_since": job.since,
        "last_look_at": job.asked_at, "overdue_at": job.overdue_at, "batches": list(job.facts.batches),
        "source": job.facts.source, "schedule_id": job.facts.schedule_id, "sequence": job.sequence,
    } | job_details(job)  # fmt: skip


def _told(logged: LoggedEvent) -> dict[str, Any]:
    event = logged.event
    return {"at": event.at, "event": event.type.value, "status": event.status, "what": message_of(event).summary}
