"""Tells receivers that forget what still fires, again and again: Alertmanager keeps alerts in memory only."""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog

from segwatch.backoff import Backoff
from segwatch.daemon.clock import Clock
from segwatch.deliveries.model import Accepted, Outcome, Retryable
from segwatch.jobs.events import Event, EventType
from segwatch.notifiers.base import Refreshable
from segwatch.store.base import Store, StoreUnavailable
from segwatch.store.filters import AlertFilter, EventFilter

log = structlog.get_logger(__name__)

_FIRST = timedelta(seconds=5)
_BEAT_S = 10.0
_LOOK_WITHIN_S = 30.0  # long enough for most, and alerts that were told a minute before the start fire for four more
_TAKEN_IN_S = 2.0  # what a look has found is in the alerts by then
_STEP_S = 0.5


async def firing_on(store: Store, channel: str) -> list[Event]:
    """Return the latest notice of every group that fires on the channel. Raises StoreUnavailable.

    Not of one whose alerts are all over: its end is about to be told.
    """
    found: list[Event] = []
    still = {alert.id for alert in await store.alerts(AlertFilter(open_only=True))}
    for group in await store.alert_groups():
        if group.firing and group.way.channel == channel and not still.isdisjoint(group.members):
            wanted = EventFilter(stream=group.stream, types=(EventType.ALERT_FIRING.value,))
            found += [logged.event for logged in await store.events(wanted, limit=1)]
    return found


class Refresher:
    """One for each channel that forgets. Its attempts are no deliveries: each one makes up for those that failed."""

    def __init__(
        self, channel: str, notifier: Refreshable, firing: Callable[[], Awaitable[Sequence[Event]]], clock: Clock,
        *, has_looked: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """firing: reads the latest notice of every group that fires on this channel; it may raise StoreUnavailable.

        has_looked: whether this process has seen by itself what is still so.
        """
        self._notifier = notifier
        self._firing = firing
        self._clock = clock
        self._has_looked = has_looked
        self._backoff = Backoff(first=min(_FIRST, notifier.refresh_every), cap=notifier.refresh_every)
        self._log = log.bind(channel=channel)
        self._failures = 0

    async def run(self, beat: Callable[[], None]) -> None:
        """Work until cancelled; first of all soon, since the receiver may have been restarted as well."""
        await self._first_look(beat)
        while True:
            beat()
            rest = self._rest(await self._refreshed())
            while rest > 0:
                beat()
                nap = min(rest, _BEAT_S)
                await self._clock.sleep(nap)
                rest -= nap

    async def _first_look(self, beat: Callable[[], None]) -> None:
        """Wait for a look at the platform, for a while: what fired before this process began may be over."""
        waited_s = 0.0
        while waited_s < _LOOK_WITHIN_S and not self._has_looked():
            beat()
            await self._clock.sleep(_STEP_S)
            waited_s += _STEP_S
        if waited_s:
            beat()
            await self._clock.sleep(_TAKEN_IN_S)

    async def _refreshed(self) -> Outcome:
        try:
            return await self._notifier.refresh(self._firing)
        except StoreUnavailable as exc:
            return Retryable(reason=f"store_unavailable: {exc}")

    def _rest(self, outcome: Outcome) -> float:
        """Return the seconds until the next attempt; say so when attempts begin to fail, and when they work again."""
        if isinstance(outcome, Accepted):
            if self._failures:
                self._log.info("alerts_refreshed_again", after_failures=self._failures)
            self._failures = 0
            return self._notifier.refresh_every.total_seconds()
        self._failures += 1
        if self._failures == 1:
            self._log.warning("alerts_not_refreshed", reason=outcome.reason)
        return self._backoff.delay(self._failures, random.random()).total_seconds()  # noqa: S311 - jitter, no secret
