"""The state machine: what one observation changes in what we know of a job."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from segwatch.jobs import cancellation
from segwatch.jobs.baseline import Eta, Usual
from segwatch.jobs.events import Event, EventType, rfc3339
from segwatch.jobs.model import JobState, Missing, Observation, Status
from segwatch.jobs.plausible import Doubt
from segwatch.jobs.telling import expectation, job_details, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a kind of job is watched in one sandbox.

    path: the statuses before an end, in order. since: when this process began to look.
    overdue_after: how old an active job may grow. vanish_after: so many 404s in a row mean that it is gone.
    shown_within: how late the platform may show a job that its answer to our POST has told of.
    """

    path: tuple[Status, ...]
    since: datetime
    overdue_after: timedelta
    vanish_after: int = 3
    shown_within: timedelta = timedelta()


# a look that lies further ahead than this was noted before our clock was set back: it orders nothing any more
_CLOCK_SET_BACK = timedelta(seconds=5)

_TIMES_APART = timedelta(seconds=2)  # one and the same time, rounded to seconds in one place and not in another

_TOLD_AS = {
    Status.NEW: EventType.JOB_QUEUED,  # only ever told of a job that went back to it
    Status.QUEUED: EventType.JOB_QUEUED,
    Status.PROCESSING: EventType.JOB_PROCESSING,
    Status.CANCELLING: EventType.JOB_CANCELLING,
    Status.SUCCEEDED: EventType.JOB_SUCCEEDED,
    Status.FAILED: EventType.JOB_FAILED,
    Status.CANCELLED: EventType.JOB_CANCELLED,
    Status.UNKNOWN: EventType.JOB_UNKNOWN_STATUS,
    Status.VANISHED: EventType.JOB_VANISHED,
}


def observe(
    state: JobState | None, seen: Observation | Missing, now: datetime, watch: Watch,
    *, is_news: bool = True, root: str = "", attempt: int = 1, is_failure: bool = False,
) -> tuple[JobState | None, tuple[Event, ...]]:  # fmt: skip
    """Return the job as we now know it, and what changed. A status that the platform calls final stays final.

    Polling samples the job: a move from queued to succeeded only means that we blinked, and the event lists what
    was `skipped`. VANISHED is our own conclusion, so a job that shows itself again is followed again.
    is_news: False for a job that had its end before segwatch ever looked: it is recorded, and nothing is told.
    root, attempt: the chain that a job unknown so far belongs to; one of its own by default. is_failure: as in
    `cancellation.judged`.
    Returns None for a job that was never seen and is not there.
    """
    if isinstance(seen, Missing):
        return (None, ()) if state is None else _missed(state, seen, now, watch)
    if state is None or state.is_untold:
        return _first_sight(
            seen, state, now, watch, is_news=is_news or state is not None, root=root or seen.key.id, attempt=attempt,
            is_failure=is_failure,
        )  # fmt: skip
    if seen.asked_at < state.asked_at <= now + _CLOCK_SET_BACK:  # our clock: upstream times contradict each other
        return state, ()
    if is_another(state, seen) and seen.created_at and seen.created_at > state.since:
        return _reused(state.seen(seen.asked_at), seen.created_at, seen.word, now)
    known = replace(
        state.seen(seen.asked_at),
        facts=state.facts.joined(seen.facts),
        errors=seen.errors or state.errors,
        created_at=state.created_at or seen.created_at,
        started_at=_started(state, seen, watch),
    )
    if state.status.is_final and state.status is not Status.VANISHED:
        return known, ()
    known = replace(
        known,
        updated_at=seen.updated_at or state.updated_at,
        ended_at=seen.ended_at if seen.status.is_final else None,
        end_is_told=seen.status.is_final and seen.end_is_told,
    )
    # known words come in any case (AEP contract 13, no. 18); of unknown ones each is another status
    if seen.status is state.status and (seen.word == state.word or seen.status is not Status.UNKNOWN):
        return overdue(known, now, watch)
    known = replace(
        known, status=seen.status, word=seen.word, since=seen.asked_at,
        cancelling_at=_cancelling(state, seen), resumed_at=_resumed(state, seen),
    )  # fmt: skip
    known = cancellation.judged(known, is_failure=is_failure)
    return _changed(known, state, now, watch)


