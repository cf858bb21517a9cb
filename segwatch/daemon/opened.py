"""What is wrong now, read off the event log."""

from segwatch.alerts.effects import OPENING, effects_of
from segwatch.alerts.model import Turn
from segwatch.deliveries.silence_end import Wrong
from segwatch.jobs.events import Event
from segwatch.store.base import EventFilter, Store

_PAGE = 1000


class OpenAlerts:
    """Follows the log. The first call reads it behind the oldest event that opened anything, later ones what is new."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._position = 0
        self._open: dict[str, Event] = {}

    async def __call__(self) -> Wrong:
        """Return the open alerts. Raises StoreError."""
        if not self._position:
            first = next(iter(await self._store.events(EventFilter(types=OPENING))), None)
            if first is None:
                return {}
            self._take(first.event)
            self._position = first.position
        while True:
            page = await self._store.events(EventFilter(), after=self._position, limit=_PAGE)
            for one in page:
                self._take(one.event)
                self._position = one.position
            if len(page) < _PAGE:
                return dict(self._open)

    def _take(self, event: Event) -> None:
        for effect in effects_of(event):
            if effect.turn is Turn.OPENS:
                self._open.setdefault(effect.subject, event)
            elif effect.turn is Turn.CLOSES:
                self._open.pop(effect.subject, None)
