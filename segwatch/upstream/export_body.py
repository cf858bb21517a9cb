"""What an export is told to do, as one value (AEP contract 4.2)."""

from datetime import datetime
from typing import Any

import msgspec

from segwatch.upstream.errors import NotSendable
from segwatch.upstream.records import checked_id, several

STATUSES = ("realized", "existing", "exited")


class SegmentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """One segment whose members are exported. Without a namespace and statuses the platform's defaults hold.

    namespace: `ups` where it is left out. statuses: of `realized`, `existing`, `exited`; the first two where left out.
    """

    segment_id: str
    namespace: str = ""
    statuses: tuple[str, ...] = ()


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a profile's events come along: by their fields, and by when they were ingested (not when they were)."""

    fields: tuple[str, ...] = ()
    ingested_after: datetime | None = None
    ingested_until: datetime | None = None


class ExportBody(msgspec.Struct, frozen=True, kw_only=True):
    """One export's order; what is left at its default is left to the platform.

    dataset: an id. fields: dot paths; all of them where left out. segments: none of them means every profile.
    qualified_from, qualified_until: when a profile entered or left its segment. ingested_after: only profiles that
    changed later. empty_profiles: also those that have events alone. per_batch: each segment goes to a batch of its
    own. evaluate_first: the platform evaluates as a part of the export. Times are aware, in any zone.
    """

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
        """Return the body, its keys in the tutorial's order, what is not given left out.

        Raises NotSendable for what the platform would refuse, or read as something else than was meant.
        """
        destination: dict[str, Any] = {"datasetId": checked_id(self.dataset, "The dataset")}
        if self.per_batch:
            destination["segmentPerBatch"] = True
        return _given({
            "fields": _joined(self.fields),
            "mergePolicy": self._merge_policy(),
            "filter": self._filter(),
            "additionalFields": _given({"eventList": _event_list(self.events)}),
            "destination": destination,
            "schema": {"name": self.schema},
            "evaluationInfo": {"segmentation": True} if self.evaluate_first else None,
        })  # fmt: skip

    def _merge_policy(self) -> dict[str, Any]:
        if not self.merge_policy and self.merge_policy_version is not None:
            raise NotSendable("A version of a merge policy says nothing without the merge policy's id")
        return _given({"id": self.merge_policy, "version": self.merge_policy_version})

    def _filter(self) -> dict[str, Any]:
        if self.qualified_from and self.qualified_until and self.qualified_from >= self.qualified_until:
            raise NotSendable("The qualification times end before they begin")
        qualified = {"startTime": _time(self.qualified_from), "endTime": _time(self.qualified_until)}
        return _given({
            "segments": [_segment(one) for one in self.segments],
            "segmentQualificationTime": _given(qualified),
            "fromIngestTimestamp": _time(self.ingested_after),
            "emptyProfiles": self.empty_profiles,
        })  # fmt: skip


def _segment(one: SegmentFilter) -> dict[str, Any]:
    if unknown := [word for word in one.statuses if word not in STATUSES]:
        raise NotSendable(f"{unknown[0]!r} is no status of a membership: write {', '.join(STATUSES)}")
    segment_id = checked_id(one.segment_id, "A segment")
    return _given({"segmentId": segment_id, "segmentNs": one.namespace, "status": list(one.statuses)})


def _event_list(events: EventList | None) -> dict[str, Any]:
    if events is None:
        return {}
    if not (events.fields or events.ingested_after or events.ingested_until):
        raise NotSendable("A list of events needs its fields, or since when the events were ingested")
    ingested = {
        "fromIngestTimestamp": _time(events.ingested_after),
        "toIngestTimestamp": _time(events.ingested_until),
    }
    return _given({"fields": _joined(events.fields), "filter": _given(ingested)})


def _joined(fields: tuple[str, ...]) -> str:
    several(fields, "The fields")
    if any(not field or field != field.strip() or "," in field for field in fields):
        raise NotSendable(f"{fields!r} are no fields: write dot paths, such as personalEmail.address")
    return ",".join(fields)


def _time(at: datetime | None) -> str:
    """Return a time in RFC 3339, in the zone that it came with (AEP contract 4.2: offsets are allowed)."""
    if at is None:
        return ""
    if at.tzinfo is None:
        raise NotSendable(f"{at.isoformat()} is in no time zone: write {at.isoformat()}Z if it is in UTC")
    told = at.isoformat()
    return f"{told.removesuffix('+00:00')}Z" if told.endswith("+00:00") else told


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", {}, [])}
