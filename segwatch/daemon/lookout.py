"""What exports exist since one failed: the look before and after a submission."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from segwatch.daemon.clock import Clock
from segwatch.daemon.source import Source
from segwatch.jobs import retry
from segwatch.jobs.model import JobState, Missing, Observation
from segwatch.jobs.reading import CREATION_OVERLAP
from segwatch.jobs.resubmission import Resubmission
from segwatch.kinds.base import Page, Request

_PAGES_MAX = 20
_RECORDS_MAX = 100  # read one by one in one look
_REMEMBERED_MAX = 2000
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Inconclusive(Exception):
    """The list is longer than we read, or holds rows that we cannot read: what was not seen allows no conclusion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Every export created since the failed one, as the platform lists them. asked_at: before the first page."""

    rows: tuple[Observation, ...]
    asked_at: datetime


class Lookout:
    """Reads the list back to the failed job. Every call may raise UpstreamError."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._records: dict[str, Observation] = {}  # what an export was told to do never changes

    async def look(self, answer: Resubmission, failed: JobState, beat: Callable[[], None]) -> Look:
        """Return all exports since `failed` was created. Raises Inconclusive.

        The list must go back to the failed job, or beyond it: one that ends before says nothing about what it left out.
        """
        asked_at = self._clock.now()
        rows: dict[str, Observation] = {}
        horizon = _horizon(failed)
        request: Request | None = self._source.kind.list_newest(limit=self._source.kind.page_size)
        for _ in range(_PAGES_MAX):
            if request is None:
                break
            page = await self._source.page(request)
            beat()
            if _hides_something(page, horizon):
                raise Inconclusive("the list holds rows that cannot be read")
            fresh = {row.key.id: row for row in page.rows if row.key.id not in rows}
            rows |= fresh
            if not fresh or _goes_back(page, horizon) or (horizon is None and failed.key.id in rows):
                break
            request = page.next
        else:
            raise Inconclusive(f"more than {_PAGES_MAX} pages of exports were created since")
        if failed.key.id not in rows and not any(_is_before(row, horizon) for row in rows.values()):
            raise Inconclusive("the list does not go back to the failed export")
        doubtful = [row for row in rows.values() if _tells_too_little(row, answer, failed)]
        if len(doubtful) > _RECORDS_MAX:
            raise Inconclusive(f"{len(doubtful)} exports were created since of which the list tells too little")
        for row in doubtful:
            rows[row.key.id] = await self._whole(row)
            beat()
        return Look(rows=tuple(rows.values()), asked_at=asked_at)

    async def _whole(self, row: Observation) -> Observation:
        """Return the row with what its record tells (AEP contract 13, no. 29)."""
        if row.key.id not in self._records:
            record = await self._source.one(row.key.id)
            if isinstance(record, Missing):
                return row
            if len(self._records) >= _REMEMBERED_MAX:
                self._records.clear()
            self._records[row.key.id] = record
        return replace(row, facts=self._records[row.key.id].facts)


def _tells_too_little(row: Observation, answer: Resubmission, failed: JobState) -> bool:
    """True for a row that could be equal if we knew its whole record."""
    could_be = row.facts.dataset in ("", failed.facts.dataset) and row.facts.fingerprint != answer.fingerprint
    since = retry.earliest(failed)
    is_newer = row.created_at is None or since is None or row.created_at >= since
    return could_be and is_newer and row.key != failed.key and len(row.facts.request) < len(answer.request)


def _horizon(failed: JobState) -> datetime | None:
    """Return how far back the list must be read; None for a failed job of unknown age: as far as to that job itself."""
    since = retry.earliest(failed)
    return since and max(since, _LONG_AGO) - CREATION_OVERLAP


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
        passed = any(_is_before(row, horizon) for row in above)
        if not passed or not all(_is_before(row, horizon) for row in below):
            return True
    return False


def _goes_back(page: Page, horizon: datetime | None) -> bool:
    """True when the page ends before the horizon; a row of odd age further up says nothing about those below it."""
    timed = [row for row in page.rows if row.created_at is not None]
    return bool(timed) and _is_before(timed[-1], horizon)


def _is_before(row: Observation, horizon: datetime | None) -> bool:
    return row.created_at is not None and horizon is not None and row.created_at < horizon
