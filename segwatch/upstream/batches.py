"""Batches: what an export wrote, as the catalog knows it (AEP contract 7.2)."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec

from segwatch.upstream.client import PlatformClient


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch. status: in lower case."""

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
        raise NotImplementedError

    @property
    def has_failed(self) -> bool:
        """True when it never will be ready."""
        raise NotImplementedError


async def get(client: PlatformClient, id_: str) -> Batch:
    """Return one batch. Raises UpstreamError, NotFound among them."""
    raise NotImplementedError


def list_(
    client: PlatformClient, *, dataset: str = "", status: str = "", created_after: datetime | None = None,
    created_before: datetime | None = None, most: int | None = None,
) -> AsyncIterator[Batch]:  # fmt: skip
    """Yield batches. Raises UpstreamError."""
    raise NotImplementedError
