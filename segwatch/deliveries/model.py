"""A delivery, and how one attempt at it can end."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from segwatch.alerts.model import Alert
from segwatch.jobs.events import Event


class Stage(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Somebody is told long after it happened. over_at: when it was over; None while it is not, as far as is known."""

    sent_at: datetime
    over_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The promise to tell one channel of one event.

    promised_at: when the promise was made; its maximum age counts from here. attempts: tries so far.
    due_at: not before this time. reason: why the last attempt failed. origin: the identity of the store that keeps
    the promise, which fills it in; 0 for one that is in no store. thread: the receiver's name for the thread that this
    channel has begun about the same alert, which the store fills in too; "" where there is none. late: where that must
    be said, which whoever sends it fills in. ends: the alerts that the good end of a job or run ends; from the store,
    too.
    """

    event: Event
    channel: str
    promised_at: datetime
    due_at: datetime
    attempts: int = 0
    stage: Stage = Stage.PENDING
    reason: str = ""
    origin: int = field(default=0, compare=False)
    thread: str = ""
    late: Late | None = field(default=None, compare=False)
    ends: tuple[Alert, ...] = field(default=(), compare=False)

    @property
    def id(self) -> str:
        """The webhook-id: the same on every attempt and in every replay of this event to this channel.

        Another store's event of the same name has another: a receiver that passes over what it knows must not miss it.
        """
        whose = f"{self.event.id}>{self.channel}" + (f"<{self.origin:x}" if self.origin else "")
        return "msg_" + hashlib.sha256(whose.encode()).hexdigest()[:32]


def promised(event: Event, channel: str, now: datetime) -> Delivery:
    """Return the promise, made now, to tell the channel of the event at once."""
    return Delivery(event=event, channel=channel, promised_at=now, due_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The receiver took it. thread: its name for the thread that holds the message, where it has threads."""

    thread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retryable:
    """It may work later; `retry_after` is the wait that the receiver asked for."""

    reason: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """It will never work as it is: a wrong URL, a refused body."""

    reason: str


Outcome = Accepted | Retryable | Rejected
