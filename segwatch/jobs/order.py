"""A job that we want once: what is asked, and how far it came."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from segwatch.jobs.model import digest_of_segments

COMMAND = "command"  # the owner of what a person ordered
ODD_TIME = "odd_time"  # why a placed order keeps equal ones away for a while, as an undecided one does
_FARTHEST = timedelta(hours=1)  # the longest wait that the platform may ask for, and longer than any look is put off


class OrderStep(StrEnum):
    """How far an order has come. Each step is on disk before the next one begins.

    INTENDED: nothing is under way. POSTING was written just before the request's bytes left: whoever finds it cannot
    know whether the platform took it, and must look. The other four are ends.
    """

    INTENDED = "intended"
    POSTING = "posting"
    PLACED = "placed"  # a POST of ours brought the job about
    ADOPTED = "adopted"  # somebody else's job serves
    REFUSED = "refused"
    UNDECIDED = "undecided"  # a POST was sent, and what became of it cannot be known

    @property
    def is_open(self) -> bool:
        """True while a job may still come of it."""
        return self in (OrderStep.INTENDED, OrderStep.POSTING)

    @property
    def spends(self) -> bool:
        """True when the platform has, or may have, counted a job for it."""
        return self in (OrderStep.POSTING, OrderStep.PLACED, OrderStep.UNDECIDED)


class OrderRefusal(StrEnum):
    """Why an order led to no job."""

    REJECTED = "rejected"  # the platform understood and will not
    EXISTS = "exists"  # an equal job is active, and the order was not to adopt it
    QUOTA = "quota"  # the allowance is used up, or only the last run is left
    UNCLEAR = "unclear"  # a job that is there cannot be told apart from the one that is wanted
    WITHDRAWN = "withdrawn"  # whoever wanted it has gone, and nothing was sent
    UNDECIDED = "undecided"  # no reply came to the POST, and the platform lists no new job


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One wish for one job. At most one job ever comes of it, whatever happens.

    id: `<run id>/evaluate`, `<run id>/export`, or `cmd-<random>`. owner: `command`, or `pipeline/<name>/<run id>`.
    request: canonical JSON of the body. fingerprint: equal for two orders that ask for the same thing.
    due_at: not before. since: when it came to its step.
    not_before: jobs that were created before it never answer the order.
    known: ids of young jobs that the look before the POST saw: none of them can be the POST's effect. newest: when the
    youngest of all in the list was created then, by the platform's clock: what is younger came after it. None where
    there was none.
    posted_at: when POSTING was written, or later, when the POST was known to be over. behind: by how much the
    platform's clock was behind ours then, as far as it was known. tries: POSTs so far.
    declined: the platform answered the last POST with an error, so its silence afterwards is believed.
    declines: how many POSTs ended so. forced: it may be posted beside an
    equal job.
    job_id: the job that answers. job_created_at: when the platform says that it was created.
    reason: an OrderRefusal, or one word for what an open order waits for: `unclear`, `unread` (the list), `twin`, or
    the `reason` of the UpstreamError that came, such as `http_429`; ODD_TIME of one that is placed though the time of
    its job speaks against that. why: the same in words.
    """

    id: str
    sandbox: str
    kind: str
    owner: str
    request: str
    fingerprint: str
    step: OrderStep
    since: datetime
    due_at: datetime
    not_before: datetime
    segments: tuple[str, ...] = ()
    dataset: str = ""
    known: tuple[str, ...] = ()
    newest: datetime | None = None
    posted_at: datetime | None = None
    behind: timedelta = timedelta()
    tries: int = 0
    declined: bool = False
    declines: int = 0
    job_id: str = ""
    job_created_at: datetime | None = None
    reason: str = ""
    why: str = ""
    forced: bool = False

    @property
    def post(self) -> str:
        """A name for its last POST that may have had an effect, another for each; "" when there was none."""
        return f"{self.id}#{self.tries}" if self.posted_at else ""

    @property
    def posted_there(self) -> datetime | None:
        """When it was posted, by the platform's clock: comparable with when jobs were created, whatever ours shows."""
        return self.posted_at and self.posted_at - self.behind

    def is_due(self, now: datetime) -> bool:
        """True when its next step may be taken.

        Nothing is put off for longer than an hour: what is due later than that was put off by a clock that was wrong.
        """
        return self.due_at <= now or self.due_at - now > _FARTHEST


def wanted(
    id_: str, *, sandbox: str, kind: str, owner: str, request: str, fingerprint: str, now: datetime,
    not_before: datetime, segments: tuple[str, ...] = (), dataset: str = "", forced: bool = False,
) -> Order:  # fmt: skip
    """Return a new order, due at once; the arguments are as in `Order`."""
    return Order(
        id=id_, sandbox=sandbox, kind=kind, owner=owner, request=request, fingerprint=fingerprint, segments=segments,
        dataset=dataset, forced=forced, step=OrderStep.INTENDED, since=now, due_at=now, not_before=not_before,
    )  # fmt: skip


def evaluation_fingerprint(segments: Iterable[str]) -> str:
    """Return the fingerprint of an order to evaluate these segments."""
    return digest_of_segments(segments)[:32]
