"""Orders whose owner has died: a command that was killed, a run that is no more."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from segwatch.daemon.clock import Clock
from segwatch.daemon.listing import Inconclusive
from segwatch.daemon.orderer import Orderer
from segwatch.jobs import proof
from segwatch.jobs.order import COMMAND, OrderStep
from segwatch.store.base import Conflict, Store
from segwatch.upstream.errors import UpstreamError

log = structlog.get_logger()

_OWNER_DEAD_AFTER = timedelta(hours=2)  # a pipeline's order: its run comes back to it after every restart
_WISH_DEAD_AFTER = timedelta(hours=1)  # nothing was sent for it


class Abandoned:
    """Finds out what became of the orders of one sandbox that nobody else asks about any more.

    age: how long ago our clock showed that time at least, though it may have been set since. window: `settle_window`.
    """

    def __init__(
        self, sandbox: str, orderer: Orderer, store: Store, clock: Clock,
        *, age: Callable[[datetime], timedelta], window: timedelta,
    ) -> None:  # fmt: skip
        self._sandbox = sandbox
        self._orderer = orderer
        self._store = store
        self._clock = clock
        self._age = age
        self._command_dead_after = proof.patience(window)

    async def settle(self, beat: Callable[[], None]) -> timedelta | None:
        """Look what became of them; to be called about once a minute. Raises StoreError.

        Returns after how long to call again where that is too seldom: a silence counts only while it is listened to.
        """
        waits = []
        for order in await self._store.orders(self._sandbox, steps=(OrderStep.INTENDED, OrderStep.POSTING)):
            age, of_command = self._age(order.since), order.owner == COMMAND
            try:
                if order.step is OrderStep.INTENDED:
                    if of_command and age > _WISH_DEAD_AFTER:
                        await self._orderer.withdraw(order, "the command that wanted it has gone")
                elif age > (self._command_dead_after if of_command else _OWNER_DEAD_AFTER):
                    settled = await self._orderer.settle_anothers(order, beat)
                    if settled.step is OrderStep.POSTING:
                        waits.append(settled.due_at - self._clock.now())
            except (UpstreamError, Inconclusive, Conflict) as error:
                log.info("order_waits", order=order.id, error=str(error))
        return max(min(waits), timedelta()) if waits else None
