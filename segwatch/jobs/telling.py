"""What is told of a job: its next event, and what that says about it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from segwatch.jobs.baseline import Eta, Usual
from segwatch.jobs.events import Event, EventType, about_job, rfc3339
from segwatch.jobs.model import JobState


def tell(state: JobState, type_: EventType, at: datetime, **fields: Any) -> tuple[JobState, Event]:
    """Return the state that counts one event more, and that event."""
    state = replace(state, sequence=state.sequence + 1)
    return state, about_job(state, type_, at, **fields)


def job_details(state: JobState) -> dict[str, Any]:
    """Return what an event's payload says about its job, without what is not known."""
    duration = state.ended_at - state.born_at if state.ended_at else None
    details: dict[str, Any] = {
        "created_at": state.created_at and rfc3339(state.created_at),
        "started_at": state.started_at and rfc3339(state.started_at),
        "ended_at": state.ended_at and rfc3339(state.ended_at),
        # samples exist whose end lies before their beginning (AEP contract 4.6): clamp, never show a negative time
        "duration_s": None if duration is None else max(duration, timedelta()).total_seconds(),
        "errors": [{"code": error.code, "message": error.text} for error in state.errors],
        "segments": list(state.facts.segments),
        "profiles": state.facts.profiles,
        "dataset": state.facts.dataset,
        "exported": state.facts.exported,
        "fingerprint": state.facts.fingerprint,
        "root": state.root,
        "attempt": state.attempt,
    }
    return {name: value for name, value in details.items() if value not in (None, "", [], {})}


def expectation(usual: Usual | None, eta: Eta | None) -> dict[str, Any]:
    """Return what an event says of how long such jobs take.

    In seconds: usual_s, their median; p95_s; eta_s, how much longer this one is expected to take; longest_s, how long
    the longest of them took. longer: how many of them took longer than this one has by now. runs: how many there were.
    What is not known is left out.
    """
    details: dict[str, Any] = {}
    if usual is not None:
        details = {
            "usual_s": usual.median.total_seconds(), "p95_s": usual.p95.total_seconds(), "runs": usual.count,
        }  # fmt: skip
    if eta is not None:
        details |= {
            "eta_s": round(eta.left.total_seconds(), 3), "longer": eta.longer,
            "longest_s": eta.longest.total_seconds(),
        }  # fmt: skip
    return details
