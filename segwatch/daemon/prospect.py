"""Which jobs may answer an order: the look before and after its POST."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from segwatch.daemon.clock import Clock
from segwatch.daemon.listing import Inconclusive, Listing, is_before, listed, told_of
from segwatch.daemon.source import Source
from segwatch.daemon.unlisted import posts_of, told_by_id
from segwatch.jobs import effect, ordering, proof
from segwatch.jobs.effect import Same
from segwatch.jobs.model import Facts, Observation, Status
from segwatch.jobs.order import Order
from segwatch.jobs.ordering import Serves
from segwatch.jobs.posts import Made, Posts
from segwatch.jobs.reading import CREATION_OVERLAP
from segwatch.store.base import Store
from segwatch.store.filters import JobFilter

_PAGES_MAX = 40
_LAG_SEEN = timedelta(hours=48)
_RECORDS_MAX = 100  # read one by one in one look
_ACTIVE = tuple(status for status in Status if not status.is_final)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLook:
    """Jobs of the order's kind, as the platform shows them now.

    asked_at: before the first page, by the platform's clock. newest: when the youngest in the list was created.
    same: whether one of them is what the order asks for. doubtful: ids of those of which that cannot be told.
    claimed: ids of jobs that other POSTs of ours have brought about. lag: how late the list has been seen to be.
    reckoned: the names of the POSTs of ours that the look knew of from its beginning. filled_in: ids of active
    jobs that differ from the order in nothing but what it leaves to the platform.
    """

    rows: tuple[Observation, ...]
    asked_at: datetime
    newest: datetime | None
    same: Same
    doubtful: frozenset[str]
    claimed: frozenset[str]
    reckoned: frozenset[str]
    lag: timedelta
    filled_in: frozenset[str] = frozenset()


class Prospect:
    """Reads the list, and what else is known, for one order. Every call may raise UpstreamError, StoreError.

    believed_after: how old a job must be before what its record does not tell is believed to be not there.
    since: when this process began, from when on a late list was late.
    """

    def __init__(
        self, source: Source, store: Store, clock: Clock, *, believed_after: timedelta, since: datetime
    ) -> None:
        self._source = source
        self._store = store
        self._clock = clock
        self._believed_after = believed_after
        self._since = since

    async def look(self, order: Order, beat: Callable[[], None], serves: Serves | None) -> OrderLook:
        """Return all jobs since the order's `not_before`, or since its POST, and older ones that are active.

        serves: as in `ordering.assess`; None after a POST, when nobody else's job will do. Raises Inconclusive.
        """
        ran_s, posts = self._clock.ran_s(), await posts_of(self._store, order.sandbox, order.kind)
        same = partial(self._same, equal=posts.equal({order.fingerprint} - {""}))
        list_ = await self._listed(order, beat, before_post=serves is not None)
        # its first answer has told what the platform's clock shows
        asked_at = self._now_there() - timedelta(seconds=self._clock.ran_s() - ran_s)
        if order.known and not list_.goes_back and not list_.rows.keys() & {*order.known}:
            raise Inconclusive("the list shows none of the jobs that were there before")
        times = [row.created_at for row in list_.rows.values() if row.created_at]
        rows = {id_: row for id_, row in list_.rows.items() if not self._is_history(row, order)}
        for id_ in await self._recorded(order, same, serves) - rows.keys():
            record = await told_of(self._source, id_)
            beat()
            if record is None:
                raise Inconclusive(f"the platform fails to tell of {id_}, which may be what was ordered")
            if isinstance(record, Observation):
                rows[id_] = record
        hidden = self._hidden(posts, order, rows.keys()) if serves is not None else []
        unlisted = await told_by_id(self._source, self._clock, beat, hidden, is_gone=self._is_gone)
        rows |= unlisted.rows
        unsure = [
            row for id_, row in rows.items()
            if id_ not in unlisted.doubtful
            and (same(row, order, cut=id_ in list_.rows) is None or self._is_filled_in(row, order))
        ]  # fmt: skip
        if len(unsure) > _RECORDS_MAX:
            raise Inconclusive(f"{len(unsure)} jobs were created since of which the list tells too little")
        doubtful = {*unlisted.doubtful}
        for row in unsure:
            record = await told_of(self._source, row.key.id)
            beat()
            if not isinstance(record, Observation):
                doubtful.add(row.key.id)
                continue
            rows[row.key.id] = told = record if len(record.facts.request) >= len(row.facts.request) else row
            if same(told, order) is None and not self._is_believed(told, order, asked_at):
                doubtful.add(row.key.id)
        return OrderLook(
            rows=tuple(rows.values()), asked_at=asked_at, newest=max(times, default=None), same=same,
            doubtful=frozenset(doubtful),
            # somebody's POST may have been answered while we looked
            claimed=(await posts_of(self._store, order.sandbox, order.kind)).effects(besides=order.id),
            reckoned=posts.names, lag=await self._lag(order),
            filled_in=frozenset(id_ for id_, row in rows.items() if self._is_filled_in(row, order)),
        )  # fmt: skip

    async def _listed(self, order: Order, beat: Callable[[], None], *, before_post: bool) -> Listing:
        """Read the list; once more where its answer has told that the platform's clock is behind what we thought."""
        horizon = self._horizon(order, before_post=before_post)
        list_ = await listed(self._source, beat, horizon=horizon, pages_max=_PAGES_MAX)
        if (further := self._horizon(order, before_post=before_post)) < horizon - CREATION_OVERLAP:
            list_ = await listed(self._source, beat, horizon=further, pages_max=_PAGES_MAX)
        return list_

    def _hidden(self, posts: Posts, order: Order, shown: Collection[str]) -> list[Made]:
        """Return what our POSTs made since the order's `not_before` and may be equal, where no list shows it."""
        found = []
        for made in posts.made():
            created_at = made.created_at or (made.posted_there and made.posted_there + proof.CLOCKS_APART)
            is_since = created_at is None or created_at >= order.not_before
            equal = order.fingerprint in made.asked
            if is_since and made.key.id not in shown and (equal or not self._is_another(made.facts, order)):
                found.append(made)
        return found

    async def _is_gone(self, made: Made) -> bool:
        """True where the job was known to have ended, or was made too long ago to show up late."""
        known = await self._store.job(made.key)
        if made.posted_there is None or (known and known.status.is_final):
            return True
        age = self._now_there() - made.posted_there
        return age >= self._believed_after or -age > proof.CLOCKS_EVER_APART

    async def _lag(self, order: Order) -> timedelta:
        """Return how late the list has been seen to be, by whoever records the jobs of this sandbox."""
        watched = await self._store.position(order.sandbox, order.kind)
        since = self._clock.now() - _LAG_SEEN
        jobs = await self._store.jobs(JobFilter(sandbox=order.sandbox, kind=order.kind, since=since))
        return proof.lag(jobs, watched.began_at or self._since)

    def _now_there(self) -> datetime:
        """Return what the platform's clock shows, as far as it is known."""
        return self._clock.now() - self._source.clock_behind

    def _horizon(self, order: Order, *, before_post: bool) -> datetime:
        since = order.posted_there or self._now_there()
        if before_post:
            since = min(order.not_before - max(timedelta(), self._source.clock_behind), since)
        # whatever may be mistaken for the POST's effect is to be known before it
        return since - 2 * proof.CLOCKS_APART - CREATION_OVERLAP

    def _is_history(self, row: Observation, order: Order) -> bool:
        """True for what ended before anybody wanted it: nothing of it is of interest."""
        since = min(order.not_before, order.posted_there or order.not_before)
        return row.status.is_final and is_before(row, since - 2 * proof.CLOCKS_APART)

    async def _recorded(self, order: Order, same: Same, serves: Serves | None) -> set[str]:
        """Return the ids of jobs that are recorded as active, and may answer the order or are equal."""
        active = await self._store.jobs(JobFilter(sandbox=order.sandbox, kind=order.kind, statuses=_ACTIVE))
        seen = [
            Observation(
                key=job.key, status=job.status, word=job.word, asked_at=job.asked_at, created_at=job.created_at,
                facts=job.facts,
            )
            for job in active
        ]  # fmt: skip
        return {row.key.id for row in seen if same(row, order) or (serves is not None and serves(row, order))}

    def _is_another(self, told: Facts, order: Order) -> bool:
        if not self._source.kind.resubmits:
            return set(told.segments) != set(order.segments)
        return self._source.kind.is_another(told, order.request)

    def _same(self, row: Observation, order: Order, *, cut: bool = False, equal: Collection[str] = ()) -> bool | None:
        """Return whether a job is what the order asks for; None if that cannot be told. cut: only a list told it.

        equal: ids of jobs that our own POSTs asked for in the same way: the platform may have changed what it tells.
        """
        if row.key.id in equal:
            return True
        if not self._source.kind.resubmits:
            return ordering.same_evaluation(row, order)
        if row.facts.fingerprint and row.facts.fingerprint == order.fingerprint:
            return None if cut else True
        kind = self._source.kind
        if kind.is_another(row.facts, order.request, cut=cut):
            return False
        if row.facts.request and not kind.may_be(row.facts.request, order.request):
            return None if self._is_new(row, order) else False
        return None

    def _is_filled_in(self, row: Observation, order: Order) -> bool:
        """True for an active job that may be equal to the order, by what the platform itself has filled in."""
        filled_in = self._source.kind.same_but_filled_in(row.facts.request, order.request)
        return filled_in and not row.status.is_final and row.facts.fingerprint != order.fingerprint

    def _is_new(self, row: Observation, order: Order) -> bool:
        """True for what was not there before our POST, and so may be its effect though its record differs.

        The platform may have filled in or changed what it recorded.
        """
        if order.posted_there is None or row.key.id in order.known:
            return False
        in_time = row.created_at is None or row.created_at >= order.posted_there - proof.CLOCKS_APART
        return in_time or effect.is_younger_than_all(row, order)

    def _is_believed(self, row: Observation, order: Order, now: datetime) -> bool:
        if self._is_new(row, order) or row.created_at is None:
            return False
        return now - row.created_at >= self._believed_after