def overdue(state: JobState, now: datetime, watch: Watch) -> tuple[JobState, tuple[Event, ...]]:
    """Return the state and the event that tells, once in a job's life, that it was seen to be older than its limit."""
    if state.overdue_at or not _was_seen_past(state, watch.overdue_after):
        return state, ()
    state = replace(state, overdue_at=now)
    details = {"since": rfc3339(state.born_at), "limit_s": watch.overdue_after.total_seconds()}
    state, event = tell(state, EventType.JOB_OVERDUE, now, reason="limit", details=details | job_details(state))
    return state, (event,)


def slow(
    state: JobState, now: datetime, usual: Usual, limit: timedelta, eta: Eta | None
) -> tuple[JobState, tuple[Event, ...]]:
    """Return the state and the event that tells, once in a job's life, that it was seen to take longer than such jobs.

    Nothing of one that was told to be older than its limit. limit: from `Usual.limit`. eta: None where nobody can say.
    """
    if state.overdue_at or state.slow_at or not _was_seen_past(state, limit):
        return state, ()
    state = replace(state, slow_at=now)
    details: dict[str, Any] = {"since": rfc3339(state.born_at), "limit_s": limit.total_seconds()}
    details |= expectation(usual, eta) | job_details(state)
    state, event = tell(state, EventType.JOB_OVERDUE, now, reason="usual", details=details)
    return state, (event,)


def _was_seen_past(state: JobState, limit: timedelta) -> bool:
    """True when the last look found the job active at a greater age: what nobody has looked at may have ended."""
    return not (state.status.is_final or state.misses) and state.asked_at - state.born_at > limit


def implausible(state: JobState, now: datetime, doubt: Doubt) -> tuple[JobState, tuple[Event, ...]]:
    """Return the state and the event that tells, once in a job's life, that its success cannot be right."""
    if state.judged_at:
        return state, ()
    state = replace(state, judged_at=now)
    details: dict[str, Any] = {"why": doubt.why} | ({} if doubt.expected is None else {"expected": doubt.expected})
    details |= job_details(state)
    state, event = tell(state, EventType.EXPORT_IMPLAUSIBLE, now, reason=doubt.fault.value, details=details)
    return state, (event,)


def plausible(state: JobState, now: datetime) -> tuple[JobState, tuple[Event, ...]]:
    """Return the state and the event that tells, once in a job's life, that nothing speaks against its success."""
    if state.judged_at:
        return state, ()
    state, event = tell(replace(state, judged_at=now), EventType.EXPORT_PLAUSIBLE, now, details=job_details(state))
    return state, (event,)


def is_another(state: JobState, seen: Observation) -> bool:
    """True when this is another job under an old id: one that was created after the job that we know had ended."""
    if state.created_at is None or seen.created_at is None or not state.status.is_final:
        return False
    return seen.created_at - max(state.created_at, state.ended_at or state.created_at) > _TIMES_APART


def _reused(state: JobState, created_at: datetime, word: str, now: datetime) -> tuple[JobState, tuple[Event, ...]]:
    """Return the ended job, and the event that tells, once, that another one has its id: that one is not watched."""
    if state.reused_at:
        return state, ()
    state = replace(state, reused_at=now)
    why = f"a job in status {word}, created at {rfc3339(created_at)}, has its id"
    state, event = tell(state, EventType.JOB_ID_REUSED, now, details={"why": why} | job_details(state))
    return state, (event,)


def _first_sight(
    seen: Observation,
    noted: JobState | None,
    now: datetime,
    watch: Watch,
    *,
    is_news: bool,
    root: str,
    attempt: int,
    is_failure: bool,
) -> tuple[JobState, tuple[Event, ...]]:
    state = JobState(
        key=seen.key,
        status=seen.status,
        word=seen.word,
        asked_at=seen.asked_at,
        discovered_at=now,
        since=seen.asked_at,
        created_at=seen.created_at,
        updated_at=seen.updated_at,
        started_at=_not_before(seen.started_at, seen.created_at),
        ended_at=seen.ended_at if seen.status.is_final else None,
        end_is_told=seen.status.is_final and seen.end_is_told,
        errors=seen.errors,
        facts=seen.facts,
        root=root,
        attempt=attempt,
        cancel_asked_at=noted.cancel_asked_at if noted else None,
        cancel_there=noted.cancel_there if noted else None,
        cancel_at=noted.cancel_at if noted else None,
        cancelling_at=_cancelling(noted, seen),
    )
    state = cancellation.judged(state, is_failure=is_failure)
    if not is_news and seen.status.is_final:
        return state, ()
    late = seen.status.is_final and _ended_before(state, watch.since)
    state, discovered = tell(state, EventType.JOB_DISCOVERED, now, late=late, details=job_details(state))
    if seen.status is Status.NEW or not is_news:
        state, events = overdue(state, now, watch)
        return state, (discovered, *events)
    state, events = _changed(state, None, now, watch)
    return state, (discovered, *events)


