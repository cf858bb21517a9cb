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

_MARKS = re.compile(r"[\s()\[\],]+|:(?=\s|$)")
_CLAUSES = re.compile(r"(?<=[.!])\s+|[;\n]")

_ENDED = r"(?:cancel[l]?ed|aborted|terminated|killed|stopped|interrupted|deleted|ended)"
_ENDING = r"(?:cancel[l]?ing|aborting|terminating|killing|stopping|deleting|ending)"
_AN_END = r"(?:cancel[l]?ation|abort|abortion|termination|kill|stop|deletion)"
_HOW = r"(?:(?:manually|explicitly|forcibly) )?"
_WORK = (
    r"(?:profile|segment|segmentation|audience|batch|export|job|request|run|operation|execution|query|task|stage|step"
    r"|application|process|workflow|dataset|evaluation|spark|error|[^\s\d]*\d\S*)"  # the last one is an id
)
_THE_WORK = rf"(?:(?:the|this|your|its) )?(?:{_WORK} )*"
_OBJECT = rf"(?: of)?(?: (?:the|this|your|its))?(?: {_WORK})*"
_SUBJECT = rf"{_THE_WORK}(?:(?:was|is|got|were|has been|have been) )?"
_THROWN = r"(?:[\w$.]*(?:spark|interrupted|runtime|execution|cancel[l]?ation|cancel[l]?ed|aborted)exception )?"

# as whom machines work, and what belongs to a user without being one: a quota, a session, a time limit
_NO_NAMES = (
    r"time|limit|quota|session|expir|polic|server|service|system|process|script|schedule|scheduling|default|daemon"
    r"|cluster|agent|activity|inactive|idle|error|code|fail|kill|empt|mainten|shut|root|yarn|spark|hadoop|hdfs"
    r"|airflow|kube|reply"
)
_HOSTS = r"ip-\d|ec2-|\S*(?:amazonaws|gserviceaccount|techacct)\.|\S*\.(?:internal|local|localdomain|lan|svc)\b"
_MAIL = rf"(?![^\s@]*(?:{_NO_NAMES}))[\w.+%'-]+@(?!{_HOSTS})(?:[a-z0-9-]+\.)+[a-z]{{2,}}"
_CAPITALS = r"(?-i:(?:(?<= user )|(?<= admin )|(?<= administrator )|(?<= person ))[A-Z][a-z]+(?: [A-Z][a-z]+)?)"
_NAME = (
    rf"(?!\S*(?:{_NO_NAMES}))(?:'[\w. @-]+'|\"[\w. @-]+\"|[a-z]+\.[a-z.]+|[a-z]+\d+|{_CAPITALS}"
    r"|[a-z][\w.-]*(?= (?:at (?:\d+\.){3}\d|via )))"
)
_ADMIN = r"admins?|administrators?"
_ROLE = rf"(?:users?|persons?|people|somebody|someone|{_ADMIN}|system (?:{_ADMIN}))"  # a system user is a machine
_A_ROLE = rf"(?:(?:the|an?) )?(?:(?:another|other|end|sandbox|platform|account|organi[sz]ation|org) )?{_ROLE}"
_PERSON = rf"(?:{_A_ROLE}(?: (?:{_MAIL}|{_NAME}))?|{_MAIL})"
_WISH = rf"(?:{_A_ROLE}(?:['\u2019]s?)? (?:request|action|command)|(?:the )?request (?:of|by|from) {_PERSON})"
_PLACE_AND_TIME = (
    r"(?: (?:via|through|from|in) (?:the )?(?:web )?(?:ui|api|cli|console|portal|dashboard))?"
    r"(?: (?:at|on) \d[\d.:,/tz+-]*(?: \d[\d.:z+-]*)?(?: (?:utc|gmt|am|pm))?){0,2}"
)
_BY = rf"(?:by {_PERSON}|(?:(?:by|on|upon|at|per|following) )?{_WISH}|(?:as )?requested by {_PERSON}){_PLACE_AND_TIME}"
_BY_SOMEBODY = re.compile(
    rf"{_THROWN}(?:{_SUBJECT}{_HOW}{_ENDED} {_HOW}{_BY}"
    rf"|{_ENDING} {_THE_WORK}{_BY}"
    rf"|{_SUBJECT}(?:manually {_ENDED}|{_ENDED} manually){_PLACE_AND_TIME}"
    rf"|{_SUBJECT}marked for cancel[l]?(?:ing|ation)(?: {_BY})?"
    rf"|{_THE_WORK}cancel[l]?ation{_OBJECT} (?:(?:was|has been) )?requested(?: {_BY})?"
    rf"|{_THE_WORK}{_AN_END}{_OBJECT} (?:(?:was|has been) )?requested {_BY}"
    rf"|{_PERSON} (?:has )?{_HOW}(?:{_ENDED}|requested (?:(?:an?|the|its) )?{_AN_END}){_OBJECT}{_PLACE_AND_TIME})",
    re.IGNORECASE,
)
_EXPORT = (  # the work as a whole: that a task or a stage in it was cancelled may be a cause
    r"(?:the |this |your )?(?:(?:profile|segment|audience|batch|export|job|request|run|operation|execution) )*"
    r"(?:[^\s\d]*\d\S* )?(?:was |is |got |has been )?"
)
_PLAINLY = re.compile(rf"{_EXPORT}cancel[l]?ed", re.IGNORECASE)
_NO_CAUSE = re.compile(rf"(?:{_EXPORT}(?:cancel[l]?ed|aborted|failed|killed|stopped|terminated|ended))?", re.IGNORECASE)


