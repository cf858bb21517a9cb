"""Export jobs: audiences written to datasets (AEP contract 4)."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import msgspec

from segwatch.jobs.model import JobError, Status
from segwatch.kinds.base import Request
from segwatch.kinds.export_order import dataset_of, segments_of
from segwatch.kinds.fields import errors_of, identity, in_its_life, instant, items, mapping, text, truth
from segwatch.kinds.replies import item_path
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.export_body import ExportBody
from segwatch.upstream.paging import nobody, pages
from segwatch.upstream.records import (
    Span,
    checked_id,
    compute_ids_of,
    count_of,
    counters_of,
    id_of,
    record,
    span_of,
)

PATH = "/data/core/ups/export/jobs"

_ONE = f"{PATH}/{{id}}"
_FILTERS = frozenset({Status.NEW, Status.SUCCEEDED, Status.FAILED})  # no other is documented (AEP contract 4.7)


class ExportBatch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch that an export writes. segment_id, namespace, statuses: of an export with a batch for each segment."""

    batch_id: str
    segment_id: str = ""
    namespace: str = ""
    statuses: tuple[str, ...] = ()


class ExportMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What an export counted. exported: profiles. writing: the phase that only the older platform tells."""

    total: Span | None = None
    exporting: Span | None = None
    writing: Span | None = None
    exported: int | None = None
    exported_by_namespace: dict[str, int] = {}


class ExportJob(msgspec.Struct, frozen=True, kw_only=True):
    """One export.

    word: the status as the platform writes it. segments: the ids it is limited to, none for every profile.
    filter, fields, merge_policy, additional_fields: the order as the platform repeats it; it may leave out any part.
    errors: also one that succeeded may have some, and its status decides. raw: the record as it came.
    """

    id: str
    status: Status = Status.UNKNOWN
    word: str = ""
    job_type: str = ""
    dataset: str = ""
    per_batch: bool = False
    batches: tuple[ExportBatch, ...] = ()
    segments: tuple[str, ...] = ()
    metrics: ExportMetrics = ExportMetrics()
    errors: tuple[JobError, ...] = ()
    fields: str = ""
    merge_policy: dict[str, Any] = {}
    filter: dict[str, Any] = {}
    additional_fields: dict[str, Any] = {}
    schema: str = ""
    compute_ids: dict[str, str] = {}
    request_id: str = ""
    org_id: str = ""
    profile_instance_id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: dict[str, Any] = {}

    @property
    def ended_at(self) -> datetime | None:
        """Return when the job ended; None while it has not, or where nothing tells (AEP contract 13, row 14)."""
        if not self.status.is_final:
            return None
        ended_at = in_its_life(self.metrics.total.ended_at if self.metrics.total else None, self.created_at)
        return ended_at or in_its_life(self.updated_at, self.created_at)


def create_request(body: ExportBody) -> Request:
    """Return the POST that orders the export. Raises NotSendable as `ExportBody.document` does."""
    return Request(method="POST", path=PATH, endpoint=PATH, body=body.document())


async def list_(
    client: PlatformClient, *, status: Status | None = None, limit: int = 100, most: int | None = None,
    on_unreadable: Callable[[int], None] = nobody,
) -> AsyncIterator[ExportJob]:  # fmt: skip
    """Yield exports, the newest first. Raises UpstreamError.

    status: the platform filters by NEW, SUCCEEDED and FAILED alone; for any other one all exports are read, and
    filtered here. limit: rows on a page. most: rows in all. on_unreadable: is told of rows that are left out.
    """
    asked = (("status", status.value),) if status in _FILTERS else ()
    request = Request(method="GET", path=PATH, endpoint=PATH, params=(*asked, ("limit", str(limit))))
    rows = pages(client, request, rows_at="records", read=read, key=lambda job: job.id, on_unreadable=on_unreadable)
    left = most
    if left == 0:
        return
    async for job in rows:
        if status in (None, job.status):
            yield job
            if left is not None and (left := left - 1) == 0:
                return


async def get(client: PlatformClient, id_: str) -> ExportJob:
    """Return one export. Raises UpstreamError, NotFound among them."""
    request = Request(method="GET", path=item_path(PATH, checked_id(id_, "An export")), endpoint=_ONE)
    return await record(client, request, read)


async def create(client: PlatformClient, body: ExportBody) -> ExportJob:
    """Send one order, once; on `Fate.LOST` look before you call again. Raises UpstreamError, NotSendable."""
    return await record(client, create_request(body), read)


async def cancel(client: PlatformClient, id_: str) -> None:
    """Ask the platform to cancel an export; how it ends is documented nowhere. Raises UpstreamError."""
    await client.call(Request(method="DELETE", path=item_path(PATH, checked_id(id_, "An export")), endpoint=_ONE))


def read(record: dict[str, Any], fallback_id: str = "") -> ExportJob:
    """Return the export that a record tells (AEP contract 4.3). Raises UnreadableRow for one without an id."""
    destination, schema = mapping(record.get("destination")), record.get("schema")
    word = text(record.get("status"))
    return ExportJob(
        id=id_of(record, fallback_id),
        status=Status.of(word),
        word=word,
        job_type=text(record.get("jobType")),
        dataset=dataset_of(record),
        per_batch=truth(destination.get("segmentPerBatch")),
        batches=_batches(destination),
        segments=segments_of(record),
        metrics=_metrics(mapping(record.get("metrics"))),
        errors=errors_of(record.get("errors")),
        fields=text(record.get("fields")),
        merge_policy=mapping(record.get("mergePolicy")),
        filter=mapping(record.get("filter")),
        additional_fields=mapping(record.get("additionalFields")),
        schema=text(schema.get("name") if isinstance(schema, dict) else schema),
        compute_ids=compute_ids_of(record.get("computeGatewayJobId")),
        request_id=text(record.get("requestId")),
        org_id=text(record.get("imsOrgId")),
        profile_instance_id=text(record.get("profileInstanceId")),
        created_at=instant(record.get("creationTime")),
        updated_at=instant(record.get("updateTime")),
        raw=record,
    )


def _batches(destination: dict[str, Any]) -> tuple[ExportBatch, ...]:
    """Return the batches, each once: those of `batches`, and a `batchId` beside or in place of them.

    An empty id is none, as on an export that failed (AEP contract 4.5).
    """
    single = ExportBatch(batch_id=identity(destination.get("batchId")))
    several = (
        ExportBatch(
            batch_id=identity(entry.get("batchId")),
            segment_id=identity(entry.get("segmentId")),
            namespace=text(entry.get("segmentNs")),
            statuses=tuple(word for one in items(entry.get("status")) if (word := text(one))),
        )
        for entry in map(mapping, items(destination.get("batches")))
    )
    found: dict[str, ExportBatch] = {}
    for one in (*several, single):
        if one.batch_id:
            found.setdefault(one.batch_id, one)
    return tuple(found.values())


def _metrics(told: dict[str, Any]) -> ExportMetrics:
    return ExportMetrics(
        total=span_of(told.get("totalTime")),
        exporting=span_of(told.get("profileExportTime")),
        writing=span_of(told.get("aCPDatasetWriteTime")),
        exported=count_of(told.get("totalExportedProfileCounter")),
        exported_by_namespace=counters_of(told.get("exportedProfileByNamespaceCounter")),
    )
