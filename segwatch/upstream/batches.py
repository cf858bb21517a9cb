"""Batches: what an export wrote, as the catalog knows it (AEP contract 7.2)."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec

from segwatch.kinds.base import Request
from segwatch.kinds.fields import errors_of, identity, instant, items, mapping, text
from segwatch.upstream.catalog import entry
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.paging import catalog_pages
from segwatch.upstream.records import count_of

_PATH = "/data/foundation/catalog/batches"
_FAILED = frozenset({"failure", "failed", "aborted", "abandoned", "inactive", "deleted"})


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch. status: in lower case. dataset: its id. errors: code and words of each. raw: the record as it came."""

    id: str
    status: str = ""
    dataset: str = ""
    records_read: int | None = None
    records_written: int | None = None
    records_failed: int | None = None
    files: int | None = None
    bytes: int | None = None
    errors: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    raw: dict[str, Any] = {}

    @property
    def is_ready(self) -> bool:
        """True when all of it can be read."""
        return self.status == "success"

    @property
    def has_failed(self) -> bool:
        """True when it never will be ready. A status that nobody documents is no failure."""
        return self.status in _FAILED


def read(id_: str, record: dict[str, Any]) -> Batch:
    """Return what the catalog's record of a batch tells."""
    metrics = mapping(record.get("metrics"))
    related = [mapping(one) for one in items(record.get("relatedObjects"))]
    return Batch(
        id=id_,
        status=text(record.get("status")).lower(),
        dataset=next((identity(one.get("id")) for one in related if text(one.get("type")).lower() == "dataset"), ""),
        records_read=count_of(metrics.get("recordsRead")),
        records_written=count_of(metrics.get("recordsWritten")),
        records_failed=count_of(metrics.get("recordsFailed")),
        files=count_of(metrics.get("outputFileCount")),
        bytes=count_of(metrics.get("outputByteSize")),
        errors=tuple(": ".join(filter(None, (one.code, one.text))) for one in errors_of(record.get("errors"))),
        created_at=instant(record.get("created")),
        updated_at=instant(record.get("updated")),
        started_at=instant(metrics.get("startTime")),
        ended_at=instant(metrics.get("endTime")),
        raw=record,
    )


async def get(client: PlatformClient, id_: str) -> Batch:
    """Return one batch. Raises UpstreamError, NotFound among them."""
    return await entry(client, _PATH, id_, read, what="A batch")


def list_(
    client: PlatformClient, *, dataset: str = "", status: str = "", created_after: datetime | None = None,
    created_before: datetime | None = None, most: int | None = None,
) -> AsyncIterator[Batch]:  # fmt: skip
    """Yield batches, the newest first. Both times are exclusive. Raises UpstreamError."""
    asked = (
        ("orderBy", "desc:created"),
        ("dataSet", dataset),
        ("status", status),
        ("createdAfter", _milliseconds(created_after)),
        ("createdBefore", _milliseconds(created_before)),
    )
    params = tuple((name, value) for name, value in asked if value)
    return catalog_pages(client, Request(method="GET", path=_PATH, endpoint=_PATH, params=params), read=read, most=most)


def _milliseconds(at: datetime | None) -> str:
    return "" if at is None else str(round(at.timestamp() * 1000))
