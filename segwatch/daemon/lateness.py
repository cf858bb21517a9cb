"""What has become meanwhile of what somebody is told late."""

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from segwatch.alerts.effects import subject_of
from segwatch.deliveries.marking import is_late
from segwatch.deliveries.message import Standing, message_of
from segwatch.deliveries.model import Delivery, Late
from segwatch.jobs.events import Event, EventType, moment_of
from segwatch.store.base import Store, StoreError
from segwatch.store.filters import AlertFilter, EventFilter

log = structlog.get_logger(__name__)


async def as_of_now(
    delivery: Delivery, store: Store, now: datetime, age: timedelta, *, stateful: bool = False
) -> Delivery:
    """Return the delivery with what there is to say of one that is sent late. age: of its event.

    stateful: its channel is told to open and to close an incident each in its turn, whatever has become of it.
    """
    if not is_late(delivery, age):
        return delivery
    over = None
    if not stateful:
        try:
            over = await _over_at(store, delivery.event)
        except StoreError as error:  # what is not known is not said
            log.warning("lateness_not_read", event_id=delivery.event.id, error=str(error))
    return replace(delivery, late=Late(sent_at=now, over_at=over))


async def _over_at(store: Store, event: Event) -> datetime | None:
    """Return when that was over which an event says is wrong; None while it is not. Raises StoreError.

    What nobody watches any more may still be wrong.
    """
    if message_of(event).standing is not Standing.FIRING:
        return None
    if event.type is EventType.ALERT_FIRING:
        return await _group_over_at(store, event)
    ends = [
        alert.ended_at
        for alert in await store.alerts(AlertFilter(subject=subject_of(event)))
        if alert.ended_at and not alert.given_up and alert.since <= event.at <= alert.ended_at
    ]
    return max(ends, default=None)


async def _group_over_at(store: Store, notice: Event) -> datetime | None:
    for logged in await store.events(EventFilter(stream=notice.stream), limit=1):
        last = logged.event
        if last.type is EventType.ALERT_RESOLVED and last.sequence > notice.sequence:
            return moment_of(last.details.get("ended_at")) or last.at
    return None
