"""What each event means for alerts: what it opens, adds to, closes. Nothing else knows the types so well."""

from segwatch.alerts.model import Effect, Turn
from segwatch.jobs.events import Event, EventType
from segwatch.jobs.model import work_of

_OF_ITS_STREAM = {  # one alert for each sandbox, channel, breaker, schedule, audience
    EventType.SANDBOX_UNREACHABLE: Turn.OPENS,
    EventType.SANDBOX_UNAUTHORIZED: Turn.OPENS,
    EventType.SANDBOX_RECOVERED: Turn.CLOSES,
    EventType.CHANNEL_FAILING: Turn.OPENS,
    EventType.CHANNEL_RECOVERED: Turn.CLOSES,
    EventType.RETRIES_HELD: Turn.OPENS,
    EventType.RETRIES_RELEASED: Turn.CLOSES,
    EventType.SCHEDULE_MISSED: Turn.OPENS,
    EventType.SCHEDULE_RECOVERED: Turn.CLOSES,
    EventType.AUDIENCE_ANOMALY: Turn.OPENS,
    EventType.AUDIENCE_RECOVERED: Turn.CLOSES,
    EventType.CREDENTIAL_EXPIRING: Turn.OPENS,
    EventType.CREDENTIAL_RENEWED: Turn.CLOSES,
    EventType.FLAPPING_STARTED: Turn.OPENS,
    EventType.FLAPPING_STOPPED: Turn.CLOSES,
}
_OF_ITS_WORK = {  # one alert for all jobs that do the same work: a later one that succeeds makes good what failed
    EventType.JOB_FAILED: Turn.OPENS,
    EventType.JOB_VANISHED: Turn.OPENS,
    EventType.EXPORT_IMPLAUSIBLE: Turn.OPENS,  # of a success that closed it just before, if only failures were in it
    EventType.EXPORT_PLAUSIBLE: Turn.CLOSES,
    EventType.JOB_SUCCEEDED: Turn.CLOSES,
    EventType.JOB_CANCELLED: Turn.CLOSES,  # somebody has taken it into his own hands
    EventType.RETRY_SCHEDULED: Turn.ADDS,
    EventType.RETRY_SUBMITTED: Turn.ADDS,
    EventType.RETRY_ADOPTED: Turn.ADDS,
    EventType.RETRY_REFUSED: Turn.ADDS,
    EventType.RETRY_EXHAUSTED: Turn.ADDS,
    EventType.RECOVERED: Turn.CLOSES,
}
_OF_ITS_PIPELINE = {
    EventType.PIPELINE_FAILED: Turn.OPENS,
    EventType.PIPELINE_SUCCEEDED: Turn.CLOSES,
}
_OF_ITS_JOB = {  # the job itself behaves oddly while it runs
    EventType.JOB_OVERDUE: Turn.OPENS,
    EventType.JOB_UNKNOWN_STATUS: Turn.OPENS,
}
_ENDS_ODDITY = frozenset(
    {EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELLED, EventType.JOB_VANISHED}
)
_KNOWN_STATUS = frozenset({EventType.JOB_QUEUED, EventType.JOB_PROCESSING, EventType.JOB_CANCELLING})


def effects_of(event: Event) -> tuple[Effect, ...]:
    """Return what the event means for alerts; nothing for one that only tells the story."""
    if turn := _OF_ITS_STREAM.get(event.type):
        return (Effect(subject=event.stream, turn=turn),)
    if event.type is EventType.WATCH_ENDED:
        return (Effect(subject=str(event.details.get("subject", "")), turn=Turn.CLOSES),)
    if turn := _OF_ITS_PIPELINE.get(event.type):
        return (Effect(subject=f"pipeline/{event.sandbox}/{event.details.get('pipeline', '')}", turn=turn),)
    if turn := _OF_ITS_JOB.get(event.type):
        return (Effect(subject=_oddity(event, event.type), turn=turn),)
    effects = [Effect(subject=subject, turn=turn) for subject, turn in _work(event)]
    if event.type in _ENDS_ODDITY:
        effects += [Effect(subject=_oddity(event, odd), turn=Turn.CLOSES) for odd in _OF_ITS_JOB]
    elif event.type in _KNOWN_STATUS:
        effects.append(Effect(subject=_oddity(event, EventType.JOB_UNKNOWN_STATUS), turn=Turn.CLOSES))
    return tuple(effects)


def chain_of(event: Event) -> str:
    """Return what of an alert's work an event that opens it is about: a chain of attempts, or the run of a pipeline.

    "" where all that is told of the subject is about the same trouble.
    """
    if event.type is EventType.PIPELINE_FAILED:
        return str(event.details.get("run") or "")
    if _OF_ITS_WORK.get(event.type) is Turn.OPENS:
        return str(event.details.get("root") or event.job_id)
    return ""


def subject_of(event: Event) -> str:
    """Return the subject of the alert that the event is first of all about; "" when it only tells the story."""
    return next((effect.subject for effect in effects_of(event)), "")


def _oddity(event: Event, type_: EventType) -> str:
    return f"{type_.value.removeprefix('job.')}/{event.stream}"


def _work(event: Event) -> list[tuple[str, Turn]]:
    """Return the subjects of a job's work, the surest name first: an alert may have been opened under any of them.

    An export's work is its fingerprint, an evaluation's its segments; of one that tells neither, its own chain.
    """
    turn = _OF_ITS_WORK.get(event.type)
    if event.type is EventType.JOB_CANCELLED and event.details.get("only_said"):
        turn = Turn.ADDS  # an error's word makes good nothing that failed before
    attempt = event.details.get("attempt")
    if turn is None or (event.type is EventType.JOB_SUCCEEDED and isinstance(attempt, int) and attempt > 1):
        return []  # the success of a later attempt is told as `export.recovered` in the same breath
    chain = f"work/{event.sandbox}/{event.kind}/{event.details.get('root') or event.job_id}"
    names = [f"work/{event.sandbox}/{event.kind}/{same}"] if (same := _same_work(event)) else []
    names.append(chain)
    return [(name, turn) for name in names[: 1 if turn is Turn.OPENS else None]]


def _same_work(event: Event) -> str:
    fingerprint, segments = event.details.get("fingerprint"), event.details.get("segments")
    of_segments = segments if event.kind == "segment_job" and isinstance(segments, list) else []
    return work_of(fingerprint if isinstance(fingerprint, str) else "", [str(one) for one in of_segments])
