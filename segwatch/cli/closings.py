"""Who hears of an event because of another one: whoever was told the opening, and who is told in groups."""

from collections.abc import Iterable

from segwatch.alerts.effects import effects_of
from segwatch.alerts.model import Alert, Turn
from segwatch.alerts.notices import NOTICES
from segwatch.jobs.events import Event, rows_in
from segwatch.store.base import Store
from segwatch.store.filters import AlertFilter, EventFilter


async def closed_by(store: Store, event: Event) -> list[Alert]:
    """Return the alerts that the event has ended."""
    subjects = dict.fromkeys(effect.subject for effect in effects_of(event) if effect.turn is Turn.CLOSES)
    found = [alert for subject in subjects for alert in await store.alerts(AlertFilter(subject=subject))]
    return [alert for alert in found if alert.ended_by == event.id]


async def told_the_opening(store: Store, event: Event) -> tuple[str, ...]:
    """Return the channels that were told the opening of what the event closes: they hear of it on whatever route."""
    closed = await closed_by(store, event)
    return tuple(dict.fromkeys(channel for alert in closed for channel in alert.told))


async def notices_about(store: Store, events: Iterable[Event]) -> list[Event]:
    """Return the messages about groups of alerts that tell of what these events of one job opened or closed."""
    own = list(events)
    ids = {event.id for event in own}
    subjects = dict.fromkeys(effect.subject for event in own for effect in effects_of(event))
    alerts = [alert for subject in subjects for alert in await store.alerts(AlertFilter(subject=subject))]
    jobs = {event.job_id for event in own}
    wanted = {alert.id for alert in alerts if alert.event_id in ids or jobs & set(alert.jobs)}
    if not wanted:
        return []
    since = min(event.at for event in own)
    logged = await store.events(EventFilter(types=tuple(sorted(NOTICES)), since=since))
    return [one.event for one in logged if wanted & _told_in(one.event)]


def _told_in(notice: Event) -> set[str]:
    return {str(row["alert"]) for row in rows_in(notice.details, "alerts") if "alert" in row}
