"""What becomes of a delivery after one attempt."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from segwatch.backoff import Backoff
from segwatch.deliveries.model import Accepted, Delivery, Outcome, Rejected, Retryable, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How long one channel is tried.

    max_age: how long after the promise a failed attempt is still followed by another.
    """

    backoff: Backoff
    max_age: timedelta


def settle(
    delivery: Delivery, outcome: Outcome, now: datetime, policy: DeliveryPolicy, u: float, *, age: timedelta
) -> Delivery:
    """Return the delivery after an attempt that ended at `now`.

    A delivery that may be tried again is due by backoff or when the receiver asked for it, whichever is
    later, but never behind its maximum age: the last attempt is made then.
    u: a random number in [0, 1), drawn by the caller. age: how long ago the promise was made, which is not always what
    the clock says: it may have been set since.
    """
    tried = replace(delivery, attempts=delivery.attempts + 1)
    match outcome:
        case Accepted(thread=thread):
            return replace(tried, stage=Stage.DELIVERED, reason="", thread=thread or delivery.thread)
        case Rejected(reason=reason):
            return replace(tried, stage=Stage.DEAD, reason=reason)
        case Retryable(reason=reason, retry_after=asked):
            left = policy.max_age - age
            if left <= timedelta(0):
                return replace(tried, stage=Stage.DEAD, reason=reason)
            wait = max(policy.backoff.delay(tried.attempts, u), asked or timedelta(0))
            return replace(tried, stage=Stage.PENDING, due_at=now + min(wait, left), reason=reason)


def reason_code(reason: str) -> str:
    """Return the part of a reason that metrics may show: `http_404` of `http_404: no_service`."""
    return reason.partition(":")[0]
