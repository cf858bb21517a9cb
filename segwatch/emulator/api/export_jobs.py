"""The export jobs' routes. AEP contract 4."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import islice
from urllib.parse import quote, urlencode

from aiohttp import web

from segwatch.emulator.api.export_request import export_request
from segwatch.emulator.api.export_rows import export_row
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.paging import link_base, whole_number
from segwatch.emulator.bodies import json_body
from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.envelopes import ServiceError, answer, ups_error_body
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import JobBook, Sandbox, World


class ExportJobs:
    """POST, GET and DELETE of export jobs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        jobs = "/data/core/ups/export/jobs"
        return [
            web.post(jobs, self._create),
            web.get(jobs, self._list, allow_head=False),
            web.get(f"{jobs}/{{id}}", self._get, allow_head=False),
            web.delete(f"{jobs}/{{id}}", self._cancel),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        caller = request[CALLER]
        body = await json_body(request)
        asked = export_request(body, caller.sandbox)
        job = self._world.submit(Kind.EXPORT_JOB, caller.sandbox, caller.org, asked, body=body)
        return answer(export_row(self._world, job), headers={"X-Location": f"/export/jobs/{job.id}"})

    async def _list(self, request: web.Request) -> web.Response:
        caller, world = request[CALLER], self._world
        limit = min(1000, whole_number(request, "limit", default=10, least=1))
        status = request.query.get("status", "")
        jobs, repeated = self._from_offset(request, caller.sandbox.books[Kind.EXPORT_JOB])
        if Quirk.ERROR_ENVELOPE_200 in world.quirks:
            return answer(ups_error_body(500, "Something went wrong.", caller.request_id))
        selected = (job for job in jobs if not status or job.status == status)
        # one row more than the page holds tells whether another page follows
        rows = list(islice(selected, repeated + limit + 1))
        rows, more = rows[: repeated + limit], len(rows) > repeated + limit
        return answer(self._page(request, rows, limit=limit, more=more))

    def _from_offset(self, request: web.Request, book: JobBook) -> tuple[Iterable[Job], int]:
        """Return the jobs from the offset on, newest first, and how many of them the last page also had."""
        offset = request.query.get("offset", "")
        token_ms, _, token_id = offset.partition("_")
        if not token_id:
            skipped = whole_number(request, "offset", default=0)
            return islice(reversed(book.created.values()), skipped, None), 0
        if not (token_ms.isdecimal() and token_id.isdecimal() and len(token_id) < 19):
            raise ServiceError(400, f"offset is {offset!r}: send back the token of link.next")
        ids = [int(job_id) for job_id in book.created]
        shifting = Quirk.SHIFTING_ROWS in self._world.quirks
        end = bisect_right(ids, int(token_id)) if shifting else bisect_left(ids, int(token_id))
        return (book.created[ids[place]] for place in range(end - 1, -1, -1)), int(shifting)

    def _page(self, request: web.Request, rows: list[Job], *, limit: int, more: bool) -> Json:
        quirks = frozenset(self._world.quirks)
        token = f"{rows[-1].created_ms}_{rows[-1].id}" if rows else ""
        page: Json = {
            "records": [export_row(self._world, job) for job in rows],
            "page": {"sortField": "createdTime", "sort": "desc", "pageOffset": token, "pageSize": len(rows)},
        }
        if Quirk.NO_LINKS not in quirks:
            page["link"] = {"next": ""}
        if more and Quirk.NO_LINKS not in quirks:
            kept = [("status", request.query["status"])] if request.query.get("status") else []
            query = urlencode([("limit", limit), *kept, ("offset", token)], quote_via=quote)
            base = link_base(request, quirks).removeprefix("@")
            page["link"]["next"] = f"{base}/export/jobs/?{query}"
        return page

    async def _get(self, request: web.Request) -> web.Response:
        caller = request[CALLER]
        job = self._known(request, caller.sandbox)
        if Quirk.ERROR_ENVELOPE_200 in self._world.quirks:
            return answer(ups_error_body(500, "Something went wrong.", caller.request_id))
        return answer(export_row(self._world, job))

    async def _cancel(self, request: web.Request) -> web.Response:
        self._world.cancel(self._known(request, request[CALLER].sandbox))
        return answer({"status": True, "message": "Export job has been marked for cancelling"})

    def _known(self, request: web.Request, sandbox: Sandbox) -> Job:
        job_id = request.match_info["id"]
        job = self._world.find_in(sandbox, Kind.EXPORT_JOB, job_id)
        if job is None:
            raise ServiceError(404, f"No export job with id '{job_id}' in sandbox '{sandbox.name}'")
        return job
