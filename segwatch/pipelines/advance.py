"""The state machine of a run: what one look, or one act, makes of it.

Each turn is one commit, and what the edge does between two of them does no harm when it is done again after a crash:
looks, an order (which has rows of its own), a dataset that is looked for before it is made, a download that goes on
where it was, a local command (told so: at least once). A run never goes back to an earlier step.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from segwatch.backoff import Backoff, spread
from segwatch.jobs.events import Event, EventType
from segwatch.jobs.model import JobState, Status
from segwatch.jobs.order import Order, OrderRefusal, OrderStep
from segwatch.pipelines import telling, trigger
from segwatch.pipelines.chain import Arrived, Goes, Led, Lost, errors_of
from segwatch.pipelines.model import Plan, Reason, Run, RunState, Step, StepDone, job, run_id
from segwatch.pipelines.plausibility import fault, unfinished
from segwatch.pipelines.seen import (
    BatchesStand,
    CommandEnded,
    DatasetKnown,
    Downloaded,
    EvaluationStands,
    ExportFound,
    ExportStands,
    Impossible,
    OrderStands,
    Pending,
    Seen,
    Trouble,
)

_BACKOFF = Backoff(first=timedelta(seconds=1), cap=timedelta(minutes=1))
_LOOK = timedelta(seconds=1)  # at what the daemon's own readers keep up to date
_CATALOG_LOOK = timedelta(seconds=2)  # each is a call
_TRIES_MAX = {Step.DOWNLOAD: 5, Step.COMMAND: 3}  # other steps are tried until their deadline
_BATCHLESS_MAX = 5  # looks at an export that succeeded and names no batch yet
_ORDER_WAIT_MAX = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What became of a run, and what is told of it."""

    run: Run
    events: tuple[Event, ...] = ()


def wished(pipeline: str, sandbox: str, plan: Plan, cause: str, now: datetime, *, force: bool = False) -> Run:
    """Return a run that somebody wants and nobody has begun. force: it may spend the last evaluation."""
    return Run(
        id=run_id(sandbox, pipeline, cause), pipeline=pipeline, sandbox=sandbox, cause=cause, plan=plan,
        state=RunState.WAITING, step=Step.EVALUATE, began_at=now, since=now, due_at=now, force=force,
    )  # fmt: skip


def begun(run: Run, now: datetime) -> Turn:
    """Begin a run that waits. The plan that it has from now on is the one that it was wished with."""
    run = replace(run, state=RunState.RUNNING, since=now, due_at=now)
    run, event = telling.tell(run, EventType.PIPELINE_STARTED, now)
    return Turn(run=run, events=(event,))


def triggered(pipeline: str, sandbox: str, plan: Plan, by: JobState, now: datetime) -> Turn:
    """Begin a run with an evaluation that is there already."""
    turn = begun(wished(pipeline, sandbox, plan, job(by.key.id), now), now)
    run = replace(turn.run, segment_job=by.key.id, adopted_evaluation=True)
    after = _done(run, now, note=f"segment job {by.key.id} began the run")
    return Turn(run=after.run, events=(*turn.events, *after.events))


def advance(run: Run, seen: Seen, now: datetime) -> Turn:
    """Return the run behind what was seen at its step.

    What was seen counts before the deadline does: a daemon that was away for a day must not fail a run whose job has
    succeeded meanwhile.
    """
    turn = _advance(run, seen, now)
    after = turn.run
    if after.step is run.step and after.state.is_open and now - run.since > run.plan.step_deadline:
        why = f"{run.step.value} took too long: {after.why or 'no end is in sight'}"
        why += _fate(seen.order) if isinstance(seen, OrderStands) else ""
        return failed(after, Reason.QUOTA if _is_throttled(seen) else Reason.DEADLINE, why, now)
    return turn


def stopped(run: Run, order: Order | None, now: datetime) -> Turn:
    """Return what becomes of a run whose look or act was stopped at the deadline of its step: it ends.

    order: how the step's order stands by now, if it has one; one whose answer came while it was stopped counts.
    """
    if order is not None and order.step in (OrderStep.PLACED, OrderStep.ADOPTED):
        return _ordered(run, order, now)
    why = f"{run.step.value} took too long: it was stopped after {run.plan.step_deadline.total_seconds():g} s"
    why += f"; before that: {run.why}" if run.why else ""
    return failed(run, Reason.DEADLINE, why + _fate(order), now)


