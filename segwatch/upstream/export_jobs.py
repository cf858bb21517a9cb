"""Export jobs: audiences written to datasets (AEP contract 4)."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec

from segwatch.jobs.model import JobError, Status
from segwatch.kinds.base import Request
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.export_body import ExportBody
from segwatch.upstream.records import Span


class ExportBatch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch that an export wrote."""

    batch_id: str
    segment_id: str = ""
    namespace: str = ""
    statuses: tuple[str, ...] = ()


class ExportMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What an export counted. exported: profiles."""

    total: Span | None = None
    exporting: Span | None = None
    writing: Span | None = None
    exported: int | None = None
    exported_by_namespace: dict[str, int] = {}


class ExportJob(msgspec.Struct, frozen=True, kw_only=True):
    """One export."""

    id: str
    status: Status = Status.UNKNOWN
    word: str = ""
    dataset: str = ""
    per_batch: bool = False
    batches: tuple[ExportBatch, ...] = ()
    metrics: ExportMetrics = ExportMetrics()
    errors: tuple[JobError, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: dict[str, Any] = {}

    @property
    def ended_at(self) -> datetime | None:
        """Return when the job ended; None while it has not, or where nothing tells."""
        raise NotImplementedError


def create_request(body: ExportBody) -> Request:
    """Return the POST that orders the export."""
    raise NotImplementedError


def list_(
    client: PlatformClient, *, status: Status | None = None, limit: int = 100, most: int | None = None
) -> AsyncIterator[ExportJob]:
    """Yield exports, the newest first. Raises UpstreamError."""
    raise NotImplementedError


async def get(client: PlatformClient, id_: str) -> ExportJob:
    """Return one export. Raises UpstreamError, NotFound among them."""
    raise NotImplementedError


async def create(client: PlatformClient, body: ExportBody) -> ExportJob:
    """Send one order, once; on `Fate.LOST` look before you call again. Raises UpstreamError."""
    raise NotImplementedError


async def cancel(client: PlatformClient, id_: str) -> None:
    """Ask the platform to cancel an export. Raises UpstreamError."""
    raise NotImplementedError
