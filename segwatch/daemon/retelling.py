"""Reads what has come of alerts that are to be told, so that no message says what was still to come then."""

from collections.abc import Sequence
from datetime import datetime

from segwatch.alerts.model import Alert
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.retold import ANSWERED, retold
from segwatch.jobs.events import Event
from segwatch.jobs.model import JobKey
from segwatch.jobs.resubmission import Resubmission
from segwatch.store.base import Store
from segwatch.store.filters import EventFilter


async def retelling(
    store: Store, alerts: Sequence[Alert], knowledge: Knowledge, now: datetime
) -> tuple[dict[str, Alert], dict[str, Event]]:
    """Return these alerts in the words of now, and the events that they are told by, all by their ids.

    Raises StoreUnavailable.
    """
    if not alerts:
        return {}, {}
    ids = tuple({id_ for alert in alerts for id_ in (alert.titled_by, alert.acted_by)})
    events = {one.event.id: one.event for one in await store.events(EventFilter(ids=ids))}
    found: dict[str, Alert] = {}
    for alert in alerts:
        acted = events.get(alert.acted_by)
        answer = await _answer(store, acted) if acted else None
        found[alert.id] = retold(alert, events.get(alert.titled_by), acted, answer, knowledge, now)
    return found, events


async def _answer(store: Store, event: Event) -> Resubmission | None:
    if event.type not in ANSWERED or not event.job_id:
        return None
    return await store.resubmission(JobKey(sandbox=event.sandbox, kind=event.kind, id=event.job_id))
