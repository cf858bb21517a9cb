"""The segment jobs' routes. AEP contract 3."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.paging import UpsPage, matches, order
from segwatch.emulator.api.segment_rows import described, segment_row
from segwatch.emulator.bodies import json_body
from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.envelopes import ServiceError, answer, ups_error_body
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.seed import PROFILE_SCHEMA
from segwatch.emulator.settings import Json
from segwatch.emulator.world import ALL_SEGMENTS, JobBook, Sandbox, World

_ON_DEMAND_MAX = 20  # AEP contract 12
_SORTABLE = ("creationTime", "updateTime", "id", "status")


class SegmentJobs:
    """POST, GET, bulk-get and DELETE of segment jobs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        jobs = "/data/core/ups/segment/jobs"
        return [
            web.post(jobs, self._create),
            web.get(jobs, self._list, allow_head=False),
            web.post(f"{jobs}/bulk-get", self._bulk_get),
            web.get(f"{jobs}/{{id}}", self._get, allow_head=False),
            web.delete(f"{jobs}/{{id}}", self._cancel),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        caller = request[CALLER]
        body = await json_body(request)
        asked = segment_request(body, caller.sandbox)
        if not self._world.quota.take(caller.sandbox.name):
            raise ServiceError(429, "The evaluations that may be asked for in this sandbox today are used up")
        job = self._world.submit(Kind.SEGMENT_JOB, caller.sandbox, caller.org, asked, body=body)
        return answer(segment_row(self._world, job, created=True))

    async def _list(self, request: web.Request) -> web.Response:
        caller, world = request[CALLER], self._world
        page = UpsPage.asked(request, world.quirks)
        sort = ("creationTime", True)
        if Quirk.IGNORE_SORT not in world.quirks:
            sort = order(request, default="creationTime:desc", known=_SORTABLE)
        if Quirk.ERROR_ENVELOPE_200 in world.quirks:
            return answer(ups_error_body(500, "Something went wrong.", caller.request_id))
        book = caller.sandbox.books[Kind.SEGMENT_JOB]
        rows, total = self._selected(request, _in_order(book, *sort), len(book.created))
        children = [segment_row(world, job) for job in page.cut(rows)]
        return answer(page.document(request, "/segment/jobs", children, total))

    def _selected(self, request: web.Request, jobs: Iterable[Job], total: int) -> tuple[Iterable[Job], int]:
        """Return the jobs that the filters leave, and their number."""
        status = request.query.get("status", "")
        conditions = [condition for condition in request.query.getall("property", []) if condition]
        if not status and not conditions:
            return jobs, total
        if status:
            jobs = [job for job in jobs if job.status == status]
        if conditions:
            # metrics are dear, and hardly ever what somebody looks for
            row_of = segment_row if any(one.startswith("metrics.") for one in conditions) else described
            rows = ((job, row_of(self._world, job)) for job in jobs)
            jobs = [job for job, row in rows if all(matches(row, condition) for condition in conditions)]
        left = list(jobs)
        return left, len(left)

    async def _get(self, request: web.Request) -> web.Response:
        caller = request[CALLER]
        job = self._known(request, caller.sandbox)
        if Quirk.ERROR_ENVELOPE_200 in self._world.quirks:
            return answer(ups_error_body(500, "Something went wrong.", caller.request_id))
        return answer(segment_row(self._world, job))

    async def _bulk_get(self, request: web.Request) -> web.Response:
        sandbox = request[CALLER].sandbox
        results: Json = {}
        for job_id in asked_ids(await json_body(request)):
            job = self._world.find_in(sandbox, Kind.SEGMENT_JOB, job_id)
            if job is not None:
                results[job_id] = self._bulk_row(job)
        return answer({"results": results}, status=207)

    def _bulk_row(self, job: Job) -> Json:
        row = segment_row(self._world, job)
        if Quirk.PARTIAL_BULK_GET in self._world.quirks:
            return {name: row[name] for name in ("id", "status", "creationTime", "updateTime")}
        return row

    async def _cancel(self, request: web.Request) -> web.Response:
        self._world.cancel(self._known(request, request[CALLER].sandbox))
        return web.Response(status=204)

    def _known(self, request: web.Request, sandbox: Sandbox) -> Job:
        job_id = request.match_info["id"]
        job = self._world.find_in(sandbox, Kind.SEGMENT_JOB, job_id)
        if job is None:
            raise ServiceError(404, f"No segment job with id '{job_id}' in sandbox '{sandbox.name}'")
        return job


def _in_order(book: JobBook, attribute: str, downwards: bool) -> Iterable[Job]:
    """Return the jobs in that order; the two orders that callers poll by are kept ready."""
    match attribute:
        case "creationTime":
            return reversed(book.created.values()) if downwards else book.created.values()
        case "updateTime":
            return reversed(book.changed.values()) if downwards else book.changed.values()
        case "id":
            return sorted(book.created.values(), key=lambda job: str(job.id), reverse=downwards)
        case _:
            return sorted(book.created.values(), key=lambda job: job.status, reverse=downwards)


def segment_request(body: Any, sandbox: Sandbox, *, known_only: bool = True) -> Json:
    """Return what a create body asks for: `segments`, and `properties` of a scheduled run. AEP contract 3.2.

    known_only: refuse ids of definitions that do not exist, and more of them than are evaluated on demand.
    """
    entries = body.get("segments") if isinstance(body, dict) else body
    schema = body.get("schema") if isinstance(body, dict) else {"name": PROFILE_SCHEMA}
    if not isinstance(schema, dict) or not schema.get("name"):
        raise ServiceError(400, "schema.name is missing")
    if not isinstance(entries, list) or not entries:
        raise ServiceError(400, "At least one segment is needed: [{'segmentId': '...'}]")
    asked: Json = {"segments": [_segment_id(entry, sandbox, known_only) for entry in entries]}
    if ALL_SEGMENTS in asked["segments"]:
        asked["segments"] = [ALL_SEGMENTS]
    if known_only and len(entries := asked["segments"]) > _ON_DEMAND_MAX:
        raise ServiceError(400, f"{len(entries)} segments: write {_ON_DEMAND_MAX} or fewer in one job")
    if isinstance(body, dict) and isinstance(body.get("properties"), dict):
        asked["properties"] = body["properties"]
    return asked


def _segment_id(entry: Any, sandbox: Sandbox, known_only: bool) -> str:
    segment_id = entry.get("segmentId") if isinstance(entry, dict) else None
    if not isinstance(segment_id, str) or not segment_id:
        raise ServiceError(400, "segmentId is missing")
    if known_only and segment_id != ALL_SEGMENTS and segment_id not in sandbox.definitions:
        raise ServiceError(400, f"No segment definition with id '{segment_id}' in sandbox '{sandbox.name}'")
    return segment_id


def asked_ids(body: Any) -> list[str]:
    """Return the ids of a bulk-get, in any of the forms that callers post. AEP contract 3.8."""
    entries = body.get("ids") if isinstance(body, dict) else body
    if not isinstance(entries, list):
        raise ServiceError(400, "ids is missing: write {'ids': [{'id': '...'}]}")
    return [_job_id(entry) for entry in entries]


def _job_id(entry: Any) -> str:
    job_id = entry.get("id") if isinstance(entry, dict) else entry
    if not isinstance(job_id, str):
        raise ServiceError(400, f"ids holds {entry!r}: write {{'id': '...'}}")
    return job_id
