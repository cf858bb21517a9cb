"""The whole story of one job, and why it went as it did."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from segwatch.app.channels import routes_of
from segwatch.app.knowledge import knowledge_of
from segwatch.cli.closings import notices_about, told_the_opening
from segwatch.cli.output import clock, span
from segwatch.config import Settings
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.message import message_of
from segwatch.deliveries.model import Delivery, Stage
from segwatch.deliveries.names import Resource
from segwatch.deliveries.routing import Route, judge
from segwatch.jobs import breaker, cancellation
from segwatch.jobs.breaker import BreakerCondition
from segwatch.jobs.events import Event, EventType
from segwatch.jobs.model import JobKey, JobState, Status
from segwatch.jobs.proof import patience
from segwatch.jobs.resubmission import Refusal, Resubmission, Step
from segwatch.jobs.retry import Mode, RetryPolicy, Rule, ruling
from segwatch.jobs.subject import SubjectState
from segwatch.jobs.submission import DECLINES_MAX
from segwatch.jobs.telling import job_details
from segwatch.kinds.base import load_kinds
from segwatch.store.base import LoggedEvent, Store
from segwatch.store.filters import EventFilter


async def explained(settings: Settings, store: Store, state: JobState) -> dict[str, Any]:
    """Return everything that is known of a job, under the names that `jobs explain --json` prints."""
    logged = await store.events(EventFilter(stream=state.key.stream))
    knowledge = await knowledge_of(settings, store)
    answer = await store.resubmission(state.key)
    chain = [one for one in await store.resubmissions(state.key.sandbox) if one.root == state.root]
    breaker_state = await store.subject(breaker.stream_of(state.key.sandbox)) if resubmits(state) else None
    return {
        "job": record_of(state, knowledge),
        "polls": {"looks": state.looks, "last_at": state.asked_at, "misses": state.misses},
        "told": [_told(one.event, knowledge) for one in logged],
        "events": [{"position": one.position} | one.event.payload() for one in logged],
        "retry": answer_of(answer),
        "policy": _policy(settings.retry.policy) if resubmits(state) else None,
        "rule": _rule(state, settings.retry.policy),
        "breaker": breaker_state and {"condition": breaker_state.condition, "since": breaker_state.since},
        "chain": await _chain(store, state, chain),
        "deliveries": await _deliveries(store, [one.event for one in logged], routes_of(settings)),
        "why": why(state, answer, settings.retry.policy, logged, breaker_state),
    }


def record_of(job: JobState, knowledge: Knowledge) -> dict[str, Any]:
    """Return a job as commands show it: what it is, where it stands, and what its record says."""
    called = {one: knowledge.name(job.key.sandbox, Resource.SEGMENT, one) for one in job.facts.segments}
    called |= {job.facts.dataset: knowledge.name(job.key.sandbox, Resource.DATASET, job.facts.dataset)}
    known = job_details(job) | {
        name: at
        for name, at in (("created_at", job.created_at), ("started_at", job.started_at), ("ended_at", job.ended_at))
        if at
    }
    return {
        "sandbox": job.key.sandbox, "kind": job.key.kind, "id": job.key.id, "status": job.word,
        "active": job.is_active, "discovered_at": job.discovered_at, "status_since": job.since,
        "last_look_at": job.asked_at, "overdue_at": job.overdue_at, "batches": list(job.facts.batches),
        "source": job.facts.source, "schedule_id": job.facts.schedule_id, "sequence": job.sequence,
        "names": {id_: name for id_, name in called.items() if name},
    } | known  # fmt: skip


def for_people(record: dict[str, Any]) -> dict[str, Any]:
    """Return what `record_of` says as a person reads it: status first, errors as text, lengths of time in words."""
    shown = {name: record[name] for name in ("sandbox", "kind", "id", "status")} | record
    shown["errors"] = [f"{error['message']} ({error['code']})" for error in record.get("errors", [])]
    if (took := shown.pop("duration_s", None)) is not None:
        shown["took"] = span(timedelta(seconds=took))
    names: dict[str, str] = shown.pop("names", {})

    def named(id_: str) -> str:
        return f"{names[id_]} ({id_})" if id_ in names else id_

    if isinstance(profiles := shown.get("profiles"), dict):
        shown["profiles"] = [f"{named(segment)}: {count:,}" for segment, count in profiles.items()]
    if segments := shown.get("segments"):
        shown["segments"] = list(map(named, segments))
    if dataset := shown.get("dataset"):
        shown["dataset"] = named(dataset)
    return shown


def resubmits(state: JobState) -> bool:
    """True for a job of a kind whose failures may be answered by submitting it again."""
    kind = load_kinds().get(state.key.kind)  # None for one that an older version knew
    return kind is not None and kind.resubmits


def answer_of(answer: Resubmission | None) -> dict[str, Any] | None:
    """Return what is done about a failure, as commands show it."""
    if answer is None:
        return None
    return {
        "failed_job": str(answer.failed), "root": answer.root, "attempt": answer.attempt, "step": answer.step.value,
        "reason": answer.reason, "due_at": answer.due_at, "new_job": answer.new_id, "tries": answer.tries,
        "manual": answer.manual,
    }  # fmt: skip


def why(
    state: JobState, answer: Resubmission | None, policy: RetryPolicy, logged: Sequence[LoggedEvent] = (),
    breaker_state: SubjectState | None = None,
) -> list[str]:  # fmt: skip
    """Return sentences: what is done about the job's failure, which rule decided, and by which figures."""
    if not resubmits(state):
        return ["no retry: only exports are submitted again"]
    attempt = f"it is attempt {state.attempt} of {policy.max_attempts}"
    if not state.status.is_final:
        return [f"no retry: it has not ended; {attempt}"]
    if state.status not in (Status.FAILED, Status.CANCELLED):
        recovered = f" and closes what export {state.root} opened" if state.attempt > 1 else ""
        return [f"no retry: it has not failed; {attempt}{recovered}"]
    if answer is None:
        cause = "retry.mode is off" if policy.mode is Mode.OFF else "it failed before segwatch first looked"
        return [f"no retry: {cause}; {attempt}. `segwatch jobs retry {state.key.id}` submits it"]
    held = breaker_state if breaker_state and breaker_state.condition == BreakerCondition.HELD else None
    said = [_step(state, answer, policy, logged, held)]
    if not answer.manual:
        said.append(_by_rule(state, policy))
    return [*said, f"policy: {_figures(policy)}"]


