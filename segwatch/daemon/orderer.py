"""Gets a job that we want once: a look, an intent on disk, one POST, the result on disk. Never twice."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from segwatch.daemon.clock import Clock
from segwatch.daemon.listing import Inconclusive, TooLittle
from segwatch.daemon.posting import finished, posted, wish
from segwatch.daemon.prospect import OrderLook, Prospect
from segwatch.daemon.silence import Silences
from segwatch.daemon.source import Source
from segwatch.daemon.unlisted import alike, fingerprints_of, posts_of, unsettled
from segwatch.jobs import effect, ordering, proof, quota
from segwatch.jobs.model import Observation
from segwatch.jobs.order import COMMAND, ODD_TIME, Order, OrderRefusal, OrderStep
from segwatch.jobs.ordering import Adopt, Adopted, Exists, Go, Ours, Serves, Unclear
from segwatch.jobs.quota import Spend
from segwatch.jobs.submission import Posted
from segwatch.store.base import Change, Conflict, Spent, Store, StoreError
from segwatch.upstream.errors import UpstreamError

log = structlog.get_logger()

_PAUSE = timedelta(seconds=5)  # after a call that failed and had no effect
_TWIN_PAUSE = timedelta(seconds=2)  # while an equal order or submission is under way


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPolicy:
    """How patient an order is.

    settle_window: how long the platform may hold a request. believed_after: how old a job must be before what its
    record does not tell is believed to be not there.
    """

    settle_window: timedelta
    believed_after: timedelta

    @property
    def doubted_for(self) -> timedelta:
        """For how long what tells too little is asked again; it decides nothing any more after that."""
        return self.believed_after + self.settle_window


async def nobody(seen: Observation) -> None:
    """Tell nobody of a new job."""


class Orderer:
    """Takes orders of one sandbox as far as they go.

    trouble: the call's failure for which the last `place` came no further; None when there was none.
    sources: by kind. record: told of each job that a POST brought about. grace_s: how long a POST under way may go on
    when we are to stop.
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
        self.trouble: UpstreamError | None = None
        self._began = clock.now()
        self._posted_s: dict[str, float] = {}  # `ran_s` at the last POST of each of our own orders that got no reply
        self._silences = {kind: Silences(clock, window=policy.settle_window) for kind in sources}

    async def place(
        self, order: Order, beat: Callable[[], None], *, adopt: Adopt, serves: Serves, spend: Spend | None = None
    ) -> Order:
        """Take the order as far as it goes now, and return it; while it is open, call again at its `due_at`.

        An order of this id that is on disk is taken up where it stands. What is returned open may differ from the disk
        in `due_at`, `reason` and `why`, which say what it waits for. Raises StoreError, and no UpstreamError.
        """
        self.trouble = None
        before = await self._store.order(order.id)
        if before is not None:
            order = before
        if not order.step.is_open or not order.is_due(self._clock.now()):
            return order
        try:
            if order.step is OrderStep.POSTING:
                return await self._settle(order, beat)
            return await self._submit(order, before, beat, adopt, serves, spend)
        except UpstreamError as error:
            self.trouble = error
            return self._later(order, wish(error) or _PAUSE, error.reason, str(error))
        except Inconclusive as error:
            return self._later(order, _PAUSE, "unread", str(error))
        except Conflict as error:
            now_there = await self._store.order(order.id) or order
            if not now_there.step.is_open:
                return now_there
            return self._later(now_there, _TWIN_PAUSE, "twin", str(error))

    async def withdraw(self, order: Order, why: str) -> Order:
        """Give an order up of which nothing was sent, and return how it stands; one that went on stays."""
        before = await self._store.order(order.id)
        if before is not None and before.step is not OrderStep.INTENDED:
            return before
        gone = ordering.refused(before or order, OrderRefusal.WITHDRAWN, why, self._clock.now())
        if before is None:
            return gone
        try:
            await self._write(gone, before)
        except Conflict:
            return await self._store.order(order.id) or gone
        return gone

    async def settle_anothers(self, order: Order, beat: Callable[[], None]) -> Order:
        """Settle an order of somebody else, who may be dead: what had no effect is not tried again."""
        settled = await self._settle(order, beat, is_mine=False)
        if settled.step is OrderStep.INTENDED and settled.owner == COMMAND:
            return await self.withdraw(settled, "the platform declined it, and the command that wanted it has gone")
        return settled

    async def _submit(
        self, order: Order, before: Order | None, beat: Callable[[], None], adopt: Adopt, serves: Serves,
        spend: Spend | None,
    ) -> Order:  # fmt: skip
        if barred := await self._barred(order, beat, adopt):
            return barred if barred.step.is_open else await self._written(barred, before)
        look = await self._look(order, beat, serves)
        now = self._clock.now()
        said = ordering.assess(
            order, look.rows, look.claimed, adopt=adopt, same=look.same, serves=serves,
            doubtful=look.doubtful, filled_in=look.filled_in, now=look.asked_at, newest=look.newest,
        )  # fmt: skip
        match said:
            case Ours(job=job):
                return await self._placed(order, before, job)
            case Adopted(job=job):
                return await self._written(ordering.answered(order, job, OrderStep.ADOPTED, now), before)
            case Exists():
                told = replace(order, job_id=said.job.key.id)
                return await self._written(ordering.refused(told, OrderRefusal.EXISTS, said.why, now), before)
            case Unclear():
                if now - order.since > self._policy.doubted_for:
                    return await self._written(ordering.refused(order, OrderRefusal.UNCLEAR, said.why, now), before)
                return self._later(order, _PAUSE, "unclear", said.why)
            case Go():
                intent = await self._written(ordering.intended(order, said, now), before)
                post = self._post(intent, look, spend)
                return await finished(post, grace_s=self._grace_s, name=f"post:{order.sandbox}")

    async def _barred(self, order: Order, beat: Callable[[], None], adopt: Adopt) -> Order | None:
        """Return the order as it stands without a look of its own; None where it takes one.

        An equal POST is under way or may have been taken; or it was left without an answer, and its job just found.
        """
        now = self._clock.now()
        posts, kind = await posts_of(self._store, order.sandbox, order.kind), self._sources[order.kind].kind
        if again := unsettled(posts, kind, order):
            return self._later(order, _TWIN_PAUSE, "twin", f"{again} asks for the same, and is not settled yet")
        fits = alike(kind, order.request, fingerprints_of(order))
        for twin in (one for one in posts.orders if one.step is OrderStep.POSTING and one.id != order.id and fits(one)):
            settled = await self.settle_anothers(twin, beat)
            if settled.step is OrderStep.POSTING:
                return self._later(order, _TWIN_PAUSE, "twin", f"order {twin.id} for the same has got no reply yet")
            is_ours = order.owner == twin.owner == COMMAND and order.fingerprint == twin.fingerprint
            if settled.step is OrderStep.PLACED and is_ours and not order.forced:
                return ordering.inherited(order, settled, now)
        posts = await posts_of(self._store, order.sandbox, order.kind)  # some may just have been given up
        behind = self._sources[order.kind].clock_behind
        lost = posts.undecided(fits, now, there=now - behind, besides=order.id)
        if lost and not (adopt == "since" or order.forced):
            why = f"the equal {lost} got no reply, so the platform may have taken it"
            return ordering.refused(order, OrderRefusal.EXISTS, why, now)
        return None

    async def _post(self, intent: Order, look: OrderLook, spend: Spend | None) -> Order:
        """Make the one POST of an intended order, and write how it ended."""
        source = self._sources[intent.kind]
        there = intent

        async def mark() -> None:
            nonlocal there
            if there.step is not OrderStep.POSTING:  # a second try, with a new token, is the same POST
                marked = ordering.posting(intent, self._clock.now(), behind=source.clock_behind)
                await self._write(marked, intent, spend=spend, reckoned=look.reckoned)
                there = marked

        try:
            job = await source.post(source.kind.create(intent.request), before_send=mark)
        except Spent as error:
            assert spend is not None
            why = f"{intent.sandbox}: {quota.said(error.used, spend.allowance)}"
            return await self._written(ordering.refused(intent, OrderRefusal.QUOTA, why, self._clock.now()), intent)
        except UpstreamError as error:
            if there is intent:  # nothing left
                raise
            how = posted(error)
            self.trouble = error if how.how is Posted.How.NOT_SENT else None
            log.warning("order_unanswered", order=intent.id, how=how.how.value, error=str(error))
            return await self._unanswered(intent, there, how, reason=error.reason)
        if doubt := effect.doubt_about(job, there, look.same):
            why = f"the platform answered with job {job.key.id}, but {doubt}"
            log.warning("order_unanswered", order=intent.id, how=Posted.How.LOST.value, error=why)
            return await self._unanswered(intent, there, Posted(how=Posted.How.LOST, why=why), reason="doubt")
        log.info("order_placed", order=intent.id, job=str(job.key))
        return await self._placed(there, there, job)

    async def _unanswered(self, intent: Order, marked: Order, how: Posted, *, reason: str) -> Order:
        behind = self._sources[intent.kind].clock_behind
        after = ordering.after_post(marked, how, self._clock.now(), before=intent, behind=behind)
        if after.step.is_open:
            after = replace(after, reason=reason)
        self._silences[after.kind].of(after.id, after.posted_at)  # it begins now
        self._posted_s[after.id] = self._clock.ran_s()
        return await self._written(after, marked)

    async def _settle(self, order: Order, beat: Callable[[], None], *, is_mine: bool = True) -> Order:
        """Find out by looking what became of a POST whose reply we do not have.

        Unless it is mine its owner may be alive, so nothing is written that only says when to look again.
        """
        silences = self._silences[order.kind]
        silence = silences.of(order.id, order.posted_at)
        try:
            look = await self._look(order, beat, None)
            silences.looked(order.id)
        except Inconclusive as error:
            silences.looked(order.id)  # a list was there, though it does not tell enough
            now, window = self._clock.now(), self._policy.settle_window
            if silence < (self._policy.doubted_for if isinstance(error, TooLittle) else proof.patience(window)):
                return replace(ordering.look_again(order, silence, now), reason="unread", why=str(error))
            came = "an error was the reply" if order.declined else "no reply came"
            why = f"{came} to the POST, and {error}"
            return await self._written(ordering.refused(order, OrderRefusal.UNDECIDED, why, now), order)
        settled = ordering.settle(
            order, look.rows, look.claimed, same=look.same, doubtful=look.doubtful, silence=silence,
            window=self._policy.settle_window, lag=look.lag, now=self._clock.now(), is_recent=self._is_recent(order),
        )  # fmt: skip
        if isinstance(settled, Ours):
            return await self._placed(order, order, settled.job, reason=ODD_TIME if settled.odd_time else "")
        if settled.step is OrderStep.POSTING and not is_mine:
            return settled
        return await self._written(settled, order)

    async def _look(self, order: Order, beat: Callable[[], None], serves: Serves | None) -> OrderLook:
        source, believed_after = self._sources[order.kind], self._policy.believed_after
        prospect = Prospect(source, self._store, self._clock, believed_after=believed_after, since=self._began)
        return await prospect.look(order, beat, serves)

    def _is_recent(self, order: Order) -> bool:
        posted_s = self._posted_s.get(order.id)
        return posted_s is not None and self._clock.ran_s() - posted_s <= proof.REACH.total_seconds()

    async def _placed(self, order: Order, before: Order | None, job: Observation, *, reason: str = "") -> Order:
        """Write the job that a POST of ours brought about: we know it, whatever others have concluded meanwhile."""
        done = replace(ordering.answered(order, job, OrderStep.PLACED, self._clock.now()), reason=reason)
        for last_try in (False, False, True):
            try:
                await self._write(done, before)
                break
            except Conflict:
                before = await self._store.order(order.id)
                if last_try or (before is not None and before.job_id):
                    raise
        try:
            await self._record(job)
        except StoreError as error:  # the next sweep finds the job
            log.info("order_job_not_recorded", job=str(job.key), error=str(error))
        return done

    async def _written(self, order: Order, before: Order | None) -> Order:
        if order != before:
            await self._write(order, before)
        return order

    async def _write(
        self, order: Order, before: Order | None, *, spend: Spend | None = None, reckoned: frozenset[str] = frozenset()
    ) -> None:
        await self._store.commit([Change(order=order, order_before=before, spend=spend, reckoned=reckoned)])
        if not order.step.is_open:
            self._silences[order.kind].forget(order.id)
            self._posted_s.pop(order.id, None)

    def _later(self, order: Order, wait: timedelta, reason: str, why: str) -> Order:
        return replace(order, due_at=self._clock.now() + wait, reason=reason, why=why)