def said_by(errors: Iterable[JobError]) -> JobError | None:
    """Return the error which says that somebody cancelled the job; None where none does.

    It names a person, or that one asked for it ("cancelled by user request", "aborted by administrator"), and nothing
    else: no other clause, no other noun ("by user quota"). Or it says nothing but that ("Job cancelled."), and no other
    entry names a cause. What a machine ended ("cancelled because SparkContext was shut down", "killed by the OOM
    killer") has failed, and so has what is in doubt: a failure that nobody hears of costs more than one too many.
    """
    texts = [(error, _clauses(error.text)) for error in errors]
    if named := next((error for error, clauses in texts if _names_somebody(clauses)), None):
        return named
    if not all(_NO_CAUSE.fullmatch(clause) for _, clauses in texts for clause in clauses):
        return None
    return next((error for error, clauses in texts if any(map(_PLAINLY.fullmatch, clauses))), None)


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


def is_only_said(job: JobState) -> bool:
    """True where nothing but the job's own error tells of the cancellation: it may be wrong, or say it of itself."""
    asked = job.cancel_at or job.cancelling_at or job.cancel_asked_at
    return bool(job.status is Status.FAILED and job.cancel_why and not asked)


def _names_another_cause(errors: Iterable[JobError]) -> bool:
    clauses = [clause for error in errors for clause in _clauses(error.text)]
    is_of_a_cancellation = any("cancel" in clause.lower() for clause in clauses)
    return not is_of_a_cancellation and not all(map(_NO_CAUSE.fullmatch, clauses))


def words(job: JobState) -> str:
    """Return why a FAILED job is, or may be, ended on purpose, for people; "" where nothing says so."""
    if not job.cancel_in_doubt:
        return job.cancel_why
    if job.cancel_at:
        agreed = f"segwatch asked to cancel it, and the platform agreed at {rfc3339(job.cancel_at)}"
        return f"{agreed}; but it never told that it was being cancelled, and its error names another cause"
    asked = f" at {rfc3339(job.cancel_asked_at)}" if job.cancel_asked_at else ""
    return f"segwatch asked to cancel it{asked}, and never heard whether that took effect"


def _names_somebody(clauses: list[str]) -> bool:
    named = [bool(_BY_SOMEBODY.fullmatch(clause)) for clause in clauses]
    return any(named) and all(yes or _NO_CAUSE.fullmatch(one) for yes, one in zip(named, clauses, strict=True))


def _clauses(text: str) -> list[str]:
    return [" ".join(_MARKS.sub(" ", clause).split()).strip(" .!") for clause in _CLAUSES.split(text)]
