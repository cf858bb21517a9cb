"""Whether a sandbox answers us: told when it stops, and when it does again."""

from datetime import datetime
from enum import StrEnum

from segwatch.jobs.events import Event, EventType, rfc3339, severity_of
from segwatch.jobs.subject import SubjectState

FAILURES_IN_A_ROW = 3  # one lost call is the network's weather; three sweeps in a row are news


class Condition(StrEnum):
    """How a sandbox answers."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"


_TOLD_AS = {
    Condition.OK: EventType.SANDBOX_RECOVERED,
    Condition.UNREACHABLE: EventType.SANDBOX_UNREACHABLE,
    Condition.UNAUTHORIZED: EventType.SANDBOX_UNAUTHORIZED,
}


def turned(
    before: SubjectState | None, sandbox: str, condition: Condition, *, why: str, now: datetime
) -> tuple[SubjectState, Event] | None:
    """Return the sandbox's new state and what is told of it; None when it is as it was.

    why: what the last failed call brought. The event that tells of a recovery says since when it had failed.
    """
    if condition == (before.condition if before else Condition.OK):
        return None
    stream = stream_of(sandbox)
    sequence = (before.sequence if before else 0) + 1
    details = {"why": why} if why else {}
    if before:
        details["since"] = rfc3339(before.since)
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
    # from one trouble to another is still the same outage: it began when the first did
    trouble = before is not None and Condition.OK not in (before.condition, condition)
    since = before.since if before and trouble else now
    return SubjectState(stream=stream, condition=condition.value, since=since, sequence=sequence), event


def stream_of(sandbox: str) -> str:
    """Return the stream on which a sandbox tells."""
    return f"sandbox/{sandbox}"
