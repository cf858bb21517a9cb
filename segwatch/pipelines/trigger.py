"""Which segment job begins a run."""

from collections.abc import Collection, Iterable
from datetime import datetime

from segwatch.jobs.model import JobState, Status
from segwatch.pipelines.model import Plan

_ALL = "*"


def begins(plan: Plan, jobs: Iterable[JobState], served: Collection[str], since: datetime) -> JobState | None:
    """Return the oldest segment job that is to begin a run of this plan and has not begun one.

    served: ids of the segment jobs that began one, or that one of its runs ordered or took over. since: when the
    pipeline began to be followed: what ended before begins nothing. Neither does a job that did not succeed, nor one
    that was over before we saw it and of which nothing was told: it is history, perhaps of a run that is forgotten.

    It is asked again and again of all that is known, not once when something happens: a crash can make nothing missed.
    """
    found = [
        job
        for job in jobs
        if job.key.id not in served
        and _is_meant(plan, job)
        and covers(job.facts.segments, plan.segments)
        and (job.is_active or (job.status is Status.SUCCEEDED and job.sequence > 0 and job.over_at >= since))
    ]
    return min(found, key=lambda job: (job.born_at, job.key.id), default=None)


def covers(evaluated: Collection[str], wanted: Collection[str]) -> bool:
    """Return whether an evaluation of these segments evaluates all that are wanted; where none are, any does."""
    return not wanted or _ALL in evaluated or set(wanted) <= set(evaluated)


def evaluated(job: JobState) -> tuple[str, ...]:
    """Return the segments that a job has evaluated: those that it names, or where that is all, those that it counted.

    Empty where it tells neither.
    """
    if _ALL in job.facts.segments:
        return tuple(sorted(job.facts.profiles))
    return job.facts.segments


def _is_meant(plan: Plan, job: JobState) -> bool:
    match plan.after:
        case "segment_job":
            return True
        case "schedule":
            scheduled = bool(job.facts.schedule_id) or job.facts.source == "scheduler"
            return scheduled and plan.schedule in ("", job.facts.schedule_id)
        case _:
            return False
