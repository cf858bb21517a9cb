"""Segment jobs: evaluations of audiences. Source: AEP contract 3."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from segwatch.jobs.model import Facts, Observation, Status
from segwatch.kinds.base import Asked, JobKind, Page, Request
from segwatch.kinds.fields import identity, items, mapping, text, whole
from segwatch.kinds.replies import item_path, read_bulk, read_one, read_page, sighting

_PATH = "/data/core/ups/segment/jobs"
_ONE = f"{_PATH}/{{id}}"
_BULK = f"{_PATH}/bulk-get"


class SegmentJob:
    """Implements JobKind. Never resubmitted: only exports are."""

    name = "segment_job"
    path: tuple[Status, ...] = (Status.NEW, Status.QUEUED, Status.PROCESSING)
    overdue_after = timedelta(minutes=150)
    changes_first = True
    resubmits = False
    page_size = 100
    page_most = 100

    def list_newest(self, *, limit: int) -> Request:
        """Return the call for the rows that changed last. That this order works is documented nowhere: check it."""
        params = (("sort", "updateTime:desc"), ("limit", str(limit)))
        return Request(method="GET", path=_PATH, endpoint=_PATH, params=params)

    def list_active(self, *, limit: int) -> Sequence[Request]:
        """Return one call for each status that is not an end: the filter takes one, exactly (AEP contract 3.7)."""
        return [
            Request(method="GET", path=_PATH, endpoint=_PATH, params=(("status", word), ("limit", str(limit))))
            for word in (*self.path, Status.CANCELLING)
        ]

    def get(self, job_id: str) -> Request:
        """Return the call for one job."""
        return Request(method="GET", path=item_path(_PATH, job_id), endpoint=_ONE)

    def bulk_get(self, job_ids: Iterable[str]) -> Request | None:
        """Return one call for several jobs; its success is 207 (AEP contract 3.8)."""
        return Request(method="POST", path=_BULK, endpoint=_BULK, body={"ids": [{"id": job_id} for job_id in job_ids]})

    def cancel(self, job_id: str) -> Request:
        """Return the call that cancels a job; any 2xx means "marked for cancelling" (AEP contract 3.6)."""
        return Request(method="DELETE", path=item_path(_PATH, job_id), endpoint=_ONE)

    def create(self, request: str) -> Request:
        """Return the call that begins an evaluation (AEP contract 3.2)."""
        return Request(method="POST", path=_PATH, endpoint=_PATH, body=msgspec.json.decode(request))

    def submit(self, request: str) -> Request | None:
        """Return None: a failed evaluation is not resubmitted."""
        return None

    def may_be(self, told: str, order: str) -> bool:
        """Return False: there are no orders to compare."""
        return False

    def is_another(self, told: Facts, order: str, *, cut: bool = False) -> bool:
        """Return True: nothing is ordered."""
        return True

    def same_but_filled_in(self, one: str, other: str) -> bool:
        """Return False: an order names its segments, and nothing else."""
        return False

    def is_broad(self, request: str) -> bool:
        """Return False: there is no order to repeat."""
        return False

    def parse_page(self, body: bytes, *, asked: Asked, request: Request) -> Page:
        """Return what a list answered (AEP contract 3.7). Raises UnreadableReply."""
        return read_page(body, rows_at="children", read=lambda row, job_id: _read(row, asked, job_id), request=request)

    def parse_bulk(self, body: bytes, *, asked: Asked) -> Page:
        """Return what `bulk_get` answered (AEP contract 3.8). Raises UnreadableReply."""
        return read_bulk(body, read=lambda row, job_id: _read(row, asked, job_id))

    def parse_one(self, body: bytes, *, asked: Asked) -> Observation:
        """Return one job (AEP contract 3.3). Raises UnreadableReply."""
        return read_one(body, read=lambda row, job_id: _read(row, asked, job_id))


def _read(record: dict[str, Any], asked: Asked, fallback_id: str) -> Observation:
    batch = identity(record.get("batchId"))
    facts = Facts(
        segments=_segments(record.get("segments")),
        profiles=_counters(mapping(record.get("metrics")).get("segmentedProfileCounter")),
        batches=(batch,) if batch else (),
        source=text(record.get("source")),
        schedule_id=identity(mapping(record.get("properties")).get("scheduleId")),
    )
    runs = "profileSegmentationTime"  # {} or absent until then (AEP contract 3.5)
    return sighting(
        record, kind=SegmentJob.name, collection=_PATH, runs=runs, asked=asked, facts=facts, fallback_id=fallback_id
    )


def _segments(value: Any) -> tuple[str, ...]:
    """Return each id once; `("*",)` for a job over all segments, whose entry has no `segment` (AEP contract 3.3.1)."""
    found = (
        identity(entry.get("segmentId")) or identity(mapping(entry.get("segment")).get("id"))
        if isinstance(entry, dict)
        else identity(entry)
        for entry in items(value)
    )
    return tuple(dict.fromkeys(one for one in found if one))


def _counters(value: Any) -> dict[str, int]:
    """Return segment id -> members; the ids need not be those of `segments` (AEP contract 3.5)."""
    counted = ((segment, whole(count)) for segment, count in mapping(value).items())
    return {segment: count for segment, count in counted if count is not None and count >= 0}


KIND: JobKind = SegmentJob()
