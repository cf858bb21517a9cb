"""What is told of a run: when it begins, of each step that is done, and how it ends."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from segwatch.jobs.events import Event, EventType, severity_of
from segwatch.pipelines.model import Run, StepDone


def tell(run: Run, type_: EventType, now: datetime, **details: Any) -> tuple[Run, Event]:
    """Return the run, counting the event, and the event. details: beside what is told of every run."""
    run = replace(run, sequence=run.sequence + 1)
    event = Event(
        type=type_,
        stream=run.stream,
        sequence=run.sequence,
        at=now,
        severity=severity_of(type_),
        sandbox=run.sandbox,
        status=run.state.value,
        reason=run.reason,
        details=result(run) | details,
    )
    return run, event


def result(run: Run) -> dict[str, Any]:
    """Return what there is to tell of a run, as events and a local command are told: what is not known is left out."""
    adopted = {"evaluation": run.adopted_evaluation, "export": run.adopted_export}
    known: dict[str, Any] = {
        "pipeline": run.pipeline,
        "run": run.id,
        "cause": run.cause,
        "step": run.step.value,
        "segment_job": run.segment_job,
        "segments": list(run.plan.segments),
        "members": dict(run.members),
        "dataset": run.dataset,
        "export_job": run.current_export,
        "batches": list(run.batches),
        "exported": run.exported,
        "adopted": [name for name, is_adopted in adopted.items() if is_adopted],
        "files": run.files or None,
        "bytes": run.bytes or None,
        "why": run.why if run.reason else "",
    }
    return {name: value for name, value in known.items() if value not in (None, "", [], {})}


def steps(run: Run) -> list[dict[str, Any]]:
    """Return the steps that are behind the run."""
    return [_step(one) for one in run.done]


def _step(done: StepDone) -> dict[str, Any]:
    return {"step": done.step.value, "took_s": done.took_s} | ({"note": done.note} if done.note else {})
