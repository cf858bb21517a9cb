"""What an export is told to do, as one value (AEP contract 4.2)."""

from datetime import datetime
from typing import Any

import msgspec


class SegmentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """One segment whose members are exported. Without a namespace and statuses the platform's defaults hold."""

    segment_id: str
    namespace: str = ""
    statuses: tuple[str, ...] = ()


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a profile's events come along."""

    fields: tuple[str, ...] = ()
    ingested_after: datetime | None = None
    ingested_until: datetime | None = None


class ExportBody(msgspec.Struct, frozen=True, kw_only=True):
    """One export's order. dataset: an id. per_batch: each segment goes to a batch of its own."""

    dataset: str
    fields: tuple[str, ...] = ()
    merge_policy: str = ""
    merge_policy_version: int | None = None
    segments: tuple[SegmentFilter, ...] = ()
    qualified_from: datetime | None = None
    qualified_until: datetime | None = None
    ingested_after: datetime | None = None
    empty_profiles: bool | None = None
    events: EventList | None = None
    per_batch: bool = False
    evaluate_first: bool = False
    schema: str = "_xdm.context.profile"

    def document(self) -> dict[str, Any]:
        """Return the body, its keys in the tutorial's order, what is not given left out."""
        raise NotImplementedError
