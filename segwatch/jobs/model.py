"""A job, one sighting of it, and what we know of it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Status(StrEnum):
    """Where a job stands. All but UNKNOWN and VANISHED are the platform's own words (AEP contract 3.4, 4.4)."""

    NEW = "NEW"
    QUEUED = "QUEUED"
    PROCESSING = "PROCESSING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"  # a word that we do not know: watched on, never taken for an end
    VANISHED = "VANISHED"  # the platform answers 404, again and again: our conclusion, not its word

    @property
    def is_final(self) -> bool:
        """True when nothing more is expected, so that no poller needs to look."""
        return self in _FINAL

    @classmethod
    def of(cls, word: str) -> "Status":
        """Return the status that the platform's `word` names, in any case; UNKNOWN for a word not in its documents."""
        try:
            status = cls(word.strip().upper())
        except ValueError:
            return cls.UNKNOWN
        return cls.UNKNOWN if status is cls.VANISHED else status


_FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.VANISHED})


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class JobKey:
    """Which job. Ids are text, whatever the platform's JSON holds."""

    sandbox: str
    kind: str
    id: str

    @property
    def stream(self) -> str:
        """The name under which this job's events are ordered."""
        return f"{self.sandbox}/{self.kind}/{self.id}"

    def __str__(self) -> str:
        return self.stream


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """One entry of a job's `errors` (AEP contract 3.3, 4.6), without the call stack."""

    code: str
    text: str


NOUNS = {"export_job": "export", "segment_job": "segment job"}
"""What one job of a kind is called in a sentence; a kind that is not here goes by its name."""


def work_of(fingerprint: str, segments: Sequence[str]) -> str:
    """Return a name that jobs share which do the same: an export its fingerprint, an evaluation its segments; or "".

    It is part of the subjects of alerts in the store, and so keeps its length.
    """
    return fingerprint or (digest_of_segments(segments)[:16] if segments else "")


