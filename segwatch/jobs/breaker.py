"""When many different exports fail at once it is the platform: hold the resubmissions, try one."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from segwatch.jobs.events import Event, EventType, rfc3339, severity_of
from segwatch.jobs.model import JobState, Status
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.subject import SubjectState


class BreakerCondition(StrEnum):
    """What becomes of a sandbox's resubmissions."""

    FLOWING = "flowing"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """How many different exports failed of late, and when the last one did."""

    exports: int
    last_at: datetime | None


def failing(jobs: Iterable[JobState], since: datetime) -> Failing:
    """Return the different exports that failed after `since`, and after the last resubmitted one that succeeded.

    Exports of the same thing count once. Times are the platform's where known.
    """
    jobs = list(jobs)
    successes = [job.over_at for job in jobs if job.status is Status.SUCCEEDED and job.attempt > 1]
    horizon = max([since, *successes])
    failed = [job for job in jobs if job.status is Status.FAILED and not job.was_cancelled and job.over_at > horizon]
    return Failing(
        exports=len({job.facts.fingerprint or job.key.id for job in failed}),
        last_at=max((job.over_at for job in failed), default=None),
    )


def on_trial(others: Iterable[Resubmission], running: Collection[str]) -> bool:
    """True when one of these answers is being tried, so that all the others must wait for how that ends.

    It is from the moment of its POST until its job ends: also while nobody knows what became of the POST. One that the
    platform declined and that waits for its next holds up nobody, so that it is another one's turn.
    running: ids of the active exports.
    """
    return any(other.step is Step.POSTING or other.new_id in running for other in others)


def turned(
    before: SubjectState | None, sandbox: str, kind: str,
    *, held: bool, failing: Failing, window: timedelta, now: datetime,
) -> tuple[SubjectState, Event] | None:  # fmt: skip
    """Return the breaker's new state and what is told of it; None when it stays as it is."""
    condition = BreakerCondition.HELD if held else BreakerCondition.FLOWING
    if condition == (before.condition if before else BreakerCondition.FLOWING):
        return None
    stream = stream_of(sandbox)
    state = SubjectState(stream=stream, condition=condition, since=now, sequence=(before.sequence if before else 0) + 1)
    type_ = EventType.RETRIES_HELD if held else EventType.RETRIES_RELEASED
    since = before.since if before and not held else now  # when they began to be held
    event = Event(
        type=type_,
        stream=stream,
        sequence=state.sequence,
        at=now,
        severity=severity_of(type_),
        sandbox=sandbox,
        kind=kind,
        details={"failures": failing.exports, "window_s": window.total_seconds(), "since": rfc3339(since)},
    )
    return state, event


def stream_of(sandbox: str) -> str:
    """Return the stream on which a sandbox's breaker tells."""
    return f"retries/{sandbox}"
