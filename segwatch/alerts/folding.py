"""What an event does to the alert of one subject."""

from collections.abc import Collection
from dataclasses import replace

from segwatch.alerts.labels import labels_of, labels_of_alert
from segwatch.alerts.model import Alarm, Alert, Effect, Labels, Turn, Words, worst
from segwatch.jobs.events import Event, EventType, Severity

_JOBS_MAX = 20  # of one alert: a chain is shorter, and a subject that fails for weeks is no list
_UNJUDGED = frozenset({EventType.JOB_SUCCEEDED, EventType.RECOVERED})
_ALARMS_MAX = 20  # of one alert: they differ by type, severity, status, reason


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
    if event.type in _UNJUDGED and EventType.EXPORT_IMPLAUSIBLE.value in alert.types:
        return replace(alert, changed_at=event.at)  # the next success may be just as wrong: it is looked at first
    given_up = ""
    if event.type is EventType.WATCH_ENDED:
        if event.details.get("last_event") != alert.loud_id:  # more went wrong since: it is watched after all
            return None
        given_up = str(event.details.get("why", ""))
    return replace(alert, ended_at=event.at, changed_at=event.at, ended_by=event.id, given_up=given_up)


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
        since=event.at,
        changed_at=event.at,
        loud_at=event.at,
        loud_id=event.id,
        severity=event.severity,
        title=words.title,
        cause=words.cause,
        code=words.code,
        action=words.action,
        titled_by=event.id,
        acted_by=event.id,
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
    alert = replace(alert, changed_at=event.at, jobs=jobs)
    if words.action:
        alert = replace(alert, action=words.action, acted_by=event.id)
    if not is_loud(effect, event):
        return alert
    is_new = event.type.value not in alert.types
    return replace(
        alert,
        types=(*alert.types, event.type.value) if is_new else alert.types,
        loud_at=event.at if is_new else alert.loud_at,
        loud_id=event.id,
        awaits=_awaits(event),
        mended_by="",
        severity=worst(alert.severity, event.severity),
        title=words.title if is_new else alert.title,
        titled_by=event.id if is_new else alert.titled_by,
        alarms=_alarms(alert, event),
        cause=words.cause or alert.cause,
        code=words.code if words.cause else alert.code,
        told=_united(alert.told, told),
        withheld=_united(alert.withheld, withheld),
    )


def _awaits(event: Event) -> str:
    awaits = event.details.get("segment_job")
    return awaits if isinstance(awaits, str) else ""


def _alarm(event: Event, labels: Labels) -> Alarm:
    own = labels_of(event)
    return Alarm(event_id=event.id, labels={name: own[name] for name in own if own[name] != labels[name]})


def _alarms(alert: Alert, event: Event) -> tuple[Alarm, ...]:
    """Return the alarms with this one, which stands for those before it that only another job tells from it."""
    new = _alarm(event, alert.labels)
    return (*(one for one in alert.alarms if _kind(one) != _kind(new)), new)[-_ALARMS_MAX:]


def _kind(alarm: Alarm) -> Labels:
    return {name: value for name, value in alarm.labels.items() if name != "job_id"}


def _united(some: Collection[str], more: Collection[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*some, *more]))
