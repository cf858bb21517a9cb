"""Jobs, events and deliveries with everything filled in that a test of the store does not care about."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from segwatch.alerts.matching import parse
from segwatch.alerts.silences import Silence
from segwatch.deliveries.model import Delivery
from segwatch.jobs.events import Event, EventType, Severity, about_job
from segwatch.jobs.model import Facts, JobError, JobKey, JobState, Observation, Status
from segwatch.jobs.order import Order, OrderStep
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.pipelines.model import Plan, Run, RunState
from segwatch.pipelines.model import Step as PipelineStep
from segwatch.store.base import Change

START = datetime(2026, 1, 5, 2, 20, 0, 123457, tzinfo=UTC)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def key(id_: str = "j1", *, kind: str = "export_job", sandbox: str = "prod") -> JobKey:
    return JobKey(sandbox=sandbox, kind=kind, id=id_)


def job(id_: str = "j1", **fields: Any) -> JobState:
    made: dict[str, Any] = {
        "key": key(id_),
        "status": Status.PROCESSING,
        "word": "PROCESSING",
        "asked_at": START,
        "discovered_at": START,
        "since": START,
        "root": id_,
        "created_at": at(-3),
        "errors": (JobError(code="0090000009", text="déjà vu ✓"),),
        "facts": Facts(segments=("s1", "s2"), profiles={"s1": 12}, exported=None, request='{"a": 1}'),
    }
    return JobState(**(made | fields))


def row(id_: str = "j1", *, kind: str = "export_job", **fields: Any) -> Observation:
    """What the platform shows of a job that is under way; of another if `fields` say so."""
    status = fields.get("status", Status.PROCESSING)
    made = {"key": key(id_, kind=kind), "status": status, "word": status.value, "asked_at": START}
    return Observation(**(made | fields))


def moved(state: JobState, status: Status, minute: float) -> tuple[JobState, Event]:
    """Return the job in a new status, and the event that tells of it."""
    state = replace(
        state, status=status, word=status.value, since=at(minute), asked_at=at(minute), sequence=state.sequence + 1
    )
    return state, about_job(state, EventType.JOB_PROCESSING, at(minute), details={"n": state.sequence})


def told(
    state: JobState, status: Status = Status.PROCESSING, minute: float = 0, *, to: Sequence[str] = ()
) -> tuple[JobState, Change]:
    """Return a job's next state and the change that writes it with one event, promised to each channel of `to`."""
    after, event = moved(state, status, minute)
    before = state if state.sequence else None
    promises = tuple(delivery(event, channel, minute) for channel in to)
    return after, Change(job=after, job_before=before, events=(event,), deliveries=promises)


def delivery(event: Event, channel: str = "ops", minute: float = 0, **fields: Any) -> Delivery:
    return Delivery(event=event, channel=channel, **({"promised_at": at(minute), "due_at": at(minute)} | fields))


def sandbox_event(sequence: int, minute: float = 0, *, stream: str = "sandbox/prod") -> Event:
    return Event(
        type=EventType.SANDBOX_UNREACHABLE,
        stream=stream,
        sequence=sequence,
        at=at(minute),
        severity=Severity.CRITICAL,
        sandbox="prod",
    )


def answer(failed: str = "j1", **fields: Any) -> Resubmission:
    made: dict[str, Any] = {
        "failed": key(failed),
        "root": failed,
        "attempt": 2,
        "fingerprint": "f",
        "request": "{}",
        "step": Step.SCHEDULED,
        "due_at": at(5),
        "since": START,
    }
    return Resubmission(**(made | fields))


def order(id_: str = "cmd-1", **fields: Any) -> Order:
    made: dict[str, Any] = {
        "id": id_,
        "sandbox": "prod",
        "kind": "segment_job",
        "owner": "command",
        "request": '[{"segmentId":"s1"}]',
        "fingerprint": "f",
        "step": OrderStep.INTENDED,
        "since": START,
        "due_at": START,
        "not_before": START,
        "segments": ("s1",),
    }
    return Order(**(made | fields))


def run(id_: str = "r1", **fields: Any) -> Run:
    made: dict[str, Any] = {
        "id": id_,
        "pipeline": "nightly",
        "sandbox": "prod",
        "cause": f"job/{id_}",
        "plan": Plan(segments=("s1",), dataset="d"),
        "state": RunState.RUNNING,
        "step": PipelineStep.EVALUATION,
        "began_at": START,
        "since": START,
        "due_at": START,
    }
    return Run(**(made | fields))


def silence(id_: str = "s1", **fields: Any) -> Silence:
    made: dict[str, Any] = {
        "id": id_,
        "matchers": parse(r'sandbox=prod,reason!~"a \"quoted\" .*"'),
        "starts_at": START,
        "ends_at": at(60),
        "owner": "sam",
        "reason": "déjà vu ✓",
        "created_at": START,
    }
    return Silence(**(made | fields))


def run_event(of: Run, sequence: int = 1, minute: float = 0) -> Event:
    return Event(
        type=EventType.JOB_DISCOVERED, stream=of.stream, sequence=sequence, at=at(minute), severity=Severity.INFO,
        sandbox=of.sandbox,
    )  # fmt: skip
