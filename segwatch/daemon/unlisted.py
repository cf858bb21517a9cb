"""Jobs that we know by our own orders and resubmissions: asked for by their ids where a list does not show them."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from segwatch.daemon.clock import Clock
from segwatch.daemon.listing import Inconclusive, told_of
from segwatch.daemon.source import Source
from segwatch.jobs.model import Facts, Observation
from segwatch.jobs.order import Order
from segwatch.jobs.posts import Fits, Made, Posts
from segwatch.jobs.resubmission import Resubmission
from segwatch.kinds.base import JobKind
from segwatch.store.base import Store

_RECORDS_MAX = 100  # read one by one in one look


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlisted:
    """What is told of them, by id. doubtful: ids of those of which nothing is, though they may be there."""

    rows: dict[str, Observation]
    doubtful: frozenset[str]


async def posts_of(store: Store, sandbox: str, kind: str) -> Posts:
    """Return what our POSTs of this kind have led to. Raises StoreError."""
    answers = await store.resubmissions(sandbox)
    return Posts(
        orders=tuple(await store.orders(sandbox, kind=kind)),
        answers=tuple(one for one in answers if one.failed.kind == kind),
    )


def fingerprints_of(asked: Order | Resubmission) -> frozenset[str]:
    """Return all by which a job that is asked for there may be known."""
    return frozenset({asked.fingerprint} - {""}) if isinstance(asked, Order) else asked.fingerprints


def alike(kind: JobKind, request: str, fingerprints: frozenset[str]) -> Fits:
    """Return what tells whether others ask for the same, or leave more, or less, of it to the platform."""

    def fits(other: Order | Resubmission) -> bool:
        return bool(fingerprints_of(other) & fingerprints) or kind.same_but_filled_in(other.request, request)

    return fits


def unsettled(posts: Posts, kind: JobKind, order: Order) -> str:
    """Return a resubmission that may be for the same as the order and is not settled, in words; "" for none.

    However its words differ: the platform may have filled in or changed what it recorded of the failed job.
    """
    told, equal = Facts(dataset=order.dataset, segments=order.segments), fingerprints_of(order)
    return posts.in_flight(lambda one: bool(fingerprints_of(one) & equal) or not kind.is_another(told, one.request))


async def told_by_id(
    source: Source, clock: Clock, beat: Callable[[], None], made: Iterable[Made],
    *, is_gone: Callable[[Made], Awaitable[bool]],
) -> Unlisted:  # fmt: skip
    """Ask for each of these jobs, which no list shows. Raises Inconclusive, UpstreamError.

    is_gone: whether one that the platform answers with 404 is gone, and does not just show up late. Any other answer
    that tells nothing leaves a doubt: our own POST made that job.
    """
    rows, doubtful = {}, set()
    made = tuple(made)
    if len(made) > _RECORDS_MAX:
        raise Inconclusive(f"the list does not show {len(made)} jobs that segwatch itself has made since")
    for one in made:
        record = await told_of(source, one.key.id)
        beat()
        if isinstance(record, Observation):
            rows[one.key.id] = record
        elif record is None or not await is_gone(one):
            rows[one.key.id] = one.untold(clock.now())
            doubtful.add(one.key.id)
    return Unlisted(rows=rows, doubtful=frozenset(doubtful))
