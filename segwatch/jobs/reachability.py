"""Whether a sandbox answers us: told when it stops, and when it does again."""

from datetime import datetime
from enum import StrEnum

from segwatch.jobs.events import Event, EventType, rfc3339, severity_of
from segwatch.jobs.subject import SubjectState

FAILURES_IN_A_ROW = 3  # one lost call is the network's weather; three sweeps in a row are news


class SandboxCondition(StrEnum):
    """How a sandbox answers."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"


_TOLD_AS = {
    SandboxCondition.OK: EventType.SANDBOX_RECOVERED,
    SandboxCondition.UNREACHABLE: EventType.SANDBOX_UNREACHABLE,
    SandboxCondition.UNAUTHORIZED: EventType.SANDBOX_UNAUTHORIZED,
}


def turned(
    before: SubjectState | None, sandbox: str, condition: SandboxCondition,
    *, why: str, failing_since: datetime | None, now: datetime,
) -> tuple[SubjectState, Event] | None:  # fmt: skip
    """Return the sandbox's new state and what is told of it; None when it is as it was.

    why: what the last failed call brought. failing_since: when the first sweep that failed of late began; None while
    all are well. Every event says since when the outage lasts, or had lasted; another sort of trouble continues it.
    """
    if condition == (before.condition if before else SandboxCondition.OK):
        return None
    stream = stream_of(sandbox)
    sequence = (before.sequence if before else 0) + 1
    ongoing = before.since if before and before.condition != SandboxCondition.OK else None
    outage = ongoing or failing_since or now
    details = {"why": why} if why else {}
    details["since"] = rfc3339(outage)
    type_ = _TOLD_AS[condition]
    event = Event(
        type=type_,
        stream=stream,
        sequence=sequence,
        at=now,
        severity=severity_of(type_),
        sandbox=sandbox,
        details=details,
    )
    since = now if condition is SandboxCondition.OK else outage
    return SubjectState(stream=stream, condition=condition.value, since=since, sequence=sequence), event


def stream_of(sandbox: str) -> str:
    """Return the stream on which a sandbox tells."""
    return f"sandbox/{sandbox}"
