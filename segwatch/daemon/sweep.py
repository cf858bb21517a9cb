"""One sweep over a stream: the calls that it takes, and what they showed."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from segwatch.daemon.recorder import Recorder
from segwatch.daemon.source import Source
from segwatch.jobs import reading
from segwatch.jobs.model import Missing, Observation
from segwatch.jobs.reading import Plan, Position
from segwatch.kinds.base import Request

_PAGES_MAX = 500  # a list that goes on for longer is taken for endless
BULK = 100  # ids in one bulk call: what one page of the kind that has such a call holds


class Sweep:
    """Records what it finds page by page, so that a call that fails late loses nothing that came early.

    rows: what it has seen, by job id. surprises: changes that the list by last change should have shown before.
    listed: the rows that the list showed, newest first; only these say how far it was read, since a job asked for by
    its id, later, may show a change that is newer than others which nobody saw.
    complete: the list was read as far as planned, or to what looks like its end.
    page_given: how many rows the list's first page had, where these were fewer than asked for and not all.
    """

    def __init__(self, source: Source, recorder: Recorder, position: Position, beat: Callable[[], None]) -> None:
        self._source = source
        self._kind = source.kind
        self._recorder = recorder
        self._position = position
        self._beat = beat
        self.rows: dict[str, Observation] = {}
        self.listed: list[Observation] = []
        self.surprises = 0
        self.page_given: int | None = None
        self.complete = False

    async def newest(self, plan: Plan) -> bool:
        """Read the list, newest first, as far as planned; False when it does not keep the order that the plan needs."""
        by_change, ordered, last = self._kind.changes_first, True, None
        request: Request | None = self._kind.list_newest(limit=plan.limit)
        for number in range(1, _PAGES_MAX + 1):
            if request is None:
                break
            page = await self._source.page(request)
            given = len(page.rows) + page.unreadable
            if number == 1 and page.next and given < plan.limit:
                self.page_given = given
            fresh = self._fresh(page.rows)
            ordered = ordered and (not by_change or reading.in_order_of_change(fresh, last))
            last = next((row.updated_at for row in reversed(fresh) if row.updated_at), last)
            await self._record(fresh)
            self.listed += fresh
            if number >= plan.at_least and reading.reaches(fresh, plan.until, by_change=by_change):
                self.complete = True
                break
            # a page without a new row ends an endless list; one of unreadable rows only does not end a good one
            if not (fresh or page.unreadable) and page.next:
                break
            request = page.next
            # a full page, or none at all where there was something, may well be an answer whose rest was lost
            self.complete = request is None and given < plan.limit and bool(self.rows or not self._expects(plan.until))
        return ordered

    async def active_lists(self) -> None:
        """Read the lists by active status, where the API has such."""
        for first in self._kind.list_active(limit=self._kind.page_size):
            request: Request | None = first
            for _ in range(_PAGES_MAX):
                if request is None:
                    break
                page = await self._source.page(request)
                fresh = self._fresh(page.rows)
                self._note_surprises(fresh)
                await self._record(fresh)
                if not (fresh or page.unreadable):
                    break
                request = page.next

    async def by_id(self, ids: Iterable[str]) -> None:
        """Ask for these jobs, unless a page has shown them: in bulk where the API can, the rest one by one."""
        wanted = [job_id for job_id in ids if job_id not in self.rows]
        for start in range(0, len(wanted), BULK):
            page = await self._source.bulk(wanted[start : start + BULK])
            if page is None:
                break
            self._note_surprises(page.rows)
            await self._record(page.rows, listed=False)

        async def one(job_id: str) -> Observation | Missing:
            try:
                return await self._source.one(job_id)
            finally:
                self._beat()  # also when it failed: many calls that time out, a few at once, take long together

        alone = [job_id for job_id in wanted if job_id not in self.rows]
        results = await asyncio.gather(*map(one, alone), return_exceptions=True)
        await self._record([found for found in results if isinstance(found, Observation | Missing)], listed=False)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _expects(self, since: datetime) -> bool:
        created = self._recorder.created(self._kind.name)
        return bool(created) and created[-1] >= since

    def _fresh(self, rows: Sequence[Observation]) -> list[Observation]:
        return [row for row in rows if row.key.id not in self.rows]

    def _note_surprises(self, rows: Iterable[Observation]) -> None:
        mark = self._position.watermark
        for row in rows:
            known = self._recorder.job(row.key)
            changed = known is None or (known.is_active and known.status is not row.status)
            if changed and mark and row.updated_at and row.updated_at < mark - reading.OVERLAP:
                self.surprises += 1

    async def _record(self, seen: Sequence[Observation | Missing], *, listed: bool = True) -> None:
        self._beat()
        behind = self._source.clock_behind
        await self._recorder.record(self._kind.name, seen, self._position, listed=listed, behind=behind)
        self.rows |= {row.key.id: row for row in seen if isinstance(row, Observation)}
