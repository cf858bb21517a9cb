"""What our own POSTs have led to, for orders and resubmissions alike: jobs that are known, whatever a list shows."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from segwatch.jobs.model import Facts, JobKey, Observation, Status
from segwatch.jobs.order import ODD_TIME, Order, OrderStep
from segwatch.jobs.resubmission import Refusal, Resubmission, Step

UNDECIDED_BARS = timedelta(hours=1)  # how long a POST without a reply keeps an equal one from being made

Fits = Callable[[Order | Resubmission], bool]
"""Whether what was asked for there may be the same as what somebody asks for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A job that a POST of ours brought about.

    asked: the fingerprints under which it was asked for. It equals them whatever its record tells: the platform may
    fill in or replace versions and defaults. facts: what was asked, as far as the row tells it.
    posted_at: by our clock. posted_there: by the platform's, as far as it was known then. created_at: what the platform
    said itself; None where nobody noted it.
    """

    key: JobKey
    asked: frozenset[str]
    facts: Facts
    posted_at: datetime | None
    posted_there: datetime | None
    created_at: datetime | None = None

    def untold(self, asked_at: datetime) -> Observation:
        """Return what is known of the job while the platform tells nothing of it."""
        return Observation(
            key=self.key, status=Status.UNKNOWN, word="", asked_at=asked_at, created_at=self.created_at,
            facts=self.facts,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Posts:
    """The orders and resubmissions of one kind of job in one sandbox, as they are on disk at one time."""

    orders: tuple[Order, ...] = ()
    answers: tuple[Resubmission, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all POSTs that may have had an effect: what a look reckons with that has read these rows."""
        posts = (*(order.post for order in self.orders), *(answer.post for answer in self.answers))
        return frozenset(filter(None, posts))

    @property
    def ordered(self) -> frozenset[str]:
        """The ids of the jobs that orders have led to: no effect of a resubmission."""
        return frozenset(one.job_id for one in self.orders if one.step is OrderStep.PLACED)

    def claimed(self, *, besides: JobKey | None = None) -> frozenset[str]:
        """Return the ids of the jobs that answer failures. besides: this one."""
        linked = (Step.SUBMITTED, Step.ADOPTED)
        return frozenset(one.new_id for one in self.answers if one.step in linked and one.failed != besides)

    def effects(self, *, besides: str) -> frozenset[str]:
        """Return the ids of the jobs that POSTs have brought about. besides: for the order of this id."""
        placed = {one.job_id for one in self.orders if one.step is OrderStep.PLACED and one.id != besides}
        return frozenset(placed | {one.new_id for one in self.answers if one.step is Step.SUBMITTED})

    def in_flight(self, fits: Fits, *, besides: str = "") -> str:
        """Return a resubmission that fits and whose POST is not settled, in words; "" when there is none.

        besides: that of this failed job, by its name.
        """
        for one in self.answers:
            if one.step is Step.POSTING and str(one.failed) != besides and fits(one):
                return f"the resubmission of {one.failed.id}"
        return ""

    def undecided(self, fits: Fits, now: datetime, *, there: datetime, besides: str = "") -> str:
        """Return an order or resubmission that fits, whose POST of the last hour got no reply, in words; "" for none.

        It was given up, or its job is taken for its effect against the job's time: it may have had another one.
        now: by our clock, which may have been set since. there: the same by the platform's.
        besides: an order by its id, or a resubmission by its failed job's name.
        """
        lost: list[tuple[str, str, Order | Resubmission]] = [
            *(
                (one.id, f"order {one.id}", one)
                for one in self.orders
                if one.step is OrderStep.UNDECIDED or one.reason == ODD_TIME
            ),
            *(
                (str(one.failed), f"resubmission of {one.failed.id}", one)
                for one in self.answers
                if one.step is Step.REFUSED and one.reason == Refusal.UNDECIDED
            ),
        ]
        for name, words, one in lost:
            ages = [abs(at - posted) for at, posted in ((now, one.posted_at), (there, one.posted_there)) if posted]
            if name != besides and min(ages, default=UNDECIDED_BARS) < UNDECIDED_BARS and fits(one):
                return words
        return ""

    def aliases(self, key: JobKey) -> tuple[str, ...]:
        """Return the fingerprints under which the job was asked for, where a POST of ours brought it about."""
        return tuple(sorted(frozenset().union(*(one.asked for one in self.made() if one.key == key))))

    def equal(self, fingerprints: Collection[str]) -> frozenset[str]:
        """Return the ids of the jobs that were asked for under one of these fingerprints."""
        return frozenset(one.key.id for one in self.made() if one.asked & {*fingerprints})

    def made(self) -> Iterable[Made]:
        """Return the jobs that POSTs have brought about."""
        for order in self.orders:
            if order.step is OrderStep.PLACED:
                facts = Facts(
                    segments=order.segments, dataset=order.dataset, request=order.request, fingerprint=order.fingerprint
                )
                yield Made(
                    key=JobKey(sandbox=order.sandbox, kind=order.kind, id=order.job_id),
                    asked=frozenset(filter(None, [order.fingerprint])), facts=facts, posted_at=order.posted_at,
                    posted_there=order.posted_there, created_at=order.job_created_at,
                )  # fmt: skip
        for answer in self.answers:
            if answer.step is Step.SUBMITTED:
                yield Made(
                    key=JobKey(sandbox=answer.failed.sandbox, kind=answer.failed.kind, id=answer.new_id),
                    asked=answer.fingerprints, facts=Facts(request=answer.request, fingerprint=answer.fingerprint),
                    posted_at=answer.posted_at, posted_there=answer.posted_there, created_at=answer.new_created_at,
                )  # fmt: skip
