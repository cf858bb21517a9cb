"""What an accepted export request asks of the lake: one extract for each of its batches. AEP contract 4.2."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from segwatch.emulator.lake.model import EventList, Extract, SegmentFilter
from segwatch.emulator.settings import Json

_USUAL_NAMESPACE = "ups"
_USUAL_STATUSES = ("realized", "existing")


def extracts(
    request: Json, *, sandbox: str, batch_ids: Sequence[str], definitions: Iterable[str], realized_is_all: bool
) -> tuple[Extract, ...]:
    """Return the extract of each batch, in the order of the ids: one in all, or with segmentPerBatch one per segment.

    request: a body that was found in order. definitions: the sandbox's segments, each of which gets a batch of its own
    where the request names none. realized_is_all: see Extract.
    """
    wanted = request.get("filter") or {}
    segments = [_segment_filter(one) for one in wanted.get("segments") or ()]
    qualified = wanted.get("segmentQualificationTime") or {}
    whole = Extract(
        sandbox=sandbox,
        batch_id=batch_ids[0],
        segments=tuple(segments) or None,
        fields=_paths(request.get("fields")) or None,
        qualified_from=_moment(qualified.get("startTime")),
        qualified_until=_moment(qualified.get("endTime")),
        ingested_after=_moment(wanted.get("fromIngestTimestamp")),
        empty_profiles=wanted.get("emptyProfiles") is True,
        events=_event_list((request.get("additionalFields") or {}).get("eventList")),
        realized_is_all=realized_is_all,
    )
    if not request["destination"].get("segmentPerBatch"):
        return (whole,)
    each = segments or [_segment_filter({"segmentId": one}) for one in definitions]
    # definitions that came after the job have no batch in it
    return tuple(_of_one(whole, batch_id, one) for batch_id, one in zip(batch_ids, each, strict=False))


def _of_one(whole: Extract, batch_id: str, segment: SegmentFilter) -> Extract:
    return replace(whole, batch_id=batch_id, segments=(segment,))


def _segment_filter(asked: Json) -> SegmentFilter:
    return SegmentFilter(
        segment_id=asked["segmentId"],
        namespace=asked.get("segmentNs") or _USUAL_NAMESPACE,
        statuses=frozenset(asked.get("status") or _USUAL_STATUSES),
    )


def _event_list(asked: Any) -> EventList | None:
    if asked is None:
        return None
    bounds = asked.get("filter") or {}
    return EventList(
        fields=_paths(asked.get("fields")),
        ingested_after=_moment(bounds.get("fromIngestTimestamp")),
        ingested_until=_moment(bounds.get("toIngestTimestamp")),
    )


def _paths(text: Any) -> tuple[str, ...]:
    parts = text.split(",") if isinstance(text, str) else ()
    return tuple(part.strip() for part in parts if part.strip())


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.upper()) if text else None
