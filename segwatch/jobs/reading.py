"""How to learn of every change with few calls: what the next sweep over a stream asks for."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

from segwatch.jobs.model import JobState, Observation

OVERLAP = timedelta(seconds=3)  # `updateTime` may come in whole seconds (AEP contract 3.3), and rows of one second tie
_CLOCKS_APART = timedelta(hours=2)  # far more than the platform's clock and ours differ
_FORGOTTEN_ABOUT = timedelta(minutes=30)  # half of what jobs are kept beyond the time that a list may show them
CREATION_OVERLAP = timedelta(seconds=60)  # a record may show up in the list later than its creation time says
PAGE_LEAST = 50  # rows to ask for where few are needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the reader of one stream has come.

    began_at: when segwatch first began to watch it, by our clock until the first sweep is complete, and by the
    platform's from then on. watermark: the newest change that is wholly recorded, by the platform's clock. frontier:
    likewise, the newest creation. swept_at: our clock at the last complete sweep; None before the first. listed_at: the
    same by the platform's clock; not on disk, so None until this process has completed a sweep. forgotten_before: jobs
    that did not change since then, by our clock, may have been deleted from the store; None while none ever was.
    """

    sandbox: str
    kind: str
    began_at: datetime | None = None
    watermark: datetime | None = None
    frontier: datetime | None = None
    swept_at: datetime | None = None
    listed_at: datetime | None = None
    forgotten_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One sweep.

    until: list pages are read until a row's time lies before this; by change or by creation, as the list is ordered.
    at_least: pages to read even so. limit: rows to ask for on a page. reread: jobs to ask for by id, unless a page
    shows them.
    """

    until: datetime
    at_least: int
    limit: int
    reread: tuple[str, ...]


def plan_changes(
    position: Position,
    active: Iterable[JobState],
    now: datetime,
    *,
    lookback: timedelta,
    reread_after: timedelta,
    bulk: int,
    page: int,
    behind: timedelta = OVERLAP,
) -> Plan:
    """Return the sweep of a list whose order is by last change: it costs what changed, not what is active.

    bulk: how many ids one bulk call may carry; the active jobs that were not shown for longest get one such call.
    behind: how far behind the watermark to read; more, now and then, for rows that a list shows late.
    """
    # a job that was not there is asked for in every sweep, until it is there or gone for good
    stale = sorted(
        (job for job in active if job.misses or now - job.asked_at >= reread_after),
        key=lambda job: (not job.misses, job.asked_at),
    )
    return Plan(
        until=min(position.watermark, now) - behind if position.watermark else now - lookback,
        at_least=1,
        limit=page,
        reread=tuple(job.key.id for job in stale[:bulk]),
    )


def plan_newest(
    position: Position,
    active: Iterable[JobState],
    created: Sequence[datetime],
    now: datetime,
    *,
    lookback: timedelta,
    page: int,
    behind: timedelta = CREATION_OVERLAP,
) -> Plan:
    """Return the sweep of a list whose order is by creation: head pages, and single calls for jobs that lie deeper.

    created: creation times of every job known in this stream, ascending; they tell how deep an active job lies.
    behind: how far behind the frontier to read; more, now and then, for rows that a list shows late.
    page: the most rows that a page may have. A call costs the same whatever it brings, but rows cost time on both
    sides: where one page is enough, it is asked for no more rows than are needed.
    """
    until = min(position.frontier, now) - behind if position.frontier else now - lookback
    recent = len(created) - bisect_left(created, until)
    # those created since the last sweep push all others down; they are taken to come as those before them came
    unheard = max(timedelta(), min(behind, now - position.swept_at)) if position.swept_at else timedelta()
    new = ceil(recent * (unheard / behind))
    ranks = {job.key.id: new + len(created) - bisect_left(created, job.born_at) - 1 for job in active}
    depth = choose_depth(ranks.values(), page)
    limit = page
    if depth == 1 and position.frontier:
        deepest = max((rank for rank in ranks.values() if rank < page), default=0)
        limit = min(page, max(PAGE_LEAST, 1 + deepest, 1 + recent + new))
    return Plan(until=until, at_least=depth, limit=limit, reread=tuple(ranks))


def choose_depth(ranks: Iterable[int], page: int) -> int:
    """Return how many head pages to read so that pages plus single calls for deeper jobs are fewest; at least one.

    ranks: for each active job, how many records come before it.
    """
    depths = sorted(max(0, rank) // page + 1 for rank in ranks)
    best, fewest = 1, 1 + sum(depth > 1 for depth in depths)
    for index, depth in enumerate(depths):
        if depth + len(depths) - index - 1 < fewest:
            best, fewest = depth, depth + len(depths) - index - 1
    return best


def in_order_of_change(rows: Sequence[Observation], before: datetime | None = None) -> bool:
    """True when no row is newer than the one before it: that the list sorts so is documented nowhere.

    before: the time of the previous page's last row. A row that changed while we paged moves up, never down.
    """
    times = [row.updated_at for row in rows if row.updated_at]
    if before is not None:
        times.insert(0, before)
    return all(later <= earlier for earlier, later in pairwise(times))


def reaches(rows: Sequence[Observation], until: datetime, *, by_change: bool) -> bool:
    """True when the page goes back before `until`, so that older pages can tell nothing new."""
    times = [row.updated_at if by_change else row.created_at for row in rows]
    return any(time is not None and time < until for time in times)


def is_news(row: Observation, position: Position, behind: timedelta = timedelta()) -> bool:
    """True for a job, unknown so far, that had not ended when we began to watch.

    Those that had show up too, at the first start and when a sweep reads deeper than before; they are history. Where a
    row stands in its list says nothing: the platform may list a job long after others that ended later. Nothing ends
    before it is created, whatever its other times say: they contradict each other (AEP contract 4.6).
    behind: by how much the platform's clock is behind ours.
    """
    changed = row.ended_at or row.updated_at
    if changed is None and position.swept_at is not None:
        return True
    ended = max([time for time in (changed, row.created_at) if time], default=None)
    if ended is None:
        return False
    # no later than now, or our clock was set back since
    began_at = min(_by_the_platform(position, behind) or row.asked_at, row.asked_at - behind)
    if position.swept_at is None or position.watermark is position.frontier is None:
        # no sweep has shown anything yet, perhaps since several starts: what ended meanwhile ended before our eyes
        return ended >= began_at
    was_recorded = ended <= (position.watermark or position.swept_at)
    if was_recorded and position.forgotten_before and ended < position.forgotten_before + _FORGOTTEN_ABOUT:
        return False  # it has been deleted from the store since
    # what had ended by then is known since the first sweep, so nothing need be hidden for clocks that differ
    return ended >= began_at - _CLOCKS_APART


def missed_at(position: Position, row: Observation, behind: timedelta) -> datetime | None:
    """Return when the last sweep did not show this job, by the platform's clock; None where that cannot be told.

    Of a sweep of another process that is told by our clock: one that lies ahead was noted by a clock that was wrong.
    """
    if position.listed_at or position.swept_at is None or position.swept_at > row.asked_at:
        return position.listed_at
    return position.swept_at - behind


def advanced(
    position: Position, rows: Iterable[Observation], at: datetime, *, there: datetime | None = None
) -> Position:
    """Return the position after a complete sweep at `at` (our clock) whose list showed `rows`.

    there: the same time by the platform's clock, as well as it is known. Rows that were asked for by their ids do not
    belong to them: what changed before them may still be unseen.
    """
    rows = list(rows)
    there = there or at
    # a time that lies ahead may be a mistake, and a mark there would hide what changes until then
    changes = [row.updated_at for row in rows if row.updated_at and row.updated_at <= at]
    creations = [row.created_at for row in rows if row.created_at and row.created_at <= at]
    return replace(
        position,
        began_at=_by_the_platform(position, at - there),
        watermark=max([*changes, *([position.watermark] if position.watermark else [])], default=None),
        frontier=max([*creations, *([position.frontier] if position.frontier else [])], default=None),
        swept_at=at,
        listed_at=there,
    )


def _by_the_platform(position: Position, behind: timedelta) -> datetime | None:
    """Return when we began to watch, by the platform's clock."""
    is_ours = position.swept_at is None
    return position.began_at - behind if position.began_at and is_ours else position.began_at
