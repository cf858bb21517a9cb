"""Where an export is now: still its first job, or one that was submitted because that failed."""

from dataclasses import dataclass

from segwatch.jobs.model import JobState, Status
from segwatch.jobs.resubmission import Refusal, Resubmission, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Goes:
    """It is not at its end. why: what it waits for."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Led:
    """It failed, and another job answers it."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """It succeeded."""

    job: JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """It did not succeed, and nothing more will be submitted for it."""

    why: str


Whereabouts = Goes | Led | Arrived | Lost


def where(job: JobState, answer: Resubmission | None) -> Whereabouts:
    """Return where the export is that `job` stands for. answer: what is done about the failure of `job`, if anything.

    The answer to a failure is on disk in the transaction that records the failure: where there is none, there will be
    none. Whether and when an export is submitted again is decided by its retry policy alone.
    """
    if job.is_active:
        return Goes(why=f"export {job.key.id} is {job.word}")
    if job.status is Status.SUCCEEDED:
        return Arrived(job=job)
    if job.status is Status.VANISHED:
        return Lost(why=f"the platform does not know export {job.key.id} any more")
    failed = f"export {job.key.id} {job.word}{errors_of(job)}"
    if answer is None:
        return Lost(why=f"{failed}; it is not submitted again")
    if answer.step in (Step.SUBMITTED, Step.ADOPTED):
        return Led(job_id=answer.new_id)
    if answer.step is Step.REFUSED:
        known = answer.reason in set(Refusal)
        return Lost(why=f"{failed}; not submitted again: {Refusal(answer.reason).words if known else answer.reason}")
    if answer.step is Step.PROPOSED:
        return Goes(why=f"{failed}; a person decides: segwatch jobs retry {job.key.id}")
    return Goes(why=f"{failed}; it will be submitted again")


def errors_of(job: JobState) -> str:
    """Return the first error of a job in words that follow on its status; "" when it has none."""
    if not job.errors:
        return ""
    error = job.errors[0]
    return f": {error.text.rstrip('.')} ({error.code})" if error.code else f": {error.text.rstrip('.')}"