def failed(run: Run, reason: Reason, why: str, now: datetime) -> Turn:
    """End the run."""
    run = replace(run, state=RunState.FAILED, ended_at=now, due_at=now, reason=reason.value, why=why)
    took_s = round((now - run.began_at).total_seconds(), 3)
    run, event = telling.tell(run, EventType.PIPELINE_FAILED, now, steps=telling.steps(run), took_s=took_s)
    return Turn(run=run, events=(event,))


def _advance(run: Run, seen: Seen, now: datetime) -> Turn:
    match seen:
        case Pending(why=why, after=after):
            return _waits(run, why, after, now)
        case Trouble():
            return _troubled(run, seen, now)
        case Impossible(reason=reason, why=why):
            return failed(run, reason, why, now)
        case OrderStands(order=order):
            return _ordered(run, order, now)
        case ExportFound(job_id=job_id):
            return _exporting(run, job_id, now, adopted=True)
        case EvaluationStands(job=evaluation):
            return _evaluated(run, evaluation, now)
        case DatasetKnown(id=dataset, made=made):
            note = f"{'made' if made else 'found'} {dataset}"
            return _done(replace(run, dataset=dataset), now, note=note)
        case ExportStands(at=at):
            return _exported(run, at, now)
        case BatchesStand(batches=batches):
            if waits := unfinished(batches):
                return _waits(run, waits, _CATALOG_LOOK, now)
            if wrong := fault(batches, run.plan, exported=run.exported, members=run.members):
                return failed(run, Reason.CHECK, wrong, now)
            return _done(run, now)
        case Downloaded(files=files, bytes=bytes_):
            return _done(replace(run, files=files, bytes=bytes_), now, note=f"{files} file{'' if files == 1 else 's'}")
        case CommandEnded(code=0):
            return _done(run, now)
        case CommandEnded(code=code, tail=tail):
            why = f"the command ended with {code}" + (f": {tail}" if tail else "")
            return _troubled(run, Trouble(why=why), now)


def _is_throttled(seen: Seen) -> bool:
    """Return whether an evaluation was declined by 429: how the quota's end is told is not documented (contract 12)."""
    return isinstance(seen, OrderStands) and seen.order.kind == "segment_job" and seen.order.reason == "http_429"


def _fate(order: Order | None) -> str:
    """Return what to say of an order that a run leaves behind whose POST has no answer; "" of any other."""
    if order is None or order.step is not OrderStep.POSTING:
        return ""
    what = "export" if order.kind == "export_job" else "evaluation"
    return (
        f". Whether the platform took the {what} is not known (order {order.id}): look for it there before you begin"
        " another run. If it did, its job goes on without this run, and `segwatch run` watches it as any other"
    )


def _waits(run: Run, why: str, after: timedelta, now: datetime) -> Turn:
    return Turn(run=replace(run, tries=0, why=why, due_at=now + after))


def _troubled(run: Run, trouble: Trouble, now: datetime) -> Turn:
    """Try again later; a step whose failures count ends the run when there were too many."""
    tries = run.tries + 1
    most = _TRIES_MAX.get(run.step)
    if most is not None and tries >= most:
        return failed(replace(run, tries=tries), Reason(run.step.value), f"{trouble.why} ({tries} tries)", now)
    wait = max(_BACKOFF.delay(tries, spread(f"{run.id}/{tries}")), trouble.retry_after or timedelta())
    return Turn(run=replace(run, tries=tries, why=trouble.why, due_at=now + wait))


def _ordered(run: Run, order: Order, now: datetime) -> Turn:
    is_export = run.step is Step.EXPORT
    match order.step:
        case OrderStep.INTENDED | OrderStep.POSTING:
            wait = min(max(order.due_at - now, _LOOK), _ORDER_WAIT_MAX)
            return _waits(run, order.why or f"the order is {order.step.value}", wait, now)
        case OrderStep.PLACED | OrderStep.ADOPTED:
            adopted = order.step is OrderStep.ADOPTED
            if is_export:
                return _exporting(run, order.job_id, now, adopted=adopted)
            run = replace(run, segment_job=order.job_id, adopted_evaluation=adopted)
            return _done(run, now, note=f"segment job {order.job_id}{' adopted' if adopted else ''}")
        case OrderStep.REFUSED:
            reason = {OrderRefusal.QUOTA: Reason.QUOTA, OrderRefusal.UNCLEAR: Reason.UNDECIDED}.get(
                OrderRefusal(order.reason) if order.reason in set(OrderRefusal) else OrderRefusal.REJECTED,
                Reason.REJECTED,
            )
            return failed(run, reason, order.why or order.reason, now)
        case OrderStep.UNDECIDED:
            why = order.why or "no answer came to the order, and the platform lists no new job"
            return failed(run, Reason.UNDECIDED, why, now)


