"""Segment jobs: evaluations of audiences (AEP contract 3)."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from segwatch.jobs.model import JobError, Status
from segwatch.kinds.base import Request
from segwatch.kinds.fields import errors_of, identity, in_its_life, instant, items, mapping, text, whole
from segwatch.kinds.replies import item_path
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import NotSendable
from segwatch.upstream.paging import by_ids, nobody, pages
from segwatch.upstream.records import (
    Expression,
    SandboxInfo,
    Span,
    checked_id,
    compute_ids_of,
    count_of,
    counters_of,
    expression_of,
    id_of,
    nested_counters_of,
    record,
    sandbox_of,
    several,
    span_of,
)

PATH = "/data/core/ups/segment/jobs"
ALL = ("*",)
"""Every segment of the sandbox, in place of ids."""

_ONE = f"{PATH}/{{id}}"
_SCHEMA = "_xdm.context.profile"
_SEGMENTS_MAX = 20  # in one evaluation on demand (AEP contract 12)


class SegmentRef(msgspec.Struct, frozen=True, kw_only=True):
    """One segment as a job shows it. snapshot_name, snapshot_days: only the older platform tells them."""

    id: str
    version: int | None = None
    expression: Expression | None = None
    merge_policy_id: str = ""
    merge_policy_version: int | None = None
    snapshot_name: str = ""
    snapshot_days: int | None = None


class SegmentMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What a job counted. profiles: those looked at. members: segment id -> profiles in it.

    The ids need not be those of the job's segments. by_status: segment id -> `realized`, `exited`, `existing`.
    """

    total: Span | None = None
    segmentation: Span | None = None
    profiles: int | None = None
    profiles_by_merge_policy: dict[str, int] = {}
    members: dict[str, int] = {}
    members_by_namespace: dict[str, dict[str, int]] = {}
    members_by_status: dict[str, dict[str, int]] = {}


