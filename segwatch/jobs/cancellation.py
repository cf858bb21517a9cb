"""Whether a job that ended FAILED was ended on purpose: by what the platform told of it, and what we asked for.

No document says how a deleted export ends (AEP contract 4.4), so four things count: it was being cancelled, its error
says that somebody cancelled it, the platform agreed to end it, or we asked for that without hearing how it went. That
it agreed proves little: it does so of a job that has ended, too (AEP contract 3.6). The last one decides nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from segwatch.jobs.events import rfc3339
from segwatch.jobs.model import JobError, JobState, Status

_MARKS = re.compile(r"[\s()\[\],:;\"]+")
_PEOPLE = r"(?:users?|person|people|operators?|ops|admins?|administrators?|support|team|somebody|someone|request)"
_MACHINES = r"(?!['\u2019]?s?[\s-]*(?:time|limit|quota|fail|error|code|process))"  # "by user quota" names no person
_BY_SOMEBODY = re.compile(
    rf"(?<!not )\bcancel[l]?ed(?: \w+)? (?:by|on|upon|at|per) (?:(?:[\w-]+ ){{0,2}}{_PEOPLE}\b{_MACHINES}|\S+@\S+)"
    rf"|\bcancel[l]?ed {_PEOPLE} (?:request|action)\b"
    rf"|\bcancel[l]?ation (?:was |has been )?requested\b|\bmarked for cancel[l]?(?:ing|ation)\b"
    rf"|\b{_PEOPLE} (?:has )?(?:cancel[l]?ed|requested (?:a |the )?cancel[l]?ation)\b"
)
_SUBJECT = (
    r"(?:the |this |your )?(?:(?:profile|segment|audience|batch|export|job|request|run|operation|execution) ?)*"
    r"(?:\S*\d\S* )?(?:was |is |got |has been )?"
)
_PLAINLY = re.compile(rf"{_SUBJECT}cancel[l]?ed")
_NO_CAUSE = re.compile(rf"(?:{_SUBJECT}(?:cancel[l]?ed|aborted|failed|killed|stopped|terminated|ended))?")


def said_by(errors: Iterable[JobError]) -> JobError | None:
    """Return the error which says that somebody cancelled the job; None where none does.

    It names who, or that it was asked for ("cancelled by user request"); or it says nothing but that ("Job
    cancelled."), and no other entry names a cause. What was cancelled because of something else ("cancelled because
    SparkContext was shut down") has failed.
    """
    texts = [(error, _normal(error.text)) for error in errors]
    if named := next((error for error, text in texts if _BY_SOMEBODY.search(text)), None):
        return named
    if not all(_NO_CAUSE.fullmatch(text) for _, text in texts):
        return None
    return next((error for error, text in texts if _PLAINLY.fullmatch(text)), None)


def judged(job: JobState, *, is_failure: bool = False) -> JobState:
    """Return a job that has just ended, with why it counts as cancelled though it is called FAILED.

    is_failure: what its errors say of a cancellation does not count, by a rule of the settings.
    """
    if job.status is not Status.FAILED:
        return job
    why, error = "", None if is_failure else said_by(job.errors)
    if job.cancelling_at:
        why = f"it was being cancelled since {rfc3339(job.cancelling_at)}"
    elif job.cancel_at and not job.ended_unasked and not _names_another_cause(job.errors):
        why = f"segwatch asked to cancel it, and the platform agreed at {rfc3339(job.cancel_at)}"
    elif error:
        why = f'its error says that somebody cancelled it: "{error.text}"'
    return replace(job, cancel_why=why)


def _names_another_cause(errors: Iterable[JobError]) -> bool:
    texts = [_normal(error.text) for error in errors]
    return not any("cancel" in text for text in texts) and not all(_NO_CAUSE.fullmatch(text) for text in texts)


def words(job: JobState) -> str:
    """Return why a FAILED job is, or may be, ended on purpose, for people; "" where nothing says so."""
    if not job.cancel_in_doubt:
        return job.cancel_why
    if job.cancel_at:
        agreed = f"segwatch asked to cancel it, and the platform agreed at {rfc3339(job.cancel_at)}"
        return f"{agreed}; but it never told that it was being cancelled, and its error names another cause"
    asked = f" at {rfc3339(job.cancel_asked_at)}" if job.cancel_asked_at else ""
    return f"segwatch asked to cancel it{asked}, and never heard whether that took effect"


def _normal(text: str) -> str:
    return " ".join(_MARKS.sub(" ", text.lower()).split()).strip(" .!")