def _exporting(run: Run, job_id: str, now: datetime, *, adopted: bool) -> Turn:
    run = replace(run, export_job=job_id, current_export=job_id, adopted_export=adopted)
    return _done(run, now, note=f"export {job_id}{' adopted' if adopted else ''}")


def _evaluated(run: Run, evaluation: JobState, now: datetime) -> Turn:
    if evaluation.is_active:
        return _waits(run, f"segment job {evaluation.key.id} is {evaluation.word}", _LOOK, now)
    if evaluation.status is not Status.SUCCEEDED:
        why = f"segment job {evaluation.key.id} {evaluation.word}{errors_of(evaluation)}"
        return failed(run, Reason.EVALUATION, why, now)
    segments = run.plan.segments or trigger.evaluated(evaluation)
    if not segments:
        why = (
            f"segment job {evaluation.key.id} does not say which segments to export;"
            f" write segments = [...] in the pipeline {run.pipeline}"
        )
        return failed(run, Reason.SETTINGS, why, now)
    run = replace(
        run,
        members={one: count for one, count in evaluation.facts.profiles.items() if one in segments},
        plan=replace(run.plan, segments=segments),
        # the platform's own clock, by which exports are compared with it; without an end the safe side is the birth
        evaluated_at=evaluation.ended_at or evaluation.born_at,
    )
    return _done(run, now)


def _exported(run: Run, at: Goes | Led | Arrived | Lost, now: datetime) -> Turn:
    match at:
        case Goes(why=why):
            return _waits(run, why, _LOOK, now)
        case Led(job_id=job_id):
            return Turn(run=replace(run, current_export=job_id, tries=0, due_at=now))
        case Lost(why=why):
            return failed(run, Reason.EXPORT, why, now)
        case Arrived(job=export) if not export.facts.batches:
            run = replace(run, batchless=run.batchless + 1)
            if run.batchless >= _BATCHLESS_MAX:
                return failed(run, Reason.CHECK, f"export {export.key.id} succeeded and names no batch", now)
            return _waits(run, f"export {export.key.id} names no batch yet", _CATALOG_LOOK, now)
        case Arrived(job=export):
            run = replace(
                run,
                batches=export.facts.batches,
                exported=export.facts.exported,
                dataset=run.dataset or export.facts.dataset,
            )
            return _done(run, now)


def _done(run: Run, now: datetime, *, note: str = "") -> Turn:
    """Go on to the next step that the plan has; behind the last one the run has succeeded."""
    took_s = round((now - run.since).total_seconds(), 3)
    step = run.step
    run = replace(run, done=(*run.done, StepDone(step=step, at=now, took_s=took_s, note=note)))
    run = replace(run, since=now, due_at=now, tries=0, why="")
    extra = {"took_s": took_s} | ({"note": note} if note else {})
    run, told = telling.tell(run, EventType.PIPELINE_STEP_DONE, now, **extra)
    left = [one for one in list(Step)[list(Step).index(step) + 1 :] if _has(run.plan, one)]
    if left:
        return Turn(run=replace(run, step=left[0]), events=(told,))
    run = replace(run, state=RunState.SUCCEEDED, ended_at=now)
    took_s = round((now - run.began_at).total_seconds(), 3)
    run, ended = telling.tell(run, EventType.PIPELINE_SUCCEEDED, now, steps=telling.steps(run), took_s=took_s)
    return Turn(run=run, events=(told, ended))


def _has(plan: Plan, step: Step) -> bool:
    return {
        Step.DATASET: bool(plan.dataset),
        Step.DOWNLOAD: bool(plan.download),
        Step.COMMAND: bool(plan.command) or plan.has_command,
    }.get(step, True)
