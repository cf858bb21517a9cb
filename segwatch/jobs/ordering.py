"""How an order gets its one job, and never two.

`assess` when the platform's list has been read, `intended` before anything is sent, `posting` just before the request's
bytes leave, `settle` when its reply is missing and the list has been read again. What happened to a POST is the edge's
to report: `after_post`.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from segwatch.backoff import Backoff, spread
from segwatch.jobs import effect, proof
from segwatch.jobs.effect import Same
from segwatch.jobs.model import Observation, Status
from segwatch.jobs.order import Order, OrderRefusal, OrderStep
from segwatch.jobs.submission import Posted

Serves = Callable[[Observation, Order], bool]
"""Whether somebody else's job, though not equal, does what the order wants. Asked before a POST only."""

Adopt = Literal["never", "active", "since"]
"""Which jobs of others may answer an order: none, one that is active, any that was created since `not_before`.

With "since" a failed one too: its failure has an answer of its own, and a second job beside that would be one too many.
"""

DECLINES_MAX = 5  # POSTs of one order that the platform answered with an error
RETRY = Backoff(first=timedelta(seconds=5), cap=timedelta(minutes=5))  # after a POST without effect
_LOOK = Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=15))
_ENDING = (Status.CANCELLING, Status.CANCELLED)
_LONGEST = timedelta(hours=1)  # an order is not looked after for longer, whatever the list's lag


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Nothing stands in the way of a POST. known, newest: as in `Order`."""

    known: tuple[str, ...]
    newest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """Somebody else's job answers the order."""

    job: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A POST of the order has brought this job about, though its reply was lost.

    odd_time: the time of its creation speaks against that, and all else for it.
    """

    job: Observation
    odd_time: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    """An equal job is active, which the order must not adopt.

    filled_in: its record differs in what the order leaves to the platform.
    """

    job: Observation
    filled_in: bool = False

    @property
    def why(self) -> str:
        """The same in words."""
        same = "differs in nothing but what the platform fills in" if self.filled_in else "does the same"
        return f"job {self.job.key.id} {same} and is {self.job.word}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """This job cannot be told apart from the one that is wanted, or was posted."""

    job: Observation

    @property
    def why(self) -> str:
        """The same in words."""
        if not self.job.word:
            return f"job {self.job.key.id} was made by an order of segwatch, and the platform does not tell of it"
        return f"what the platform tells of job {self.job.key.id} leaves open whether it is the same"


def same_evaluation(row: Observation, order: Order) -> bool | None:
    """Return whether an evaluation is over the same segments (AEP contract 3.3)."""
    return set(row.facts.segments) == set(order.segments) if row.facts.segments else None


def covers(row: Observation, order: Order) -> bool:
    """Return whether an evaluation, scheduled or not, is over all the segments that the order wants."""
    segments = set(row.facts.segments)
    return "*" in segments or (bool(segments) and "*" not in order.segments and segments >= set(order.segments))


def assess(
    order: Order, listed: Iterable[Observation], claimed: frozenset[str], *,
    adopt: Adopt, same: Same, serves: Serves, doubtful: Collection[str], now: datetime,
    newest: datetime | None = None, filled_in: Collection[str] = (),
) -> Go | Adopted | Ours | Exists | Unclear:  # fmt: skip
    """Return what the platform's jobs say about an order before its POST.

    listed: all jobs of its kind since `not_before`. claimed: ids of jobs that other POSTs of ours have brought about.
    doubtful: ids of jobs that may be the same, for all that is told of them. now: when the list was asked for, by the
    platform's clock. newest: when the youngest job in it was created; None where it tells of none.
    filled_in: ids of those that differ from the order in nothing but what it leaves to the platform. A command orders
    none beside such a one; nobody adopts it, since it may be another.
    """
    listed = tuple(listed)
    if (ours := effect.earliest(order, listed, claimed, same)) is not None:
        return Ours(job=ours)
    wanted = [row for row in listed if _is_since(row, order)]
    for row in wanted:
        if not _is_adoptable(row, adopt):
            continue
        if same(row, order) or (row.key.id not in claimed and serves(row, order)):
            return Adopted(job=row)
    if not order.forced:
        for row in wanted:
            if row.word and same(row, order) and _is_under_way(row):  # one that is not told of may be gone
                return Exists(job=row)
            if adopt == "never" and row.key.id in filled_in and _is_under_way(row):
                return Exists(job=row, filled_in=True)
    for row in listed:
        if row.key.id not in doubtful:
            if effect.is_out_of_time(row, order, claimed, same):
                return Unclear(job=row)
            continue
        if not _is_since(row, order):
            continue
        matters = not order.forced and (_is_under_way(row) or _is_adoptable(row, adopt))
        if matters or (order.posted_at is not None and effect.is_free(row, order, claimed)):
            return Unclear(job=row)
    young = now - 2 * proof.CLOCKS_APART
    known = {row.key.id for row in listed if row.created_at is None or row.created_at >= young}
    return Go(known=tuple(sorted(known | {*order.known})), newest=newest)


def intended(order: Order, go: Go, now: datetime) -> Order:
    """Return the order as it is on disk while nothing is under way."""
    return replace(
        order, step=OrderStep.INTENDED, known=go.known, newest=go.newest, since=now, due_at=now, reason="", why=""
    )


def posting(order: Order, now: datetime, *, behind: timedelta = timedelta()) -> Order:
    """Return the order as it must be on disk before the request's first byte leaves. behind: as in `Order`."""
    return replace(
        order, step=OrderStep.POSTING, posted_at=now, behind=behind, since=now, tries=order.tries + 1, declined=False,
        due_at=now + _LOOK.first,
    )  # fmt: skip


