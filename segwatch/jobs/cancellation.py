"""Whether a job that ended FAILED was ended on purpose: by what the platform told of it, and what we asked for.

No document says how a deleted export ends (AEP contract 4.4), so four things count: it was being cancelled, its error
says that somebody cancelled it, the platform agreed to end it, or we asked for that without hearing how it went. That
it agreed proves little: it does so of a job that has ended, too (AEP contract 3.6). No more does it that a job was
being cancelled, where it went on. The last one decides nothing. But after each of them a failure may be that end, so
that none is answered by a new job unless a person wants one.
"""

from collections.abc import Sequence
from dataclasses import replace

from segwatch.jobs import cancel_texts
from segwatch.jobs.events import rfc3339
from segwatch.jobs.model import JobError, JobState, Status


def said_by(errors: Sequence[JobError]) -> JobError | None:
    """Return the error which says that somebody cancelled the job; None where none does.

    It names a person, or that one asked for it ("cancelled by user request", "aborted by administrator"), and nothing
    else: no other clause, no other noun ("by user quota"). Or it says nothing but that ("Job cancelled."), and no other
    entry names a cause. What a machine ended ("cancelled because SparkContext was shut down", "killed by the OOM
    killer") has failed, and so has what is in doubt: a failure that nobody hears of costs more than one too many.
    """
    named = next((error for error in errors if cancel_texts.by_a_person(error.text)), None)
    if named or not cancel_texts.name_no_cause(error.text for error in errors):
        return named
    return next((error for error in errors if cancel_texts.plainly(error.text)), None)


def judged(job: JobState, *, is_failure: bool = False) -> JobState:
    """Return a job that has just ended, with why it counts as cancelled though it is called FAILED.

    is_failure: what its errors say of a cancellation does not count, by a rule of the settings.
    """
    if job.status is not Status.FAILED:
        return job
    why, error = "", said_by(job.errors)
    is_expected = error or cancel_texts.name_no_cause(one.text for one in job.errors)
    if job.cancelling_at and (is_expected or not job.resumed_at):
        why = f"it was being cancelled since {rfc3339(job.cancelling_at)}"
    elif job.cancel_at and is_expected and not job.ended_unasked:
        why = f"segwatch asked to cancel it, and the platform agreed at {rfc3339(job.cancel_at)}"
    elif error and not is_failure:
        why = f'its error says that somebody cancelled it: "{error.text}"'
    return replace(job, cancel_why=why)


def is_only_said(job: JobState) -> bool:
    """True where nothing but the job's own error tells of the cancellation: it may be wrong, or say it of itself."""
    asked = job.cancel_at or job.cancelling_at or job.cancel_asked_at
    return bool(job.status is Status.FAILED and job.cancel_why and not asked)


def words(job: JobState) -> str:
    """Return why a FAILED job is, or may be, ended on purpose, for people; "" where nothing says so."""
    if not job.cancel_in_doubt:
        return job.cancel_why
    if job.resumed_at and job.cancelling_at:
        since = f"it was being cancelled since {rfc3339(job.cancelling_at)}"
        return f"{since}; but it went on at {rfc3339(job.resumed_at)}, and its error names another cause"
    if job.cancel_at:
        agreed = f"segwatch asked to cancel it, and the platform agreed at {rfc3339(job.cancel_at)}"
        if job.ended_unasked:
            return f"{agreed}; but by the platform's own times it had ended before, unless its clocks differ"
        return f"{agreed}; but it never told that it was being cancelled, and its error names another cause"
    asked = f" at {rfc3339(job.cancel_asked_at)}" if job.cancel_asked_at else ""
    return f"segwatch asked to cancel it{asked}, and never heard whether that took effect"