def _step(
    state: JobState, answer: Resubmission, policy: RetryPolicy, logged: Sequence[LoggedEvent], held: SubjectState | None
) -> str:
    """Return how far the answer has come."""
    attempt = f"attempt {answer.attempt} of {policy.max_attempts}"
    again = f"`segwatch jobs retry {state.key.id}` submits it all the same"
    match answer.step:
        case Step.PROPOSED:
            return (
                f"{attempt} is proposed, since retry.mode is propose: `segwatch jobs retry {state.key.id}` submits it"
            )
        case Step.SCHEDULED if held and not answer.manual:
            return (
                f"{attempt} is held since {clock(held.since)} UTC: many different exports fail at once, so one at a"
                f" time is tried until one works; `segwatch jobs retry {state.key.id}` submits it now"
            )
        case Step.SCHEDULED:
            asked = "somebody asked for it" if answer.manual else "the policy allows it"
            waits = f"; until then it waits: {answer.waits_for}" if answer.waits_for else ""
            return f"{attempt} is due at {clock(answer.due_at)} UTC: {asked}{waits}"
        case Step.POSTING if answer.declined:
            until = (answer.posted_at or answer.since) + patience(policy.settle_window)
            is_last = answer.declines >= DECLINES_MAX
            then = "it is given up" if is_last else "the next try is scheduled"
            return (
                f"{attempt} was posted and the platform answered with an error, {answer.declines} of {DECLINES_MAX}:"
                f" its list is looked at for a new export, and if it shows none, {then} after {clock(until)} UTC"
            )
        case Step.POSTING:
            return f"{attempt} was posted and its reply is not known yet: the platform's list will tell"
        case Step.SUBMITTED:
            return f"{attempt} was submitted as job {answer.new_id}" + (": somebody asked for it" * answer.manual)
        case Step.ADOPTED:
            return f"job {answer.new_id}, which somebody else submitted, was taken as {attempt}"
        case Step.REFUSED:
            told = (one.event for one in reversed(logged) if one.event.type is EventType.RETRY_REFUSED)
            cause = next((text for event in told if (text := event.details.get("why"))), Refusal(answer.reason).words)
            return f"refused ({answer.reason}): {cause}. {again}"


