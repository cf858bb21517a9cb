"""What an event does to the alert of one subject."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from segwatch.alerts.effects import chain_of
from segwatch.alerts.labels import labels_of, labels_of_alert
from segwatch.alerts.model import Alarm, Alert, Effect, Labels, Turn, Words, worst
from segwatch.jobs.events import Event, EventType, Severity

_JOBS_MAX = 20  # of one alert: a chain is shorter, and a subject that fails for weeks is no list
_UNJUDGED = frozenset({EventType.JOB_SUCCEEDED, EventType.RECOVERED})
_ALARMS_MAX = 20  # of one alert: they differ by type, severity, status, reason

_CALLED_OFF = {  # by the `reason` of schedule.recovered; what is left says that it fired
    "cron": "the schedule was given another time, and what was due has not run",
    "disabled": "the schedule was disabled, and what was due has not run",
    "enabled": "the schedule was disabled meanwhile, and what was due has not run",
    "deleted": "the schedule was deleted, and what was due has not run",
}


def fold(
    alert: Alert | None, effect: Effect, event: Event, words: Words,
    *, told: Collection[str] = (), withheld: Collection[str] = (),
) -> Alert | None:  # fmt: skip
    """Return the alert after the event; None when there is none, and the alert as it was when nothing changes.

    alert: the open one of the effect's subject. told, withheld: channels that an immediate route has told of the
    event, and those that it would have told but for a silence.
    """
    match effect.turn:
        case Turn.CLOSES:
            return alert and _closed(alert, event)
        case Turn.OPENS if alert is None:
            return _opened(effect, event, words, told, withheld)
        case Turn.OPENS | Turn.ADDS:
            return alert and _added(alert, effect, event, words, told, withheld)


def _closed(alert: Alert, event: Event) -> Alert | None:
    if not is_end(alert, event):
        return replace(alert, changed_at=event.at)
    given_up = called_off = ""
    if event.type is EventType.WATCH_ENDED:
        if event.details.get("last_event") != alert.loud_id:  # more went wrong since: it is watched after all
            return None
        given_up = str(event.details.get("why", ""))
    if event.type is EventType.SCHEDULE_RECOVERED:
        called_off = _CALLED_OFF.get(event.reason, "")
    return replace(
        alert, ended_at=event.at, changed_at=event.at, ended_by=event.id, given_up=given_up, called_off=called_off
    )


def is_end(alert: Alert, event: Event) -> bool:
    """True when an event that closes the alert's subject ends the alert.

    After an export that cannot be right the next success may be just as wrong: it is looked at first.
    """
    return event.type not in _UNJUDGED or EventType.EXPORT_IMPLAUSIBLE.value not in alert.types


def is_loud(effect: Effect, event: Event) -> bool:
    """True when the event says that something is wrong, or worse: what only goes on about it is told with the next."""
    return effect.turn is Turn.OPENS or (effect.turn is Turn.ADDS and event.severity is not Severity.INFO)


def _opened(
    effect: Effect, event: Event, words: Words, told: Collection[str], withheld: Collection[str]
) -> Alert:  # fmt: skip
    labels = labels_of_alert(effect.subject, event)
    return Alert(
        subject=effect.subject,
        event_id=event.id,
        since=_began(event, words),
        changed_at=event.at,
        loud_at=event.at,
        loud_id=event.id,
        severity=event.severity,
        title=words.title,
        facts=words.facts,
        cause=words.cause,
        code=words.code,
        action=words.action,
        titled_by=event.id,
        acted_by=event.id,
        chains=_chains((), event),
        alarms=(_alarm(event, labels),),
        types=(event.type.value,),
        sandbox=event.sandbox,
        kind=event.kind,
        jobs=(event.job_id,) if event.job_id else (),
        awaits=_awaits(event),
        labels=labels,
        told=tuple(told),
        withheld=tuple(withheld),
    )


def _added(
    alert: Alert, effect: Effect, event: Event, words: Words, told: Collection[str], withheld: Collection[str]
) -> Alert:  # fmt: skip
    jobs = alert.jobs if event.job_id in ("", *alert.jobs) else (*alert.jobs, event.job_id)[-_JOBS_MAX:]
    is_again = _is_again(alert, effect, event)
    alert = replace(alert, changed_at=event.at, jobs=jobs, chains=_chains(alert.chains or alert.jobs, event))
    if words.action:
        alert = replace(alert, action=words.action, acted_by=event.id)
    if not is_loud(effect, event):
        return alert
    if is_again:
        alert = _recurred(alert, event, words)
    is_new = is_again or event.type.value not in alert.types
    return replace(
        alert,
        types=_united(alert.types, [event.type.value]),
        loud_at=event.at if is_new else alert.loud_at,
        loud_id=event.id,
        awaits=_awaits(event),
        mended_by="",
        severity=worst(alert.severity, event.severity),
        title=words.title if is_new else alert.title,
        facts=words.facts if is_new else alert.facts,
        titled_by=event.id if is_new else alert.titled_by,
        alarms=_alarms(alert, event),
        cause=words.cause or alert.cause,
        code=words.code if words.cause else alert.code,
        told=_united(alert.told, told),
        withheld=_united(alert.withheld, withheld),
    )


def _is_again(alert: Alert, effect: Effect, event: Event) -> bool:
    """True when the work failed anew, in a chain or run that was not in the alert yet."""
    chain = chain_of(event) if effect.turn is Turn.OPENS else ""
    return chain not in ("", *alert.chains, *alert.jobs)


def _recurred(alert: Alert, event: Event, words: Words) -> Alert:
    """Return the alert as it is about the new failure: what came of the one before is no more part of it."""
    return replace(
        alert,
        types=tuple(type_ for type_ in alert.types if not type_.startswith("export.retry_")) or alert.types[:1],
        recurrences=alert.recurrences + 1,
        recurred_at=_began(event, words),
        cause="",
        code="",
        action=words.action,
        acted_by=event.id,
    )


def _chains(known: tuple[str, ...], event: Event) -> tuple[str, ...]:
    """Return the chains with that of the event; a job that answers a failure is of its chain, even when it is new."""
    answer = event.details.get("new_job_id")
    more = [chain_of(event), answer if isinstance(answer, str) else ""]
    return _united(known, filter(None, more))[-_JOBS_MAX:]


def _awaits(event: Event) -> str:
    awaits = event.details.get("segment_job")
    return awaits if isinstance(awaits, str) else ""


def _began(event: Event, words: Words) -> datetime:
    return min(words.began or event.at, event.at)  # another clock may be ahead of ours


def _alarm(event: Event, labels: Labels) -> Alarm:
    own = labels_of(event)
    return Alarm(event_id=event.id, labels={name: own[name] for name in own if own[name] != labels[name]})


def _alarms(alert: Alert, event: Event) -> tuple[Alarm, ...]:
    """Return the alarms with this one, which stands for those before it that only another job tells from it."""
    new = _alarm(event, alert.labels)
    return (*(one for one in alert.alarms if _kind(one) != _kind(new)), new)[-_ALARMS_MAX:]


def _kind(alarm: Alarm) -> Labels:
    return {name: value for name, value in alarm.labels.items() if name != "job_id"}


def _united(some: Collection[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*some, *more]))
