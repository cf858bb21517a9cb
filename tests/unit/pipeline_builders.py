"""Plans, runs and what they see, with defaults filled in."""

from dataclasses import replace
from datetime import timedelta

from fakes import at

from segwatch.jobs.model import Facts, JobKey, JobState, Status
from segwatch.jobs.order import Order, OrderStep
from segwatch.pipelines import advance
from segwatch.pipelines.model import Plan, Run, Step, person

SEGMENT = "a1b2c3d4-0001-4000-8000-000000000001"
DATASET = "65a1b2c3d4e5f60718293a4b"


def plan(**fields) -> Plan:
    return replace(Plan(segments=(SEGMENT,), dataset=DATASET), **fields)


def waiting(**fields) -> Run:
    return advance.wished("nightly", "prod", plan(**fields), person("w1"), at(0))


def run(step: Step = Step.EVALUATE, *, minute: float = 0, more=None, **fields) -> Run:
    """A run that came to its step at `minute`. more: other fields of the run than those of its plan."""
    begun = advance.begun(waiting(**fields), at(0)).run
    told = {"segment_job": "seg-1"} if step is not Step.EVALUATE else {}
    if step in (Step.EXPORTING, Step.CHECK, Step.DOWNLOAD, Step.COMMAND):
        told |= {"export_job": "1", "current_export": "1"}
    if step in (Step.CHECK, Step.DOWNLOAD, Step.COMMAND):
        told |= {"batches": ("b1",)}
    return replace(begun, step=step, since=at(minute), due_at=at(minute), **(told | (more or {})))


def evaluation(status: Status = Status.SUCCEEDED, *, job_id: str = "seg-1", minute: float = 5, **fields) -> JobState:
    facts = {"segments": (SEGMENT,), "profiles": {SEGMENT: 100}, "source": "api"} | fields.pop("facts", {})
    return _job("segment_job", status, job_id, minute, facts, fields)


def export(status: Status = Status.SUCCEEDED, *, job_id: str = "1", minute: float = 9, **fields) -> JobState:
    facts = {"segments": (SEGMENT,), "dataset": DATASET, "batches": ("b1",), "exported": 100} | fields.pop("facts", {})
    return _job("export_job", status, job_id, minute, facts, fields)


def _job(kind, status, job_id, minute, facts, fields) -> JobState:
    base = {
        "key": JobKey(sandbox="prod", kind=kind, id=job_id), "status": status, "word": status.value,
        "asked_at": at(minute), "discovered_at": at(minute - 4), "since": at(minute), "created_at": at(minute - 4),
        "ended_at": at(minute) if status.is_final else None, "facts": Facts(**facts), "sequence": 1,
    }  # fmt: skip
    return JobState(**(base | fields))


def order(step: OrderStep, *, job_id: str = "", kind: str = "segment_job", **fields) -> Order:
    base = {
        "id": "r/evaluate", "sandbox": "prod", "kind": kind, "owner": "pipeline/nightly/r", "request": "{}",
        "fingerprint": "f", "step": step, "since": at(0), "due_at": at(0), "not_before": at(0), "job_id": job_id,
    }  # fmt: skip
    return Order(**(base | fields))


HOUR = timedelta(hours=1)