class SegmentJob(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation.

    segments: ids, `("*",)` for all; definitions: what the job shows of them, none where all are evaluated.
    word: the status as the platform writes it. source: `api` or `scheduler`. schedule_id, run_id: of a scheduled one.
    compute_ids: by name, `job` where the platform tells one without a name. raw: the record as it came.
    """

    id: str
    status: Status = Status.UNKNOWN
    word: str = ""
    segments: tuple[str, ...] = ()
    definitions: tuple[SegmentRef, ...] = ()
    metrics: SegmentMetrics = SegmentMetrics()
    errors: tuple[JobError, ...] = ()
    source: str = ""
    batch_id: str = ""
    compute_job_id: str = ""
    compute_ids: dict[str, str] = {}
    request_id: str = ""
    schema: str = ""
    model_name: str = ""
    schedule_id: str = ""
    run_id: str = ""
    org_id: str = ""
    sandbox: SandboxInfo | None = None
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


def create_request(segment_ids: Sequence[str]) -> Request:
    """Return the POST that evaluates these segments, each once; `("*",)` means all of them.

    Raises NotSendable for none, for one that cannot be an id, and for more than 20 (AEP contract 12).
    """
    wanted = several(segment_ids, "The segments")
    if not wanted:
        raise NotSendable("No segment is named: write at least one id, or * for all of them")
    if len(wanted) > _SEGMENTS_MAX:
        raise NotSendable(f"An evaluation on demand takes {_SEGMENTS_MAX} segments at most, not {len(wanted)}")
    if "*" in wanted and len(wanted) > 1:
        raise NotSendable("* stands for all segments: write no ids beside it")
    ids = [{"segmentId": checked_id(one, "A segment")} for one in wanted]
    # ids go as the array that both tutorials show; for all segments only the object form is documented now
    body = {"schema": {"name": _SCHEMA}, "segments": ids} if wanted == ["*"] else ids
    return Request(method="POST", path=PATH, endpoint=PATH, body=body)


def list_request(
    *, status: Status | None = None, sort: str = "creationTime:desc", segment: str = "",
    properties: Mapping[str, str] | None = None, snapshot_name: str = "", limit: int = 100,
) -> Request:  # fmt: skip
    """Return the call for the first page of the jobs that fit all filters (AEP contract 3.7)."""
    wanted = {"segments~segmentId": segment} if segment else {}
    given = (
        ("status", status.value if status else ""),
        ("sort", sort),
        *(("property", f"{name}=={value}") for name, value in (wanted | dict(properties or {})).items()),
        ("snapshot.name", snapshot_name),
        ("limit", str(limit)),
    )
    return Request(method="GET", path=PATH, endpoint=PATH, params=tuple(pair for pair in given if pair[1]))


async def list_(
    client: PlatformClient, *, status: Status | None = None, sort: str = "creationTime:desc", segment: str = "",
    properties: Mapping[str, str] | None = None, snapshot_name: str = "", limit: int = 100, most: int | None = None,
    on_unreadable: Callable[[int], None] = nobody,
) -> AsyncIterator[SegmentJob]:  # fmt: skip
    """Yield the jobs that fit all filters, the newest first unless `sort` says otherwise. Raises UpstreamError.

    sort: `attribute:asc` or `attribute:desc`. segment: only jobs that name this id. properties: exact values of other
    properties by their names, `array~key` inside an array. limit: rows on a page. most: rows in all.
    on_unreadable: is told of rows that are left out.
    """
    request = list_request(
        status=status, sort=sort, segment=segment, properties=properties, snapshot_name=snapshot_name, limit=limit
    )
    rows = pages(
        client, request, rows_at="children", read=read, key=lambda job: job.id, most=most, on_unreadable=on_unreadable
    )
    async for job in rows:
        yield job


async def get(client: PlatformClient, id_: str) -> SegmentJob:
    """Return one job. Raises UpstreamError, NotFound among them."""
    request = Request(method="GET", path=item_path(PATH, checked_id(id_, "A segment job")), endpoint=_ONE)
    return await record(client, request, read)


async def bulk_get(client: PlatformClient, ids: Iterable[str]) -> dict[str, SegmentJob]:
    """Return several jobs by their ids; those that the platform does not know are absent. Raises UpstreamError."""
    return await by_ids(client, PATH, ids, read=read)


async def create(client: PlatformClient, segment_ids: Sequence[str]) -> SegmentJob:
    """Send one evaluation, once; on `Fate.LOST` look before you call again. Raises UpstreamError, NotSendable."""
    return await record(client, create_request(segment_ids), read)


async def cancel(client: PlatformClient, id_: str) -> None:
    """Ask the platform to cancel a job; it ends as CANCELLED later, if it had not ended. Raises UpstreamError."""
    await client.call(Request(method="DELETE", path=item_path(PATH, checked_id(id_, "A segment job")), endpoint=_ONE))


def read(record: dict[str, Any], fallback_id: str = "") -> SegmentJob:
    """Return the job that a record tells (AEP contract 3.3). Raises UnreadableRow for one without an id."""
    properties, entries = mapping(record.get("properties")), items(record.get("segments"))
    word = text(record.get("status"))
    shown = (_definition(one) for one in entries if isinstance(one, dict) and mapping(one.get("segment")))
    return SegmentJob(
        id=id_of(record, fallback_id),
        status=Status.of(word),
        word=word,
        segments=tuple(dict.fromkeys(one for one in map(_segment_id, entries) if one)),
        definitions=tuple(one for one in shown if one.id),
        metrics=_metrics(mapping(record.get("metrics"))),
        errors=errors_of(record.get("errors")),
        source=text(record.get("source")),
        batch_id=identity(record.get("batchId")),
        compute_job_id=identity(record.get("computeJobId")),
        compute_ids=compute_ids_of(record.get("computeGatewayJobId")),
        request_id=text(record.get("requestId")),
        schema=text(mapping(record.get("schema")).get("name")),
        model_name=text(record.get("modelName")),
        schedule_id=identity(properties.get("scheduleId")),
        run_id=identity(properties.get("runId")),
        org_id=text(record.get("imsOrgId")),
        sandbox=sandbox_of(record.get("sandbox")),
        profile_instance_id=text(record.get("profileInstanceId")),
        created_at=instant(record.get("creationTime")),
        updated_at=instant(record.get("updateTime")) or instant(record.get("updateEpoch")),
        raw=record,
    )


def _segment_id(entry: Any) -> str:
    if not isinstance(entry, dict):
        return identity(entry)
    return identity(entry.get("segmentId")) or identity(mapping(entry.get("segment")).get("id"))


def _definition(entry: dict[str, Any]) -> SegmentRef:
    told, snapshot = mapping(entry.get("segment")), mapping(entry.get("snapshot"))
    policy = mapping(told.get("mergePolicy"))
    return SegmentRef(
        id=_segment_id(entry),
        version=whole(told.get("version")),
        expression=expression_of(told.get("expression")),
        merge_policy_id=identity(told.get("mergePolicyId")) or identity(policy.get("id")),
        merge_policy_version=whole(policy.get("version")),
        snapshot_name=text(snapshot.get("name")),
        snapshot_days=whole(snapshot.get("ttlInDays")),
    )


def _metrics(told: dict[str, Any]) -> SegmentMetrics:
    return SegmentMetrics(
        total=span_of(told.get("totalTime")),
        segmentation=span_of(told.get("profileSegmentationTime")),
        profiles=count_of(told.get("totalProfiles")),
        profiles_by_merge_policy=counters_of(told.get("totalProfilesByMergePolicy")),
        members=counters_of(told.get("segmentedProfileCounter")),
        members_by_namespace=nested_counters_of(told.get("segmentedProfileByNamespaceCounter")),
        members_by_status=nested_counters_of(told.get("segmentedProfileByStatusCounter")),
    )