def _by_rule(state: JobState, policy: RetryPolicy) -> str:
    """Return which rule the failure meets."""
    if state.was_cancelled or state.cancel_in_doubt:
        return f"no rule was asked: {cancellation.words(state) or 'somebody ended the job on purpose'}"
    rule = ruling(state.errors, policy.rules)
    if rule is None:
        rules = f"none of retry.rules ({len(policy.rules)}) matches" if policy.rules else "retry.rules is empty"
        return f"rule: {rules}, and unmatched errors are retried"
    error = next(error for error in state.errors if rule.matches(error))
    return (
        f"rule: retry.rules[{policy.rules.index(rule)}] ({_written(rule)}) matches {error.code} {error.text}".rstrip()
    )


def _rule(state: JobState, policy: RetryPolicy) -> dict[str, Any] | None:
    rule = ruling(state.errors, policy.rules) if resubmits(state) else None
    if rule is None:
        return None
    return {"rule": policy.rules.index(rule), "code": rule.code, "text": rule.text, "action": rule.action.value}


def _written(rule: Rule) -> str:
    parts = (("code", rule.code), ("text", rule.text), ("action", rule.action.value))
    return ", ".join(f'{name} = "{value}"' for name, value in parts if value)


def _policy(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "mode": policy.mode.value, "max_attempts": policy.max_attempts, "max_per_day": policy.max_per_day,
        "first_delay_s": policy.backoff.first.total_seconds(), "max_delay_s": policy.backoff.cap.total_seconds(),
    }  # fmt: skip


def _figures(policy: RetryPolicy) -> str:
    waits = f"waits from {span(policy.backoff.first)} to {span(policy.backoff.cap)}"
    return f"mode {policy.mode.value}, {policy.max_attempts} attempts, {waits}, {policy.max_per_day} submissions a day"


async def _chain(store: Store, state: JobState, answers: Sequence[Resubmission]) -> list[dict[str, Any]]:
    """Return the jobs that the failure of the first one led to, this one among them, in their order."""
    answered = {one.failed.id: one for one in answers}
    ids = {state.root, state.key.id} | {id_ for one in answers for id_ in (one.failed.id, one.new_id)}
    jobs = [await store.job(JobKey(sandbox=state.key.sandbox, kind=state.key.kind, id=id_)) for id_ in ids if id_]
    rows = []
    for job in sorted((job for job in jobs if job), key=lambda job: (job.attempt, job.born_at)):
        answer = answered.get(job.key.id)
        rows.append({
            "attempt": job.attempt, "job": job.key.id, "status": job.word, "ended_at": job.ended_at,
            "then": " ".join(filter(None, (answer.step.value, answer.new_id or answer.reason))) if answer else "",
        })  # fmt: skip
    return rows


def _told(event: Event, knowledge: Knowledge) -> dict[str, Any]:
    skipped = event.details.get("skipped")
    return {
        "at": event.at, "event": event.type.value,
        "what": message_of(event, knowledge).line + (f" Not seen: {', '.join(skipped)}." if skipped else ""),
    }  # fmt: skip


async def _deliveries(store: Store, events: Sequence[Event], routes: Sequence[Route]) -> list[dict[str, Any]]:
    """Return who was told of a job's events, one by one and in groups, and why he was."""
    rows = []
    for event in events:
        openings = await told_the_opening(store, event)
        verdicts = list(enumerate(judge(event, routes)))
        for one in await store.deliveries(event_id=event.id):
            by = [number for number, verdict in verdicts if verdict.taken and one.channel in verdict.route.channels]
            unrouted = "told the opening" if one.channel in openings else "none now"
            rows.append(_delivery(one, f"routes[{by[0]}]" if by else unrouted))
    for notice in await notices_about(store, events):
        rows += [_delivery(one, "in a group") for one in await store.deliveries(event_id=notice.id)]
    return rows


def _delivery(one: Delivery, route: str) -> dict[str, Any]:
    """Return one row. route: the way by which it came about."""
    return {
        "event": one.event.type.value, "channel": one.channel, "stage": one.stage.value, "attempts": one.attempts,
        "next_at": one.due_at if one.stage is Stage.PENDING else None, "route": route, "reason": one.reason,
    }  # fmt: skip
