"""What exports exist since one failed: the look before and after a submission."""

from dataclasses import dataclass
from datetime import datetime

from segwatch.daemon.clock import Clock
from segwatch.daemon.source import Source
from segwatch.jobs.model import JobState, Missing, Observation
from segwatch.jobs.reading import CREATION_OVERLAP
from segwatch.jobs.resubmission import Resubmission
from segwatch.kinds.base import Request

_PAGES_MAX = 20


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

    async def look(self, answer: Resubmission, failed: JobState) -> Look:
        """Return all exports since `failed` was created. Raises Inconclusive."""
        asked_at = self._clock.now()
        rows: dict[str, Observation] = {}
        horizon = failed.born_at - CREATION_OVERLAP
        request: Request | None = self._source.kind.list_newest(limit=self._source.kind.page_size)
        for _ in range(_PAGES_MAX):
            if request is None:
                break
            page = await self._source.page(request)
            if page.unreadable:
                raise Inconclusive("the list holds rows that cannot be read")
            fresh = {row.key.id: row for row in page.rows if row.key.id not in rows}
            rows |= fresh
            if not fresh or any((row.created_at or asked_at) < horizon for row in fresh.values()):
                break
            request = page.next
        else:
            raise Inconclusive(f"more than {_PAGES_MAX} pages of exports were created since")
        return Look(rows=tuple([await self._whole(row, answer, failed) for row in rows.values()]), asked_at=asked_at)

    async def _whole(self, row: Observation, answer: Resubmission, failed: JobState) -> Observation:
        """Return the row, or its record where the row tells too little to be compared (AEP contract 13, no. 29)."""
        could_be_equal = row.facts.dataset in ("", failed.facts.dataset) and len(row.facts.request) < len(
            answer.request
        )
        is_newer = row.created_at is None or row.created_at >= failed.born_at
        if row.facts.fingerprint == answer.fingerprint or not (could_be_equal and is_newer):
            return row
        record = await self._source.one(row.key.id)
        return row if isinstance(record, Missing) else record
