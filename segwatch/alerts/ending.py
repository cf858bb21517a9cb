"""When an alert is over because nobody would ever hear of its end: what it is about is no longer watched.

Alertmanager resolves what its clients stop to tell it; here nothing ends in silence. It is told that the watching has
ended, and why, since what is wrong may still be so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from segwatch.alerts.model import Alert
from segwatch.jobs.events import Event, EventType, rfc3339, severity_of

VANISHED_FOR = timedelta(hours=24)
"""After so long nobody expects a job back that the platform does not know; another one may do its work until then."""

_DETAILS = {"segment": "segments", "dataset": "dataset", "pipeline": "pipeline", "schedule": "schedule"}
_FORGOTTEN = frozenset({"work", "audience", "pipeline"})  # all others are looked at as long as they are in the settings


class Reason(StrEnum):
    """Why nobody would hear of the end: the `reason` of `watch.ended`."""

    SANDBOX_REMOVED = "sandbox_removed"
    CHANNEL_REMOVED = "channel_removed"
    PIPELINE_REMOVED = "pipeline_removed"
    NOT_LOOKED_FOR = "not_looked_for"
    VANISHED = "vanished"
    FORGOTTEN = "forgotten"

    @property
    def words(self) -> str:
        """The reason as the end of a sentence."""
        return _WORDS[self]


_WORDS = {
    Reason.SANDBOX_REMOVED: "its sandbox is no longer in the settings",
    Reason.CHANNEL_REMOVED: "the channel is no longer in the settings",
    Reason.PIPELINE_REMOVED: "the pipeline is no longer in the settings",
    Reason.NOT_LOOKED_FOR: "the settings no longer ask to look for it",
    Reason.VANISHED: "the platform has not known it for a day, and nothing did its work",
    Reason.FORGOTTEN: "nothing was heard of it for so long that its jobs are forgotten",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is watched by the settings. pipelines: sandbox and name. retention: how long ended jobs are remembered.

    schedules, audiences, exports: whether they are looked at.
    """

    sandboxes: frozenset[str]
    channels: frozenset[str]
    pipelines: frozenset[tuple[str, str]]
    retention: timedelta
    schedules: bool = True
    audiences: bool = True
    exports: bool = True


def reason_to_end(alert: Alert, watched: Watched, now: datetime) -> Reason | None:
    """Return why nobody would ever hear of the end of an open alert; None while somebody may."""
    family, _, name = alert.subject.partition("/")
    if family == "channel":
        return None if name in watched.channels else Reason.CHANNEL_REMOVED
    if alert.sandbox and alert.sandbox not in watched.sandboxes:
        return Reason.SANDBOX_REMOVED
    if family == "pipeline" and (alert.sandbox, name.partition("/")[2]) not in watched.pipelines:
        return Reason.PIPELINE_REMOVED
    if (family == "schedule" and not watched.schedules) or (family == "audience" and not watched.audiences):
        return Reason.NOT_LOOKED_FOR
    if EventType.EXPORT_IMPLAUSIBLE.value in alert.types and not watched.exports:
        return Reason.NOT_LOOKED_FOR
    if alert.types == (EventType.JOB_VANISHED.value,) and now - alert.changed_at >= VANISHED_FOR:
        return Reason.VANISHED
    return Reason.FORGOTTEN if family in _FORGOTTEN and now - alert.changed_at >= watched.retention else None


def ended(alert: Alert, reason: Reason, now: datetime) -> Event:
    """Return the event that ends the alert as it stands: it counts for nothing once more is wrong about the subject."""
    named = {key: list(alert.labels[label]) for label, key in _DETAILS.items() if alert.labels.get(label)}
    of_channel = {"channel": alert.subject.partition("/")[2]} if alert.subject.startswith("channel/") else {}
    return Event(
        type=EventType.WATCH_ENDED,
        stream=f"watch/{alert.id}/{alert.loud_id}",
        sequence=1,
        at=now,
        severity=severity_of(EventType.WATCH_ENDED),
        sandbox=alert.sandbox,
        kind=alert.kind,
        reason=reason.value,
        details={
            "subject": alert.subject,
            "title": alert.title,
            "why": reason.words,
            "since": rfc3339(alert.since),
            "last_event": alert.loud_id,
            "jobs": list(alert.jobs),
        } | {key: value if key == "segments" else value[0] for key, value in named.items()} | of_channel,
    )  # fmt: skip
