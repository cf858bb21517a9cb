"""The heart: what one observation of one job leads to."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from segwatch.jobs import cancellation, retry, telling, tracker
from segwatch.jobs.events import Event, EventType, Severity, rfc3339
from segwatch.jobs.model import JobState, Missing, Observation, Status
from segwatch.jobs.resubmission import Refusal, Resubmission, Step
from segwatch.jobs.retry import RetryPolicy

_TOLD_AS = {
    Step.PROPOSED: EventType.RETRY_SCHEDULED,
    Step.SCHEDULED: EventType.RETRY_SCHEDULED,
    Step.SUBMITTED: EventType.RETRY_SUBMITTED,
    Step.ADOPTED: EventType.RETRY_ADOPTED,
    Step.REFUSED: EventType.RETRY_REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one kind is treated in one sandbox. retry: None for a kind that is never submitted again."""

    watch: tracker.Watch
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows. state: None when the job is unknown and not there. answer: what will be done about a failure."""

    state: JobState | None
    events: tuple[Event, ...] = ()
    answer: Resubmission | None = None


def decide(
    state: JobState | None,
    seen: Observation | Missing,
    now: datetime,
    policy: Policy,
    *,
    is_news: bool = True,
) -> Decision:
    """Return what `seen` changes in `state`, what is told of it, and what is done about it.

    now: our clock. is_news: as in `tracker.observe`.
    """
    after, events = tracker.observe(
        state, seen, now, policy.watch, is_news=is_news, is_failure=_is_failure(seen, policy)
    )
    return Decision(state=None) if after is None else _consequences(after, events, now, policy)


def link(state: JobState | None, seen: Observation, answer: Resubmission, now: datetime, policy: Policy) -> Decision:
    """Return what follows when `seen` turns out to be the job that `answer` led to: it joins the chain.

    state: what is known of that job, which may have been found, and may have ended, before we knew whose it was.
    """
    if state:  # a look may be older than the last one of a sweep, and know more
        facts = state.facts.joined(seen.facts)
        state = replace(state, root=answer.root, attempt=answer.attempt, facts=facts)
    after, events = tracker.observe(
        state, seen, now, policy.watch, root=answer.root, attempt=answer.attempt, is_failure=_is_failure(seen, policy)
    )
    if after is None:
        return Decision(state=None)
    decision = _consequences(after, events, now, policy)
    if state is None or state.status is not Status.SUCCEEDED or decision.state is None:
        return decision
    after, event = recovered(decision.state, now)
    return replace(decision, state=after, events=(*decision.events, event))


def _is_failure(seen: Observation | Missing, policy: Policy) -> bool:
    if policy.retry is None or isinstance(seen, Missing):
        return False
    return retry.calls_a_failure(seen.errors, policy.retry.rules)


def _consequences(after: JobState, events: tuple[Event, ...], now: datetime, policy: Policy) -> Decision:
    answer = None
    told = {event.type for event in events}
    if EventType.JOB_SUCCEEDED in told and after.attempt > 1:
        after, event = recovered(after, now)
        events = (*events, event)
    elif told & {EventType.JOB_FAILED, EventType.JOB_CANCELLED} and policy.retry:
        answer = retry.judge(after, policy.retry, now)
        events = tuple(_with_answer(event, answer, policy.retry) for event in events)
        if answer:
            after, more = announce(after, answer, policy.retry, now, why=cancellation.words(after))
            events = (*events, *more)
    return Decision(state=after, events=events, answer=answer)


def announce(
    failed: JobState,
    answer: Resubmission,
    policy: RetryPolicy,
    now: datetime,
    *,
    why: str = "",
    by: str = "",
) -> tuple[JobState, tuple[Event, ...]]:
    """Return the failed job, counting its events, and what is told of the step that its answer has reached.

    why: for people. by: what showed that a submission whose reply was lost did take effect.
    """
    if answer.step is Step.POSTING:
        return failed, ()
    details: dict[str, Any] = {
        "root": answer.root,
        "attempt": answer.attempt,
        "max_attempts": policy.max_attempts,
        "new_job_id": answer.new_id,
        "why": why,
        "settled_by": by,
        "manual": answer.manual,
        "fingerprint": answer.fingerprint,
    } | _work(failed)
    details = {name: value for name, value in details.items() if value not in ("", False)}
    fields: dict[str, Any] = {}
    if answer.step in (Step.SCHEDULED, Step.PROPOSED):
        details["mode"] = policy.mode.value
    if answer.step is Step.SCHEDULED:
        details["due_at"] = rfc3339(answer.due_at)
    if answer.step is Step.REFUSED:
        fields = {"reason": answer.reason, "severity": _loudness(answer.reason)}
    failed, event = telling.tell(failed, _TOLD_AS[answer.step], now, details=details, **fields)
    if answer.step is not Step.REFUSED or answer.reason != Refusal.ATTEMPTS:
        return failed, (event,)
    spent = {"root": answer.root, "attempts": answer.attempt - 1, "last_job_id": failed.key.id}
    spent |= ({"fingerprint": answer.fingerprint} if answer.fingerprint else {}) | _work(failed)
    failed, last = telling.tell(failed, EventType.RETRY_EXHAUSTED, now, details=spent)
    return failed, (event, last)


def recovered(job: JobState, now: datetime) -> tuple[JobState, Event]:
    """Return the job, counting one event more, and the event that closes what its chain's first failure opened."""
    details = {"root": job.root, "last_job_id": job.key.id, "attempts": job.attempt}
    details |= ({"fingerprint": job.facts.fingerprint} if job.facts.fingerprint else {}) | _work(job)
    return telling.tell(job, EventType.RECOVERED, now, details=details)


def _with_answer(event: Event, answer: Resubmission | None, policy: RetryPolicy) -> Event:
    """Return the event; that a job failed says what was decided about it, since one message may be all that is read."""
    if event.type is not EventType.JOB_FAILED:
        return event
    told: dict[str, Any] = {"step": answer.step.value if answer else "off", "max_attempts": policy.max_attempts}
    if answer and answer.step is Step.SCHEDULED:
        told |= {"attempt": answer.attempt, "due_at": rfc3339(answer.due_at)}
    if answer and answer.step is Step.REFUSED:
        told |= {"reason": answer.reason}
    return replace(event, details=event.details | {"retry": told})


def _work(job: JobState) -> dict[str, Any]:
    """Return what the job works on, for whoever is told of its resubmissions only."""
    facts = job.facts
    return ({"segments": list(facts.segments)} if facts.segments else {}) | (
        {"dataset": facts.dataset} if facts.dataset else {}
    )


def _loudness(reason: str) -> Severity:
    """Return how loudly a refusal is told: what a person or the chain decided is no news.

    Loud is what only a person can mend: the undecided, and an export that nobody will submit because the day is spent.
    """
    match Refusal(reason):
        case Refusal.CANCELLED | Refusal.SUPERSEDED | Refusal.ATTEMPTS:
            return Severity.INFO
        case Refusal.NEVER:
            return Severity.WARNING
        case Refusal.UNDECIDED | Refusal.BUDGET:
            return Severity.CRITICAL