def answered(order: Order, job: Observation, step: OrderStep, now: datetime) -> Order:
    """Return the order with its job. step: PLACED or ADOPTED."""
    return replace(
        order, step=step, job_id=job.key.id, job_created_at=job.created_at, since=now, due_at=now, reason="", why=""
    )  # fmt: skip


def inherited(order: Order, twin: Order, now: datetime) -> Order:
    """Return the order with the job of an equal one that was left without an answer; `why` says so.

    Also of a job that has ended: whoever repeats a command that was killed wants its job, and not a second one.
    """
    why = f"the equal order {twin.id} was left without an answer, and had led to job {twin.job_id}"
    return replace(
        order, step=OrderStep.ADOPTED, job_id=twin.job_id, job_created_at=twin.job_created_at, since=now, due_at=now,
        reason="", why=why,
    )  # fmt: skip


def refused(order: Order, reason: OrderRefusal, why: str, now: datetime) -> Order:
    """Return the order as given up; as UNDECIDED where a POST may have had an effect."""
    step = OrderStep.UNDECIDED if reason is OrderRefusal.UNDECIDED else OrderStep.REFUSED
    return replace(order, step=step, reason=reason.value, why=why, since=now, due_at=now)


def after_post(order: Order, posted: Posted, now: datetime, *, before: Order, behind: timedelta = timedelta()) -> Order:
    """Return the POSTING order after a POST that brought no job.

    before: the same order without this POST. One that was not sent leaves of the earlier ones what was known of them.
    behind: as in `Order`.
    """
    match posted.how:
        case Posted.How.REJECTED:
            return refused(order, OrderRefusal.REJECTED, posted.why, now)
        case Posted.How.NOT_SENT:
            due_at = now + max(_pause(order), posted.retry_after or timedelta())
            return replace(before, tries=order.tries, since=now, due_at=due_at, why=posted.why)
        case Posted.How.DECLINED | Posted.How.LOST:
            declined = posted.how is Posted.How.DECLINED
            return replace(
                order, declined=declined, declines=order.declines + declined, posted_at=now, behind=behind,
                why=posted.why, due_at=now + _LOOK.delay(1, spread(order.id)),
            )  # fmt: skip


def settle(
    order: Order, listed: Iterable[Observation], claimed: frozenset[str], *, same: Same, doubtful: Collection[str],
    silence: timedelta, window: timedelta, lag: timedelta, now: datetime, is_recent: bool = False,
) -> Ours | Order:  # fmt: skip
    """Return what the platform's jobs say about a POSTING order without a reply: its job, or its next step.

    silence: from when we began to wait for the POST's effect until the first page was asked for, by a clock that is
    never set. window: how long the platform may hold a request. lag: how late its list has been seen to be.
    is_recent: we made the POST ourselves, no longer ago than it takes to show an effect. Then an equal job that came
    since, alone, is that effect though its time says otherwise: two replicas of the platform may show two times.
    Where the platform itself declined the POST, a long silence lets us try anew. Without any reply nothing does: the
    order ends UNDECIDED.
    """
    listed = tuple(listed)
    if (ours := effect.earliest(order, listed, claimed, same)) is not None:
        return Ours(job=ours)
    unknown = [row for row in listed if row.key.id in doubtful and effect.is_free(row, order, claimed)]
    odd = [row for row in listed if effect.is_out_of_time(row, order, claimed, same)]
    unknown += odd
    wanted = proof.patience(window, lag)
    enough = min(wanted, max(proof.patience(window), _LONGEST)) if order.declined or unknown else window
    if is_recent and len(odd) == 1 and unknown == odd and silence >= proof.patience(window):
        # no longer waited for the list's lag: clocks that differ make it seem late, too
        return Ours(job=odd[0], odd_time=True)
    if silence < enough:
        return replace(order, due_at=now + min(_until_next_look(order, silence), enough - silence))
    if unknown:
        return refused(order, OrderRefusal.UNDECIDED, Unclear(job=unknown[0]).why, now)
    if not order.declined:
        why = "no reply came to the POST, and the platform lists no new job"
        return refused(order, OrderRefusal.UNDECIDED, why, now)
    if wanted > enough:
        why = f"the platform answered with an error, and its list comes up to {lag.total_seconds():.0f} s late"
        return refused(order, OrderRefusal.UNDECIDED, why, now)
    if order.declines >= DECLINES_MAX:
        why = f"the platform answered {order.declines} POSTs with an error, and lists no new job"
        return refused(order, OrderRefusal.UNDECIDED, why, now)
    return replace(order, step=OrderStep.INTENDED, since=now, due_at=now + _pause(order))


def look_again(order: Order, silence: timedelta, now: datetime) -> Order:
    """Return a POSTING order after a look that allows no conclusion."""
    return replace(order, due_at=now + _until_next_look(order, silence))


def _is_since(row: Observation, order: Order) -> bool:
    return row.created_at is None or row.created_at >= order.not_before


def _is_under_way(row: Observation) -> bool:
    return not row.status.is_final and row.status not in _ENDING


def _is_adoptable(row: Observation, adopt: Adopt) -> bool:
    if not row.word:  # nothing is told of it, so that it may be gone
        return False
    match adopt:
        case "never":
            return False
        case "active":
            return _is_under_way(row)
        case "since":
            return row.status not in (*_ENDING, Status.VANISHED)


def _pause(order: Order) -> timedelta:
    return RETRY.delay(max(1, order.tries), spread(f"{order.id}#{order.tries}"))


def _until_next_look(order: Order, silence: timedelta) -> timedelta:
    looks = max(1, int(silence / _LOOK.first)).bit_length()
    return _LOOK.delay(looks, spread(order.id))
