"""The newest pages of a list, as far back as somebody needs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from segwatch.daemon.source import Source
from segwatch.jobs.model import Missing, Observation
from segwatch.kinds.base import Page, Request
from segwatch.upstream.errors import Fate, RateLimited, UpstreamError

_PAGES_MAX = 20
_NO_CREDENTIALS = 401


class Inconclusive(Exception):
    """The list is longer than we read, or holds rows that we cannot read: what was not seen allows no conclusion."""


class TooLittle(Inconclusive):
    """What the platform tells, of one job or behind the first page of a list, decides nothing, for now.

    It may tell more, so that it is asked for longer than where it tells what cannot be read. rows: what a list showed
    all the same, by id: what is there is there, whatever it does not show.
    """

    def __init__(self, why: str, *, rows: Mapping[str, Observation] | None = None) -> None:
        super().__init__(why)
        self.rows = dict(rows or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Rows by id. goes_back: one of them is older than the horizon; else the list ended before."""

    rows: dict[str, Observation]
    goes_back: bool


async def listed(
    source: Source, beat: Callable[[], None], *, horizon: datetime | None, anchor: str = "", pages_max: int = _PAGES_MAX
) -> Listing:
    """Return what the list shows of jobs that were created at or after `horizon`, and maybe of older ones.

    anchor: without a horizon, the job back to which the list is read. Raises Inconclusive, UpstreamError; TooLittle
    where the platform fails at a page behind the first, since the list itself is there.
    """
    rows: dict[str, Observation] = {}
    request: Request | None = source.kind.list_newest(limit=source.kind.page_size)
    by_change = source.kind.changes_first
    for number in range(1, pages_max + 1):
        if request is None:
            break
        try:
            page = await source.page(request)
        except UpstreamError as error:
            if number == 1 or not _fails_at_this(error):
                raise
            why = f"the platform fails at page {number} of its list, though not at the first: {error}"
            raise TooLittle(why, rows=rows) from error
        beat()
        if _hides_something(page, horizon):
            raise Inconclusive("the list holds rows that cannot be read")
        fresh = {row.key.id: row for row in page.rows if row.key.id not in rows}
        rows |= fresh
        if not fresh or _goes_back(page, horizon, by_change=by_change) or (horizon is None and anchor in rows):
            break
        request = page.next
    else:
        raise Inconclusive(f"more than {pages_max} pages of {source.kind.name}s were created since")
    return Listing(rows=rows, goes_back=any(is_before(row, horizon) for row in rows.values()))


def is_before(row: Observation, horizon: datetime | None) -> bool:
    """True for a job that surely was created before the horizon."""
    return row.created_at is not None and horizon is not None and row.created_at < horizon


def _hides_something(page: Page, horizon: datetime | None) -> bool:
    """True when a row that cannot be read may be younger than the horizon.

    It is older when its time says so, or when a row above it is older and none below it is younger.
    """
    if page.unreadable > len(page.gaps):
        return True
    for gap in page.gaps:
        if gap.created_at is not None and horizon is not None and gap.created_at < horizon:
            continue
        above, below = page.rows[: gap.after], page.rows[gap.after :]
        passed = any(is_before(row, horizon) for row in above)
        if not passed or not all(is_before(row, horizon) for row in below):
            return True
    return False


def _goes_back(page: Page, horizon: datetime | None, *, by_change: bool) -> bool:
    """True when the page ends before the horizon; a row of odd age further up says nothing about those below it.

    by_change: the list comes by the last change, before which a job was created.
    """
    timed = [row for row in page.rows if row.created_at is not None]
    if not timed or not is_before(timed[-1], horizon):
        return False
    changed_at = timed[-1].updated_at
    return not by_change or changed_at is None or (horizon is not None and changed_at < horizon)


async def told_of(source: Source, job_id: str) -> Observation | Missing | None:
    """Return what is told of a job by its id; None where the platform fails at this record, mumbles, or refuses it.

    Raises UpstreamError where nothing was said of this one: no connection, no place in the budget, no credentials.
    """
    try:
        return await source.one(job_id)
    except UpstreamError as error:
        if not _fails_at_this(error):
            raise
        return None


def _fails_at_this(error: UpstreamError) -> bool:
    """True unless nothing was said of what was asked for: no connection, no place in the budget, no credentials."""
    return not (error.fate is Fate.NOT_SENT or isinstance(error, RateLimited) or error.status == _NO_CREDENTIALS)
