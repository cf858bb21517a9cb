"""What happened: the entries of the event log. Their types and fields are public interface."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from segwatch.jobs.model import JobError, JobState


class EventType(StrEnum):
    """Every type that this version can tell."""

    JOB_DISCOVERED = "job.discovered"
    JOB_QUEUED = "job.queued"
    JOB_PROCESSING = "job.processing"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLING = "job.cancelling"
    JOB_CANCELLED = "job.cancelled"
    JOB_VANISHED = "job.vanished"
    JOB_OVERDUE = "job.overdue"
    JOB_UNKNOWN_STATUS = "job.unknown_status"
    JOB_ID_REUSED = "job.id_reused"
    RETRY_SCHEDULED = "export.retry_scheduled"
    RETRY_SUBMITTED = "export.retry_submitted"
    RETRY_ADOPTED = "export.retry_adopted"
    RETRY_REFUSED = "export.retry_refused"
    RETRY_EXHAUSTED = "export.retry_exhausted"
    RETRIES_HELD = "export.retries_held"
    RETRIES_RELEASED = "export.retries_released"
    RECOVERED = "export.recovered"
    SANDBOX_UNREACHABLE = "sandbox.unreachable"
    SANDBOX_UNAUTHORIZED = "sandbox.unauthorized"
    SANDBOX_RECOVERED = "sandbox.recovered"
    CHANNEL_FAILING = "channel.failing"
    CHANNEL_RECOVERED = "channel.recovered"
    PIPELINE_STARTED = "pipeline.started"
    PIPELINE_STEP_DONE = "pipeline.step_done"
    PIPELINE_SUCCEEDED = "pipeline.succeeded"
    PIPELINE_FAILED = "pipeline.failed"
    SCHEDULE_MISSED = "schedule.missed"
    SCHEDULE_RECOVERED = "schedule.recovered"
    SCHEDULE_CHANGED = "schedule.changed"
    AUDIENCE_ANOMALY = "audience.anomaly"
    AUDIENCE_RECOVERED = "audience.recovered"
    EXPORT_IMPLAUSIBLE = "export.implausible"
    EXPORT_PLAUSIBLE = "export.plausible"
    CREDENTIAL_EXPIRING = "credential.expiring"
    CREDENTIAL_RENEWED = "credential.renewed"
    UNKNOWN_REPLY = "sandbox.unknown_reply"
    FLAPPING_STARTED = "flapping.started"
    FLAPPING_STOPPED = "flapping.stopped"
    ALERT_FIRING = "alert.firing"
    ALERT_RESOLVED = "alert.resolved"
    SILENCE_ENDED = "silence.ended"
    ALERT_NOTED = "alert.noted"
    WATCH_ENDED = "watch.ended"
    DIGEST_DAILY = "digest.daily"


class Severity(StrEnum):
    """How much it hurts: critical wakes somebody, warning is read in the morning, info tells the story."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Its place among all, the mildest first."""
        return tuple(Severity).index(self)


_SEVERITY = {
    EventType.JOB_FAILED: Severity.CRITICAL,
    EventType.JOB_CANCELLED: Severity.WARNING,
    EventType.JOB_VANISHED: Severity.WARNING,
    EventType.JOB_OVERDUE: Severity.WARNING,
    EventType.JOB_UNKNOWN_STATUS: Severity.WARNING,
    EventType.JOB_ID_REUSED: Severity.WARNING,
    EventType.RETRY_REFUSED: Severity.WARNING,
    EventType.RETRY_EXHAUSTED: Severity.CRITICAL,
    EventType.RETRIES_HELD: Severity.CRITICAL,
    EventType.SANDBOX_UNREACHABLE: Severity.CRITICAL,
    EventType.SANDBOX_UNAUTHORIZED: Severity.CRITICAL,
    EventType.CHANNEL_FAILING: Severity.WARNING,
    EventType.PIPELINE_FAILED: Severity.CRITICAL,
    EventType.SCHEDULE_MISSED: Severity.CRITICAL,
    EventType.AUDIENCE_ANOMALY: Severity.WARNING,
    EventType.EXPORT_IMPLAUSIBLE: Severity.CRITICAL,
    EventType.CREDENTIAL_EXPIRING: Severity.WARNING,
    EventType.UNKNOWN_REPLY: Severity.WARNING,
    EventType.FLAPPING_STARTED: Severity.WARNING,
}


def severity_of(type_: EventType) -> Severity:
    """Return the severity that events of this type have unless their cause says otherwise."""
    return _SEVERITY.get(type_, Severity.INFO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact in the log.

    stream: what it is about and within which it is ordered: that of a `JobKey`, a `SubjectState` or a `Run`.
    sequence: its place in that stream, from 1. at: when we learned of it. late: it happened while nobody watched.
    links: where there is more about it, by name. details: further fields of the payload, JSON values only.
    """

    type: EventType
    stream: str
    sequence: int
    at: datetime
    severity: Severity
    sandbox: str = ""
    kind: str = ""
    job_id: str = ""
    status: str = ""
    previous: str = ""
    reason: str = ""
    late: bool = False
    links: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A name for this event that a replay, a restart and a second process all arrive at."""
        return "evt_" + hashlib.sha256(f"{self.stream}#{self.sequence}".encode()).hexdigest()[:32]

    def payload(self) -> dict[str, Any]:
        """Return the public form `{type, timestamp, data}`; timestamps are RFC 3339 in UTC."""
        data: dict[str, Any] = {
            "event_id": self.id,
            "sequence": self.sequence,
            "sandbox": self.sandbox,
            "kind": self.kind,
            "job_id": self.job_id,
            "status": self.status,
            "previous": self.previous,
            "severity": self.severity.value,
            "reason": self.reason,
            "late": self.late,
            "links": self.links,
        }
        return {"type": self.type.value, "timestamp": rfc3339(self.at), "data": data | self.details}


def about_job(state: JobState, type_: EventType, at: datetime, **fields: Any) -> Event:
    """Return an event on the stream of `state`, whose sequence must already count it.

    fields: what differs from the default of the type: severity, previous, reason, late, details.
    """
    return Event(
        type=type_,
        stream=state.key.stream,
        sequence=state.sequence,
        at=at,
        sandbox=state.key.sandbox,
        kind=state.key.kind,
        job_id=state.key.id,
        status=state.word,
        links={"platform": state.facts.api_path} if state.facts.api_path else {},
        **({"severity": severity_of(type_)} | fields),
    )


def rows_in(details: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the tables of a list in details, which another version may have written: what is no table is left out."""
    rows = details.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def errors_in(event: Event) -> list[JobError]:
    """Return the errors of the job that the event is about, in their order."""
    rows = rows_in(event.details, "errors")
    return [JobError(code=_word(row.get("code")), text=_word(row.get("message"))) for row in rows]


def _word(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def rfc3339(at: datetime) -> str:
    """Return an aware UTC time as `2026-01-05T02:20:00.120Z`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(value: object) -> datetime | None:
    """Return an RFC 3339 time in UTC, the inverse of `rfc3339`; None for anything else. One without a zone is UTC."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return at and (at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
    except (ValueError, OverflowError):  # no time, or one that has no year in UTC
        return None