def digest_of_segments(segments: Iterable[str]) -> str:
    """Return 64 hexadecimal digits that equal sets of segments share."""
    return hashlib.sha256("\n".join(sorted(set(segments))).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a job's record says beside its status; every field may be missing from any record.

    profiles: segment id -> members counted. exported: profiles written by an export.
    api_path: where the platform answers for the job, below the root of its API.
    request: canonical JSON that repeats an export when posted; "" where the record does not tell enough.
    fingerprint: equal for two exports that would write the same thing to the same place; "" when unknown.
    """

    segments: tuple[str, ...] = ()
    profiles: dict[str, int] = field(default_factory=dict)
    dataset: str = ""
    batches: tuple[str, ...] = ()
    exported: int | None = None
    source: str = ""
    schedule_id: str = ""
    api_path: str = ""
    request: str = ""
    fingerprint: str = ""

    @property
    def work(self) -> str:
        """A name that jobs share which do the same; "" where nobody knows."""
        return work_of(self.fingerprint, self.segments)

    def joined(self, new: "Facts") -> "Facts":
        """Return all that either record told, the new one first: a list row may be shorter than the record.

        AEP contract 13, no. 29.
        """
        fuller = new if len(new.request) >= len(self.request) else self
        return Facts(
            segments=new.segments or self.segments,
            profiles=new.profiles or self.profiles,
            dataset=new.dataset or self.dataset,
            batches=new.batches or self.batches,
            exported=self.exported if new.exported is None else new.exported,
            source=new.source or self.source,
            schedule_id=new.schedule_id or self.schedule_id,
            api_path=new.api_path or self.api_path,
            request=fuller.request,
            fingerprint=fuller.fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one poll saw of one job. `asked_at` is our clock, all other times are the platform's.

    started_at: when its work began; a record tells it late or never.
    ended_at: the last change where the record of an ended job names no end. end_is_told: it names one.
    """

    key: JobKey
    status: Status
    word: str
    asked_at: datetime
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end_is_told: bool = False
    errors: tuple[JobError, ...] = ()
    facts: Facts = Facts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One poll asked for this job by its id and was told 404."""

    key: JobKey
    asked_at: datetime


_CLOCK_ERROR = timedelta(seconds=5)  # dates of answers, and ends of jobs, may count in seconds, and travel for some


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job as we now know it; the record that the store keeps.

    since: when we first saw the current status. misses: 404s in a row. looks: observations so far; none of a job
    that a command has noted.
    root, attempt: the chain of resubmissions that the job belongs to; its own id and 1 where there is none.
    started_at: by our clock where the platform does not say. sequence: how many events the job has had.
    missed_at: the platform's clock, as far as it is known, at the last complete sweep before a list first showed the
    job. unlisted: none has shown it yet, we know it by its submission.
    overdue_at, slow_at: when it was told that it is older than its limit, and older than such jobs ever get.
    judged_at: when it was told that its success cannot be right. reused_at: that its id is in use again.
    cancel_asked_at: when segwatch itself was about to ask the platform to end it. cancel_there: the same by the
    platform's clock; None where that is not known. cancel_at: when the platform agreed to that. cancelling_at: when it
    first told that the job is being cancelled. resumed_at: when it told of another status after that, that is no end.
    cancel_why: why it counts as cancelled though it is FAILED.
    """

    key: JobKey
    status: Status
    word: str
    asked_at: datetime
    discovered_at: datetime
    since: datetime
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end_is_told: bool = False
    errors: tuple[JobError, ...] = ()
    facts: Facts = Facts()
    root: str = ""
    attempt: int = 1
    sequence: int = 0
    looks: int = 1
    misses: int = 0
    missed_at: datetime | None = None
    unlisted: bool = False
    overdue_at: datetime | None = None
    slow_at: datetime | None = None
    judged_at: datetime | None = None
    reused_at: datetime | None = None
    cancel_asked_at: datetime | None = None
    cancel_there: datetime | None = None
    cancel_at: datetime | None = None
    cancelling_at: datetime | None = None
    resumed_at: datetime | None = None
    cancel_why: str = ""

    @property
    def is_active(self) -> bool:
        """True while the job needs a poller."""
        return not self.status.is_final

    @property
    def was_cancelled(self) -> bool:
        """True when somebody ended the job on purpose, whatever word the platform uses (AEP contract 4.4)."""
        return self.status is Status.CANCELLED or (self.status is Status.FAILED and bool(self.cancel_why))

    @property
    def cancel_in_doubt(self) -> bool:
        """True for a failure of which somebody wanted the end, as far as we know without effect: it may be that end."""
        wanted = self.cancel_asked_at or self.cancel_at or self.cancelling_at
        return self.status is Status.FAILED and wanted is not None and not self.cancel_why

    @property
    def ended_unasked(self) -> bool:
        """True where the platform's own times tell that the job had ended before we asked for that.

        Dates of answers and ends of jobs are from several clocks, so that this can raise a doubt and settle none. The
        last change is no end at all (AEP contract 3.2).
        """
        if not self.end_is_told or self.ended_at is None or self.cancel_there is None:
            return False
        return self.ended_at < self.cancel_there - _CLOCK_ERROR

    @property
    def is_untold(self) -> bool:
        """True for a job that a command has noted, to cancel it, before anybody watched it."""
        return self.is_active and self.looks == 0

    @property
    def born_at(self) -> datetime:
        """When the job began to exist, as well as we know."""
        return self.created_at or self.discovered_at

    @property
    def over_at(self) -> datetime:
        """When the job ended, as well as we know; of an active one, since when it stands where it stands."""
        return self.ended_at or self.since

    def seen(self, at: datetime) -> "JobState":
        """Return the state after one more look at `at` that changed nothing."""
        return replace(self, asked_at=at, looks=self.looks + 1, misses=0)
