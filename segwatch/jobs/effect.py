"""Which job can be the effect of an order's POST, by what was there before it and by the platform's clock."""

from collections.abc import Callable, Iterable

from segwatch.jobs import proof
from segwatch.jobs.model import Observation
from segwatch.jobs.order import Order

Same = Callable[[Observation, Order], bool | None]
"""Whether the job is what the order asks for; None when what is told of it does not tell."""


def earliest(order: Order, listed: Iterable[Observation], claimed: frozenset[str], same: Same) -> Observation | None:
    """Return the job that an earlier POST of this order brought about, whatever has become of it since."""
    fit = [row for row in listed if same(row, order) and is_free(row, order, claimed) and _is_in_time(row, order)]
    return min(fit, key=lambda row: (row.created_at or row.asked_at, row.key.id), default=None)


def _is_in_time(row: Observation, order: Order) -> bool:
    """True for what was created about when the last POST was made; of what tells no time, after any POST."""
    posted_at = order.posted_there
    if posted_at is None or row.created_at is None:
        return posted_at is not None
    return -proof.CLOCKS_APART <= row.created_at - posted_at <= proof.REACH


def is_out_of_time(row: Observation, order: Order, claimed: frozenset[str], same: Same) -> bool:
    """True where nothing but its time says that a job is not our POST's effect, though it came after all we had seen.

    A platform that tells no dates has a clock of which we know nothing.
    """
    posted_at = order.posted_there
    if posted_at is None or row.created_at is None or _is_in_time(row, order):
        return False
    can_be = is_younger_than_all(row, order) and abs(row.created_at - posted_at) <= proof.CLOCKS_EVER_APART
    return can_be and bool(same(row, order)) and is_free(row, order, claimed)


def is_younger_than_all(row: Observation, order: Order) -> bool:
    """True for a job that was created after every one that the look before the POST saw, by one and the same clock."""
    return row.created_at is not None and (order.newest is None or row.created_at > order.newest)


def is_free(row: Observation, order: Order, claimed: frozenset[str]) -> bool:
    """True unless the job was there before our POST, or comes of another one, or of a schedule: then it is not ours."""
    scheduled = row.facts.source == "scheduler" or bool(row.facts.schedule_id)
    return not scheduled and row.key.id not in claimed and row.key.id not in order.known


def doubt_about(reply: Observation, order: Order, same: Same) -> str:
    """Return why this cannot be the job that the POST brought about; "" when it can."""
    posted_at = order.posted_there or order.since
    if reply.key.id in order.known:
        return "it was there before"
    too_old = reply.created_at is not None and reply.created_at < posted_at - proof.CLOCKS_APART
    if too_old and not is_younger_than_all(reply, order):
        return "it was created before"
    return "it is another one" if same(reply, order) is False else ""
