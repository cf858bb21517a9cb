"""Whether a failed export is submitted again, and when: `judge` when the job fails, `admit` when its time has come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from segwatch.backoff import Backoff, spread
from segwatch.jobs import cancellation
from segwatch.jobs.breaker import Failing
from segwatch.jobs.model import JobError, JobState, Status
from segwatch.jobs.resubmission import Refusal, Resubmission, Step

_LOOK_AGAIN = timedelta(seconds=15)


class Mode(StrEnum):
    """What is done by itself: everything, nothing but a proposal, or nothing at all."""

    AUTO = "auto"
    PROPOSE = "propose"
    OFF = "off"


class Action(StrEnum):
    """What a rule says about an error."""

    RETRY = "retry"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Matches an error by its code, by a part of its text in any case, or by both; an empty part matches all."""

    code: str = ""
    text: str = ""
    action: Action

    def matches(self, error: JobError) -> bool:
        """True when every given part fits this one error."""
        return (not self.code or self.code == error.code) and self.text.lower() in error.text.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The `[retry]` settings.

    max_attempts: jobs in a chain, the first included. settle_window: how long a submission whose answer was lost is
    looked for before it is given up as undecided; longer than the platform may hold a request (60 s, AEP contract 12).
    """

    mode: Mode
    max_attempts: int
    backoff: Backoff
    max_per_day: int
    breaker_failures: int
    breaker_window: timedelta
    settle_window: timedelta
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What else goes on in the sandbox when a resubmission falls due.

    submitted_today: POSTs in the last 24 hours. failing: exports that failed within the breaker's window.
    on_trial: a resubmitted export is still running. twin_in_flight: the equal order or resubmission whose POST is not
    settled yet; "" when there is none.
    """

    submitted_today: int
    failing: Failing
    on_trial: bool
    twin_in_flight: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Look, then submit. known: ids of exports that the look saw: none can be the effect of the POST to come."""

    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Not now; `why` is for people."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Only when a person asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Not by itself; `why` is for people."""

    reason: Refusal
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotNow:
    """What a person asked for cannot be done; `why` goes on behind the job's name."""

    why: str


def judge(job: JobState, policy: RetryPolicy, now: datetime) -> Resubmission | None:
    """Return the answer to a job that has just FAILED, open or refused; None when nothing shall be done (mode off)."""
    if policy.mode is Mode.OFF:
        return None
    answer = replace(
        _answer_to(job, now),
        step=Step.SCHEDULED if policy.mode is Mode.AUTO else Step.PROPOSED,
        due_at=now + policy.backoff.delay(job.attempt, spread(str(job.key))),
    )
    if job.was_cancelled:
        return refused(answer, Refusal.CANCELLED, now)
    if job.cancel_in_doubt:
        return refused(answer, Refusal.UNDECIDED, now)
    if rule := ruling(job.errors, policy.rules):
        return (
            refused(answer, Refusal.NEVER, now)
            if rule.action is Action.NEVER
            else _within_attempts(answer, policy, now)
        )
    return _within_attempts(answer, policy, now)


def wished(
    job: JobState, before: Resubmission | None, now: datetime, *, answering: JobState | None = None, force: bool = False
) -> Resubmission | NotNow:
    """Return the answer to a person who wants a job submitted again, whatever the policy says; or why it cannot be.

    before: the answer that the job has already, if any. answering: the job that is this answer, as it is known.
    One that has vanished answers nothing any more; one in a status that nobody knows does not where they insist
    (`force`), and then is neither ours nor in the way.
    """
    if job.status not in (Status.FAILED, Status.CANCELLED):
        return NotNow(why=f"is {job.word}: only a failed or cancelled export can be submitted again")
    known = before.known if before else ()
    if before and before.step in (Step.SUBMITTED, Step.ADOPTED):
        status = answering.status if answering else None
        if status is Status.UNKNOWN and not force:
            word = answering.word if answering else ""
            return NotNow(
                why=f"is answered by job {before.new_id}, whose status {word} segwatch does not know; look at it, and"
                " if it is dead, --force submits this one again"
            )
        if status is Status.UNKNOWN:
            known = (*known, before.new_id)
        elif status is not Status.VANISHED:
            return NotNow(why=f"is answered by job {before.new_id}; retry that one if it failed too")
    if before and before.step is Step.POSTING:
        return NotNow(why=f"is being submitted; `segwatch jobs explain {job.key.id}` shows how it ends")
    answer = before or _answer_to(job, now)
    return replace(
        answer, step=Step.SCHEDULED, due_at=now, since=now, reason="", manual=True, asked_anew=True, declines=0,
        new_id="", new_created_at=None, known=known, waits_for="",
    )  # fmt: skip


def _answer_to(job: JobState, now: datetime) -> Resubmission:
    return Resubmission(
        failed=job.key, root=job.root, attempt=job.attempt + 1, fingerprint=job.facts.fingerprint,
        request=job.facts.request, step=Step.SCHEDULED, due_at=now, since=now,
    )  # fmt: skip


def ruling(errors: Iterable[JobError], rules: Iterable[Rule]) -> Rule | None:
    """Return the first rule that matches any of the errors; None when none does (such a failure is retried)."""
    errors = tuple(errors)
    return next((rule for rule in rules if any(rule.matches(error) for error in errors)), None)


def calls_a_failure(errors: Sequence[JobError], rules: Iterable[Rule]) -> bool:
    """Return whether the rules say of the error which speaks of a cancellation that it is a failure like others.

    Only by its text: a rule for a code alone was not written with this in mind.
    """
    error = cancellation.said_by(errors)
    rule = error and ruling([error], [rule for rule in rules if rule.text])
    return bool(rule and rule.action is Action.RETRY)


def refused(answer: Resubmission, reason: Refusal, now: datetime) -> Resubmission:
    """Return the answer as given up, for `reason`."""
    return replace(answer, step=Step.REFUSED, reason=reason.value, since=now)


def admit(
    answer: Resubmission, around: Surroundings, policy: RetryPolicy, now: datetime
) -> Go | Hold | Refuse | Propose:
    """Return whether a SCHEDULED answer that is due may go ahead. A person's wish passes all limits but a twin."""
    if around.twin_in_flight:
        return Hold(until=now + _LOOK_AGAIN, why=f"{around.twin_in_flight} asks for the same, and is not settled yet")
    if answer.manual:
        return Go()
    if policy.mode is Mode.OFF:
        return Refuse(reason=Refusal.NEVER, why="retry.mode is off")
    if policy.mode is Mode.PROPOSE:  # it was scheduled before the settings changed
        return Propose()
    if answer.attempt > policy.max_attempts:  # it was linked to an older chain after it had been scheduled
        return Refuse(reason=Refusal.ATTEMPTS, why=f"all {policy.max_attempts} attempts were made")
    if around.submitted_today >= policy.max_per_day:
        return Refuse(reason=Refusal.BUDGET, why=f"{around.submitted_today} exports were resubmitted within 24 hours")
    if around.failing.exports >= policy.breaker_failures:
        pause = (around.failing.last_at or now) + policy.backoff.first
        if around.on_trial or now < pause:
            many = f"{around.failing.exports} different exports failed of late: one at a time is tried"
            return Hold(until=max(pause, now + _LOOK_AGAIN), why=many)
    return Go()


def _within_attempts(answer: Resubmission, policy: RetryPolicy, now: datetime) -> Resubmission:
    return refused(answer, Refusal.ATTEMPTS, now) if answer.attempt > policy.max_attempts else answer
