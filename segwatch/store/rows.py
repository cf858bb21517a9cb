"""Between our values and what a row holds: times as microseconds, records as JSON."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from segwatch.alerts.grouping import Group
from segwatch.alerts.model import Alert
from segwatch.alerts.silences import Silence
from segwatch.deliveries.model import Delivery, Stage
from segwatch.jobs.events import Event
from segwatch.jobs.model import JobState
from segwatch.jobs.order import Order
from segwatch.jobs.resubmission import Resubmission
from segwatch.jobs.subject import SubjectState
from segwatch.pipelines.model import Run
from segwatch.store.base import StoreCorrupt

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Decoders skip fields that they do not know, and fill in those that an older version did not write.
_JOB = msgspec.json.Decoder(JobState)
_EVENT = msgspec.json.Decoder(Event)
_RESUBMISSION = msgspec.json.Decoder(Resubmission)
_ORDER = msgspec.json.Decoder(Order)
_MEMORY = msgspec.json.Decoder(dict[str, Any])
_RUN = msgspec.json.Decoder(Run)
_SILENCE = msgspec.json.Decoder(Silence)
_ALERT = msgspec.json.Decoder(Alert)
_GROUP = msgspec.json.Decoder(Group)


def micros(at: datetime) -> int:
    """Return an aware time as whole microseconds since 1970; a naive one is a TypeError."""
    return (at - _EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """Return the time that `micros` turned into a number."""
    return _EPOCH + timedelta(microseconds=us)


def micros_or_none(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def moment_or_none(us: int | None) -> datetime | None:
    return None if us is None else moment(us)


def body_of(record: JobState | Event | Resubmission | Order | Run | Silence | Alert | Group) -> str:
    """Return the record as JSON text, which the `sqlite3` shell shows and `json_extract` reads."""
    return msgspec.json.encode(record).decode()


def job_of(body: str) -> JobState:
    return _decoded(_JOB, body)


def event_of(body: str) -> Event:
    return _decoded(_EVENT, body)


# until its answers are settled the submitter reads all of them at each of its steps, and few have changed since
@lru_cache(maxsize=1000)
def resubmission_of(body: str) -> Resubmission:
    return _decoded(_RESUBMISSION, body)


def order_of(body: str) -> Order:
    return _decoded(_ORDER, body)


def run_of(body: str) -> Run:
    return _decoded(_RUN, body)


def silence_of(body: str) -> Silence:
    return _decoded(_SILENCE, body)


def alert_of(body: str) -> Alert:
    return _decoded(_ALERT, body)


def group_of(body: str) -> Group:
    return _decoded(_GROUP, body)


SUBJECT_COLUMNS = "stream, condition, since_us, sequence, memory"


def subject_of(row: tuple[Any, ...]) -> SubjectState:
    """Return the subject in a row of SUBJECT_COLUMNS."""
    stream, condition, since_us, sequence, memory = row
    return SubjectState(
        stream=stream, condition=condition, since=moment(since_us), sequence=sequence, memory=_decoded(_MEMORY, memory)
    )


def memory_of(subject: SubjectState) -> str:
    """Return what a subject remembers, as JSON text."""
    return msgspec.json.encode(subject.memory).decode()


DELIVERY_COLUMNS = "e.body, d.channel, d.promised_us, d.due_us, d.attempts, d.stage, d.reason, d.origin"


def delivery_of(row: tuple[Any, ...]) -> Delivery:
    """Return the delivery in a row of DELIVERY_COLUMNS."""
    body, channel, promised_us, due_us, attempts, stage, reason, origin = row
    return Delivery(
        event=event_of(body),
        channel=channel,
        promised_at=moment(promised_us),
        due_at=moment(due_us),
        attempts=attempts,
        stage=Stage(stage),
        reason=reason,
        origin=origin,
    )


def _decoded(decoder: msgspec.json.Decoder[T], body: str) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as exc:
        text = f"A record cannot be read ({exc}): {body[:120]}. Run `segwatch db check`, or restore a backup."
        raise StoreCorrupt(text) from exc
