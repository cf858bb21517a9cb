"""The body of an export: every filter, and what is refused before it is sent."""

from datetime import UTC, datetime

import pytest

from segwatch.kinds.export_order import order_of
from segwatch.upstream.errors import NotSendable
from segwatch.upstream.export_body import EventList, ExportBody, SegmentFilter

DAY = datetime(2026, 1, 5, tzinfo=UTC)
BARE = {"destination": {"datasetId": "d"}, "schema": {"name": "_xdm.context.profile"}}


def body(**fields):
    return ExportBody(dataset="d", **fields).document()


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        pytest.param({}, {}, id="everything"),
        pytest.param({"fields": ("a.b", "c")}, {"fields": "a.b,c"}, id="fields"),
        pytest.param({"merge_policy": "m"}, {"mergePolicy": {"id": "m"}}, id="policy"),
        pytest.param(
            {"merge_policy": "m", "merge_policy_version": 0}, {"mergePolicy": {"id": "m", "version": 0}}, id="version"
        ),
        pytest.param(
            {"segments": (SegmentFilter(segment_id="s"),)}, {"filter": {"segments": [{"segmentId": "s"}]}}, id="segment"
        ),
        pytest.param(
            {"segments": (SegmentFilter(segment_id="s", namespace="AAM", statuses=("exited", "realized")),)},
            {"filter": {"segments": [{"segmentId": "s", "segmentNs": "AAM", "status": ["exited", "realized"]}]}},
            id="segment-in-whole",
        ),
        pytest.param(
            {"qualified_from": DAY}, {"filter": {"segmentQualificationTime": {"startTime": "2026-01-05T00:00:00Z"}}},
            id="qualified-from",
        ),
        pytest.param(
            {"qualified_until": DAY}, {"filter": {"segmentQualificationTime": {"endTime": "2026-01-05T00:00:00Z"}}},
            id="qualified-until",
        ),
        pytest.param(
            {"ingested_after": datetime.fromisoformat("2026-01-05T00:00:00.250+05:30")},
            {"filter": {"fromIngestTimestamp": "2026-01-05T00:00:00.250000+05:30"}},
            id="ingested",
        ),
        pytest.param({"empty_profiles": False}, {"filter": {"emptyProfiles": False}}, id="no-empty-profiles"),
        pytest.param({"empty_profiles": True}, {"filter": {"emptyProfiles": True}}, id="empty-profiles"),
        pytest.param(
            {"events": EventList(fields=("x.y",))}, {"additionalFields": {"eventList": {"fields": "x.y"}}}, id="events"
        ),
        pytest.param(
            {"events": EventList(ingested_after=DAY, ingested_until=DAY)},
            {"additionalFields": {"eventList": {"filter": {
                "fromIngestTimestamp": "2026-01-05T00:00:00Z", "toIngestTimestamp": "2026-01-05T00:00:00Z",
            }}}},
            id="events-by-time",
        ),
        pytest.param(
            {"per_batch": True}, {"destination": {"datasetId": "d", "segmentPerBatch": True}}, id="segment-per-batch"
        ),
        pytest.param({"evaluate_first": True}, {"evaluationInfo": {"segmentation": True}}, id="evaluate-first"),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_in_the_body_and_nothing_else(fields, more):
    assert body(**fields) == BARE | more
    request, fingerprint = order_of(body(**fields))
    assert request
    assert fingerprint


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"merge_policy_version": 1}, "merge policy's id", id="version-of-nothing"),
        pytest.param({"segments": (SegmentFilter(segment_id=""),)}, "A segment has the id ''", id="segment-without-id"),
        pytest.param(
            {"segments": (SegmentFilter(segment_id="s", statuses=("entering",)),)},
            "'entering' is no status",
            id="a-word-of-the-older-tutorial",
        ),
        pytest.param({"qualified_from": DAY, "qualified_until": DAY}, "end before they begin", id="no-time-between"),
        pytest.param({"ingested_after": datetime(2026, 1, 5)}, "in no time zone", id="no-zone"),  # noqa: DTZ001
        pytest.param({"events": EventList()}, "needs its fields", id="events-of-no-kind"),
        pytest.param({"fields": ("a,b",)}, "are no fields", id="a-comma"),
        pytest.param({"fields": ("a", "")}, "are no fields", id="no-field"),
        pytest.param({"fields": (" a",)}, "are no fields", id="a-blank"),
    ],
)
def test_what_would_be_refused_or_misread_is_not_sent(fields, words):
    with pytest.raises(NotSendable, match=words):
        body(**fields)


def test_a_dataset_is_needed():
    with pytest.raises(NotSendable, match="The dataset has the id"):
        ExportBody(dataset="").document()