def _changed(
    state: JobState, before: JobState | None, now: datetime, watch: Watch
) -> tuple[JobState, tuple[Event, ...]]:
    """Tell of the status that `state` now has; `before` is what was known until now, None at first sight."""
    type_ = EventType.JOB_CANCELLED if state.was_cancelled else _TOLD_AS[state.status]
    slept = before is None or before.asked_at < watch.since
    state, event = tell(
        state,
        type_,
        now,
        previous=before.word if before else "",
        late=slept and state.status.is_final and _ended_before(state, watch.since),
        details=job_details(state) | _skipped(before, state, watch.path) | _why(state),
    )
    state, more = overdue(state, now, watch)
    return state, (event, *more)


def _why(state: JobState) -> dict[str, str | bool]:
    """Return why a job that the platform calls FAILED is told as cancelled, and whether only its error says so."""
    if not state.was_cancelled or not state.cancel_why:
        return {}
    return {"why": state.cancel_why} | ({"only_said": True} if cancellation.is_only_said(state) else {})


def _missed(state: JobState, seen: Missing, now: datetime, watch: Watch) -> tuple[JobState, tuple[Event, ...]]:
    if (
        state.status.is_final or seen.asked_at <= state.asked_at <= now + _CLOCK_SET_BACK
    ):  # the same 404, heard again, is no second one
        return state, ()
    is_early = state.unlisted and now - state.discovered_at < watch.shown_within
    state = replace(state, asked_at=seen.asked_at, misses=state.misses + (not is_early))
    if state.misses < watch.vanish_after:
        return state, ()
    before = state
    state = replace(state, status=Status.VANISHED, word=Status.VANISHED.value, since=seen.asked_at)
    details = {"misses": state.misses} | job_details(state)
    state, event = tell(state, EventType.JOB_VANISHED, now, previous=before.word, details=details)
    return state, (event,)


def _cancelling(before: JobState | None, seen: Observation) -> datetime | None:
    """Return since when the platform tells that it cancels the job; its error text need not say so."""
    return (before.cancelling_at if before else None) or (seen.asked_at if seen.status is Status.CANCELLING else None)


def _resumed(before: JobState, seen: Observation) -> datetime | None:
    """Return when the platform told of another status than that it cancels the job, if it did not do so again since."""
    if seen.status is Status.CANCELLING or not before.cancelling_at:
        return None
    return before.resumed_at if seen.status.is_final else before.resumed_at or seen.asked_at


def _started(before: JobState, seen: Observation, watch: Watch) -> datetime | None:
    """Return when the job began to run: as the platform says, else when we saw it begin; None when nobody knows.

    A look that finds it running tells its beginning only if the look before, not long ago, found it waiting.
    """
    at = seen.started_at or before.started_at
    waited = before.status in watch.path and before.status is not Status.PROCESSING and before.asked_at >= watch.since
    if at is None and waited and seen.status is Status.PROCESSING:
        at = seen.asked_at
    return _not_before(at, before.created_at or seen.created_at)


def _not_before(at: datetime | None, created_at: datetime | None) -> datetime | None:
    """Return the later time: two clocks may say that a job began before it was created."""
    return max(at, created_at) if at and created_at else at


def _ended_before(state: JobState, moment: datetime) -> bool:
    return state.ended_at is not None and state.ended_at < moment


def _skipped(before: JobState | None, after: JobState, path: tuple[Status, ...]) -> dict[str, list[str]]:
    """Return the statuses that the job must have been in and that no look saw."""
    start = path.index(before.status) + 1 if before and before.status in path else 0
    if before and before.status not in path:  # it came from a detour, such as CANCELLING: nothing can be said
        return {}
    if after.status in path:
        stop = path.index(after.status)
    elif after.status in (Status.SUCCEEDED, Status.FAILED) and not after.was_cancelled:
        stop = len(path)
    else:
        return {}
    skipped = [status.value for status in path[start:stop]]
    return {"skipped": skipped} if skipped else {}
