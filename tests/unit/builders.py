"""Builders that fill in defaults, so that a test shows only what matters."""

from datetime import datetime, timedelta

from fakes import T0, at  # noqa: F401 - T0 for those who import it from here

from segwatch.alerts.matching import parse
from segwatch.alerts.silences import Silence
from segwatch.backoff import Backoff
from segwatch.decision import Policy
from segwatch.jobs import cancellation
from segwatch.jobs.breaker import Failing
from segwatch.jobs.model import Facts, JobError, JobKey, JobState, Missing, Observation, Status
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.retry import Mode, RetryPolicy, Surroundings
from segwatch.jobs.tracker import Watch

SEGMENT_PATH = (Status.NEW, Status.QUEUED, Status.PROCESSING)
EXPORT_PATH = (Status.NEW, Status.PROCESSING)
ABORTED = JobError(code="unknown", text="Job aborted.")
CANCELLED = JobError(code="0090000100", text="Job was Cancelled by user")


def key(job_id: str = "24116") -> JobKey:
    return JobKey(sandbox="prod", kind="export_job", id=job_id)


def facts(order: str = "nl", **fields) -> Facts:
    """What an export of `order` says; equal orders have equal fingerprints."""
    told = {"dataset": "d1", "request": f'{{"order":"{order}"}}', "fingerprint": f"f-{order}"} if order else {}
    return Facts(**(told | fields))


def seen(status: Status = Status.PROCESSING, *, minute: float = 0, job_id: str = "24116", **fields) -> Observation:
    base = {"key": key(job_id), "status": status, "word": status.value, "asked_at": at(minute), "created_at": at(-5)}
    return Observation(**(base | fields))


def missing(*, minute: float = 0, job_id: str = "24116") -> Missing:
    return Missing(key=key(job_id), asked_at=at(minute))


def job(status: Status = Status.PROCESSING, *, minute: float = 0, job_id: str = "24116", **fields) -> JobState:
    """A job last looked at `minute`, of which one event was told."""
    base = {
        "key": key(job_id), "status": status, "word": status.value, "asked_at": at(minute), "discovered_at": at(minute),
        "since": at(minute), "created_at": at(-5), "root": job_id, "sequence": 1,
    }  # fmt: skip
    return JobState(**(base | fields))


def failed(*, minute: float = 0, **fields) -> JobState:
    base = {"ended_at": at(minute), "errors": (ABORTED,), "facts": facts()}
    return cancellation.judged(job(Status.FAILED, minute=minute, **(base | fields)))


def watch(**fields) -> Watch:
    base = {"path": SEGMENT_PATH, "since": at(-60), "overdue_after": timedelta(hours=2)}
    return Watch(**(base | fields))


def retry_policy(**fields) -> RetryPolicy:
    base = {
        "mode": Mode.AUTO, "max_attempts": 3, "backoff": Backoff(first=timedelta(minutes=2), cap=timedelta(hours=1)),
        "max_per_day": 20, "breaker_failures": 5, "breaker_window": timedelta(minutes=15),
        "settle_window": timedelta(seconds=90),
    }  # fmt: skip
    return RetryPolicy(**(base | fields))


def policy(**fields) -> Policy:
    return Policy(watch=watch(path=EXPORT_PATH), retry=retry_policy(**fields))


def answer(step: Step = Step.SCHEDULED, *, job_id: str = "24116", **fields) -> Resubmission:
    """The answer to the failure of `job_id`."""
    base = {
        "failed": key(job_id), "root": job_id, "attempt": 2, "fingerprint": facts().fingerprint,
        "request": facts().request, "step": step, "due_at": at(2), "since": at(0),
    }  # fmt: skip
    if step is Step.POSTING:
        base |= {"posted_at": at(0), "tries": 1}
    return Resubmission(**(base | fields))


def around(*, failing: int = 0, failed_at: datetime | None = None, **fields) -> Surroundings:
    base = {"submitted_today": 0, "on_trial": False, "twin_in_flight": ""}
    return Surroundings(failing=Failing(exports=failing, last_at=failed_at), **(base | fields))


def position(**fields) -> Position:
    return Position(**({"sandbox": "prod", "kind": "segment_job"} | fields))


def silence(matchers: str = "sandbox=prod", **fields) -> Silence:
    """One that began an hour ago, and ends when `fields` say so."""
    base = {
        "id": "s1", "matchers": parse(matchers), "starts_at": at(-60), "ends_at": None, "owner": "sam",
        "reason": "known", "created_at": at(-60),
    }  # fmt: skip
    return Silence(**(base | fields))


def types(events) -> list[str]:
    return [event.type.value for event in events]
