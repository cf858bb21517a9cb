"""Export jobs: audiences written to a dataset. Source: AEP contract 4."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from segwatch.jobs.model import Facts, Observation, Status
from segwatch.kinds.base import Asked, JobKind, Page, Request
from segwatch.kinds.export_order import (
    dataset_of,
    is_another,
    is_broad,
    may_be,
    order_of,
    same_but_filled_in,
    segments_of,
)
from segwatch.kinds.fields import identity, items, mapping, text, whole
from segwatch.kinds.replies import item_path, read_bulk, read_one, read_page, sighting

_PATH = "/data/core/ups/export/jobs"
_ONE = f"{_PATH}/{{id}}"


class ExportJob:
    """Implements JobKind. The API has no bulk call, no sort by change, and a status filter for three statuses only."""

    name = "export_job"
    path: tuple[Status, ...] = (Status.NEW, Status.PROCESSING)
    overdue_after = timedelta(minutes=120)
    changes_first = False
    resubmits = True
    page_size = 250
    page_most = 1000  # no limit is documented (AEP contract 4.7)

    def list_newest(self, *, limit: int) -> Request:
        """Return the call for the newest exports by creation, the only order there is (AEP contract 4.7)."""
        return Request(method="GET", path=_PATH, endpoint=_PATH, params=(("limit", str(limit)),))

    def list_active(self, *, limit: int) -> Sequence[Request]:
        """Return nothing: the filter documents NEW, SUCCEEDED and FAILED, so it would miss PROCESSING."""
        return ()

    def get(self, job_id: str) -> Request:
        """Return the call for one job."""
        return Request(method="GET", path=item_path(_PATH, job_id), endpoint=_ONE)

    def bulk_get(self, job_ids: Iterable[str]) -> Request | None:
        """Return None: the API has no such call."""
        return None

    def cancel(self, job_id: str) -> Request:
        """Return the call that cancels a job; any 2xx means "marked for cancelling" (AEP contract 4.1)."""
        return Request(method="DELETE", path=item_path(_PATH, job_id), endpoint=_ONE)

    def create(self, request: str) -> Request:
        """Return the call that orders an export (AEP contract 4.2)."""
        return Request(method="POST", path=_PATH, endpoint=_PATH, body=msgspec.json.decode(request))

    def submit(self, request: str) -> Request | None:
        """Return the call that orders the export again; None without a `Facts.request` to repeat."""
        return self.create(request) if request else None

    def may_be(self, told: str, order: str) -> bool:
        """Return whether nothing that a record tells speaks against this order (AEP contract 13, no. 29)."""
        return may_be(told, order)

    def is_another(self, told: Facts, order: str, *, cut: bool = False) -> bool:
        """Return whether dataset or segments say that it is no export of this order."""
        return is_another(told, order, cut=cut)

    def same_but_filled_in(self, one: str, other: str) -> bool:
        """Return whether two orders differ only in what one of them leaves to the platform (AEP contract 4.2)."""
        return same_but_filled_in(one, other)

    def is_broad(self, request: str) -> bool:
        """Return whether the order has no filter, which is to export everything (AEP contract 4.2)."""
        return is_broad(request)

    def parse_page(self, body: bytes, *, asked: Asked, request: Request) -> Page:
        """Return what a list answered (AEP contract 4.7). Raises UnreadableReply."""
        return read_page(body, rows_at="records", read=lambda row, job_id: _read(row, asked, job_id), request=request)

    def parse_bulk(self, body: bytes, *, asked: Asked) -> Page:
        """Return the jobs of a bulk answer, should the API ever learn to give one. Raises UnreadableReply."""
        return read_bulk(body, read=lambda row, job_id: _read(row, asked, job_id))

    def parse_one(self, body: bytes, *, asked: Asked) -> Observation:
        """Return one job, also as a submission answers it (AEP contract 4.3). Raises UnreadableReply."""
        return read_one(body, read=lambda row, job_id: _read(row, asked, job_id))


def _read(record: dict[str, Any], asked: Asked, fallback_id: str) -> Observation:
    request, fingerprint = order_of(record)
    exported = whole(mapping(record.get("metrics")).get("totalExportedProfileCounter"))
    facts = Facts(
        segments=segments_of(record),
        dataset=dataset_of(record),
        batches=_batches(mapping(record.get("destination"))),
        exported=exported if exported is not None and exported >= 0 else None,
        source=text(record.get("source")),
        schedule_id=identity(mapping(record.get("properties")).get("scheduleId")),
        request=request,
        fingerprint=fingerprint,
    )
    runs = "profileExportTime"  # {} or absent until then (AEP contract 4.6)
    return sighting(
        record, kind=ExportJob.name, collection=_PATH, runs=runs, asked=asked, facts=facts, fallback_id=fallback_id
    )


def _batches(destination: dict[str, Any]) -> tuple[str, ...]:
    """Return the batches written: one `batchId`, or those of `batches`; "" is none (AEP contract 4.5)."""
    single = identity(destination.get("batchId"))
    several = (identity(mapping(entry).get("batchId")) for entry in items(destination.get("batches")))
    return tuple(dict.fromkeys(one for one in (single, *several) if one))


KIND: JobKind = ExportJob()
