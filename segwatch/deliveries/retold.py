"""What is said now of an alert that was opened a while ago: with the names that are known, and what has been done."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from segwatch.alerts.model import Alert
from segwatch.deliveries.alert_words import words_of
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.phrases import around, moment, text
from segwatch.deliveries.wording import said_of
from segwatch.jobs.events import Event, EventType, moment_of, rfc3339
from segwatch.jobs.resubmission import Refusal, Resubmission, Step

ANSWERED = frozenset(
    {EventType.JOB_FAILED, EventType.RETRY_SCHEDULED, EventType.RETRY_SUBMITTED, EventType.RETRY_ADOPTED}
)
"""The types of events whose action is what becomes of a resubmission, which may have gone on since."""


def retold(
    alert: Alert,
    titled: Event | None,
    acted: Event | None,
    answer: Resubmission | None,
    knowledge: Knowledge,
    now: datetime,
) -> Alert:
    """Return the alert in the words of now; in those that it has where an event is forgotten.

    titled, acted: the events that its title and its action are from. answer: what is done about the failure of the
    latter, None when that is nothing.
    """
    if titled is not None:
        words = words_of(replace(titled, at=now), knowledge)  # times of another day are told with their date
        alert = replace(alert, title=words.title, facts=words.facts)
    if alert.mended_by:
        return _mended(alert)
    if acted is None:
        return alert
    action = said_of(_without_the_past(acted, now), knowledge).action
    if acted.type in ANSWERED and answer is not None and not _is_as_told(acted, answer, now):
        action = _answered(answer, now)
    return replace(alert, action=action)


def _mended(alert: Alert) -> Alert:
    """Return the alert of a pipeline whose evaluation has failed, and has been made good since by another job."""
    since = f"made good since by {text(alert.mended_by)}"
    again = around(": segwatch pipeline run {}", text(next(iter(alert.labels.get("pipeline", ())), "")))
    cause = f"{alert.cause}; {since}" if alert.cause else since
    return replace(alert, cause=cause, action=f"Only what follows the evaluation is missing{again or '.'}")


def _without_the_past(event: Event, now: datetime) -> Event:
    """Return the event without what it says of times that were still to come then."""
    details = _still_to_come(event.details, now)
    if isinstance(decided := details.get("retry"), dict):
        details["retry"] = _still_to_come(decided, now)
    eta_s = details.get("eta_s")
    if isinstance(eta_s, int | float) and event.at + timedelta(seconds=eta_s) <= now:
        del details["eta_s"]
    return replace(event, details=details)


def _still_to_come(details: dict[str, Any], now: datetime) -> dict[str, Any]:
    past = {name for name in ("due_at", "next") if (at := moment_of(details.get(name))) is not None and at <= now}
    return {name: value for name, value in details.items() if name not in past}


def _is_as_told(event: Event, answer: Resubmission, now: datetime) -> bool:
    """True when what the event says of the answer still holds."""
    decided = event.details.get("retry")
    told = decided if isinstance(decided, dict) else event.details
    match answer.step:
        case Step.SCHEDULED:
            return not answer.waits_for and told.get("due_at") == rfc3339(answer.due_at) and answer.due_at > now
        case Step.PROPOSED:
            return told.get("step") == "proposed" or told.get("mode") == "propose"
        case Step.SUBMITTED:
            return event.type is EventType.RETRY_SUBMITTED
        case Step.ADOPTED:
            return event.type is EventType.RETRY_ADOPTED
        case Step.POSTING:
            return False
        case Step.REFUSED:
            return told.get("step") == "refused"


def _answered(answer: Resubmission, now: datetime) -> str:
    """Return what is done about a failure."""
    job, new, number = text(answer.failed.id), text(answer.new_id), f"attempt {answer.attempt}"
    match answer.step:
        case Step.PROPOSED:
            return f"Nothing happens until a person says so: segwatch jobs retry {job}"
        case Step.SCHEDULED if answer.waits_for:
            return f"{number.capitalize()} waits: {text(answer.waits_for).removesuffix('.')}."
        case Step.SCHEDULED if answer.due_at > now:
            return f"Resubmitting at {moment(rfc3339(answer.due_at), now)}, as {number}."
        case Step.SCHEDULED | Step.POSTING:
            return f"Resubmitting now, as {number}."
        case Step.SUBMITTED:
            return f"Submitted again as {new}, {number}. Watching the new job."
        case Step.ADOPTED:
            return f"{new} does the same work and counts as {number}. Watching that job."
        case Step.REFUSED:
            words = Refusal(answer.reason).words if answer.reason in set(Refusal) else text(answer.reason)
            because = f": {words}" if words else ""
            return f"It is not submitted again{because}. If it is wanted all the same: segwatch jobs retry {job}"
