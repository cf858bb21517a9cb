"""Datasets that exports write to (AEP contract 7.1)."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec

from segwatch.upstream.client import PlatformClient

UNION = "https://ns.adobe.com/xdm/context/profile__union"


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset. schema: the id of the one it is built on."""

    id: str
    name: str = ""
    schema: str = ""
    table: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_batch: str = ""
    raw: dict[str, Any] = {}

    @property
    def holds_profiles(self) -> bool:
        """True when it is built on the union schema, so that an export can write to it."""
        raise NotImplementedError


async def create(client: PlatformClient, name: str, *, description: str = "") -> str:
    """Make a dataset on the union schema, and return its id. Sends once. Raises UpstreamError."""
    raise NotImplementedError


async def get(client: PlatformClient, id_: str) -> Dataset:
    """Return one dataset. Raises UpstreamError, NotFound among them."""
    raise NotImplementedError


def list_(client: PlatformClient, *, name: str = "", most: int | None = None) -> AsyncIterator[Dataset]:
    """Yield datasets. Raises UpstreamError."""
    raise NotImplementedError


async def find(client: PlatformClient, name: str) -> Dataset | None:
    """Return the dataset of exactly this name on the union schema, of several the oldest. Raises UpstreamError."""
    raise NotImplementedError


async def find_or_create(client: PlatformClient, name: str) -> tuple[str, bool]:
    """Return the id of the dataset of this name, and whether it was made now. Raises UpstreamError.

    It looks first, and after a lost answer again: the same name is not made twice.
    """
    raise NotImplementedError
