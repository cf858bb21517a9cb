"""What is wrong now, as the alerts have it, with the event that opened each."""

from segwatch.deliveries.silence_end import Wrong
from segwatch.jobs.events import Event
from segwatch.store.base import Store
from segwatch.store.filters import AlertFilter, EventFilter


class OpenAlerts:
    """Reads the open alerts. The events that opened them never change, so each is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opening: dict[str, Event] = {}

    async def __call__(self) -> Wrong:
        """Return the open alerts. Raises StoreError."""
        alerts = await self._store.alerts(AlertFilter(open_only=True))
        known = {alert.event_id: self._opening.get(alert.event_id) for alert in alerts}
        for id_, event in known.items():
            if event is None:
                known[id_] = next((one.event for one in await self._store.events(EventFilter(id=id_))), None)
        self._opening = {id_: event for id_, event in known.items() if event}
        return {alert.subject: self._opening[alert.event_id] for alert in alerts if alert.event_id in self._opening}
