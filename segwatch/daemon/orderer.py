"""Gets a job that we want once: a look, an intent on disk, one POST, the result on disk. Never twice."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from segwatch.daemon.clock import Clock
from segwatch.daemon.source import Source
from segwatch.jobs.model import Observation
from segwatch.jobs.order import Order
from segwatch.jobs.ordering import Adopt, Serves
from segwatch.jobs.quota import Spend
from segwatch.store.base import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPolicy:
    """How patient an order is.

    settle_window: how long the platform may hold a request. believed_after: how long a job's record must be known
    before what it does not tell is believed to be not there.
    """

    settle_window: timedelta
    believed_after: timedelta


async def nobody(seen: Observation) -> None:
    """Tell nobody of a new job."""


class Orderer:
    """Takes orders of one sandbox as far as they go.

    record: told of each job that an order led to. grace_s: how long a POST under way may go on when we are to stop.
    """

    def __init__(
        self, sources: Mapping[str, Source], store: Store, clock: Clock, policy: OrderPolicy, *, grace_s: float,
        record: Callable[[Observation], Awaitable[None]] = nobody,
    ) -> None:  # fmt: skip
        self._sources = sources
        self._store = store
        self._clock = clock
        self._policy = policy
        self._grace_s = grace_s
        self._record = record

    async def place(
        self, order: Order, beat: Callable[[], None], *, adopt: Adopt, serves: Serves, spend: Spend | None = None
    ) -> Order:
        """Take the order as far as it goes now, and return it as it is on disk; while it is open, call again when due.

        An order of this id that is on disk is taken up where it stands. Never raises UpstreamError; StoreError it may.
        """
        raise NotImplementedError

    async def settle_abandoned(self, beat: Callable[[], None]) -> None:
        """Find out what became of orders whose command has died; to be called about once a minute."""
        raise NotImplementedError
