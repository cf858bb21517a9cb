"""Segment jobs: evaluations of audiences (AEP contract 3)."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from segwatch.jobs.model import JobError, Status
from segwatch.kinds.base import Request
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.records import Span


class SegmentMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What a job counted. members: segment id -> profiles."""

    total: Span | None = None
    segmentation: Span | None = None
    profiles: int | None = None
    profiles_by_merge_policy: dict[str, int] = {}
    members: dict[str, int] = {}
    members_by_namespace: dict[str, dict[str, int]] = {}
    members_by_status: dict[str, dict[str, int]] = {}


class SegmentJob(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation. segments: ids, `("*",)` for all."""

    id: str
    status: Status = Status.UNKNOWN
    word: str = ""
    segments: tuple[str, ...] = ()
    metrics: SegmentMetrics = SegmentMetrics()
    errors: tuple[JobError, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: dict[str, Any] = {}

    @property
    def ended_at(self) -> datetime | None:
        """Return when the job ended; None while it has not, or where nothing tells."""
        raise NotImplementedError


def create_request(segment_ids: Sequence[str]) -> Request:
    """Return the POST that evaluates these segments; `("*",)` means all of them.

    Raises ValueError for none, for one that cannot be an id, and for more than 20 (AEP contract 12).
    """
    raise NotImplementedError


def list_(
    client: PlatformClient, *, status: Status | None = None, sort: str = "creationTime:desc", segment: str = "",
    properties: Mapping[str, str] | None = None, snapshot_name: str = "", limit: int = 100, most: int | None = None,
) -> AsyncIterator[SegmentJob]:  # fmt: skip
    """Yield jobs. Raises UpstreamError."""
    raise NotImplementedError


async def get(client: PlatformClient, id_: str) -> SegmentJob:
    """Return one job. Raises UpstreamError, NotFound among them."""
    raise NotImplementedError


async def bulk_get(client: PlatformClient, ids: Iterable[str]) -> dict[str, SegmentJob]:
    """Return several jobs by their ids; those that the platform does not know are absent. Raises UpstreamError."""
    raise NotImplementedError


async def create(client: PlatformClient, segment_ids: Sequence[str]) -> SegmentJob:
    """Send one evaluation, once; on `Fate.LOST` look before you call again. Raises UpstreamError, ValueError."""
    raise NotImplementedError


async def cancel(client: PlatformClient, id_: str) -> None:
    """Ask the platform to cancel a job. Raises UpstreamError."""
    raise NotImplementedError
