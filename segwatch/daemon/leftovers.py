"""Ends the alerts of which nobody would ever hear the end, and says so: what they are about is no longer watched."""

from collections.abc import Callable
from dataclasses import replace

import structlog

from segwatch.alerts.ending import Reason, Watched, ended, reason_to_end
from segwatch.alerts.model import Alert
from segwatch.daemon.clock import Clock
from segwatch.deliveries.health import ChannelCondition
from segwatch.deliveries.routing import Promise
from segwatch.jobs import audience, expiry, firing, flapping
from segwatch.jobs.breaker import BreakerCondition
from segwatch.jobs.events import Event
from segwatch.jobs.reachability import SandboxCondition
from segwatch.store.base import Change, Conflict, Store, StoreError
from segwatch.store.filters import AlertFilter, EventFilter

log = structlog.get_logger()

_EVERY_S = 60.0
_BEAT_S = 10.0
_SETTLED_S = 600.0  # whoever takes something out of the settings by mistake has so long to put it back

_WELL = {  # what is watched again begins well, so that it is told when it is not
    "sandbox": SandboxCondition.OK.value, "channel": ChannelCondition.HEALTHY.value,
    "retries": BreakerCondition.FLOWING.value, "schedule": firing.Condition.OK.value,
    "audience": audience.Condition.OK.value, "credential": expiry.Condition.OK.value,
    "flapping": flapping.Condition.OK.value,
}  # fmt: skip


class Leftovers:
    """The worker that looks at open alerts each minute. told: hears the events that were just written.

    settled_s: so long after the start nothing is ended for what the settings say.
    """

    def __init__(
        self, store: Store, clock: Clock, watched: Watched, promise: Promise,
        *, told: Callable[[tuple[Event, ...]], None], settled_s: float = _SETTLED_S,
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._watched = watched
        self._promise = promise
        self._told = told
        self._settled_at_s = clock.ran_s() + settled_s

    async def run(self, beat: Callable[[], None]) -> None:
        """Look, for ever."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.warning("leftovers_not_ended", error=str(error))
            for _ in range(int(_EVERY_S / _BEAT_S)):
                beat()
                await self._clock.sleep(_BEAT_S)

    async def look(self) -> None:
        """End what is to be ended by now. Raises StoreError."""
        if self._clock.ran_s() < self._settled_at_s:
            return
        now = self._clock.now()
        # by a clock that was set forward, nothing is old: ages are told by the time that is believed
        believed = min(now, await self._store.believed() or now)
        for alert in await self._store.alerts(AlertFilter(open_only=True)):
            if reason := reason_to_end(alert, self._watched, believed):
                await self._end(alert, reason)

    async def _end(self, alert: Alert, reason: Reason) -> None:
        now = self._clock.now()
        event = ended(alert, reason, now)
        if await self._store.events(EventFilter(id=event.id)):
            return  # and the alerter has not heard of it yet
        changes = [Change(events=(event,), deliveries=self._promise((event,), now))]
        before, well = await self._store.subject(alert.subject), _WELL.get(alert.subject.partition("/")[0])
        if before and well and before.condition != well:
            changes.append(Change(subject=replace(before, condition=well, since=now), subject_before=before))
        try:
            await self._store.commit(changes)
        except Conflict:  # it is watched after all, or somebody was faster
            return
        log.info("watch_ended", subject=alert.subject, reason=reason.value)
        self._told((event,))
