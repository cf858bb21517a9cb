"""What an accepted export request asks of the lake, batch by batch."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from segwatch.emulator.lake.extracts import extracts
from segwatch.emulator.lake.model import EventList, SegmentFilter

SCHEMA = {"name": "_xdm.context.profile"}
USUAL = frozenset({"realized", "existing"})


def asked(request, *batch_ids, definitions=("d1", "d2"), realized_is_all=True):
    whole = {"schema": SCHEMA, "destination": {"datasetId": "d"}} | request
    return extracts(
        whole, sandbox="prod", batch_ids=batch_ids or ("b1",), definitions=definitions, realized_is_all=realized_is_all
    )


def test_a_request_without_a_filter_is_for_everybody():
    (one,) = asked({})
    assert (one.sandbox, one.batch_id, one.segments, one.fields, one.events) == ("prod", "b1", None, None, None)
    assert not one.empty_profiles


def test_the_tutorials_request_is_understood():
    request = {
        "fields": "identities.id,personalEmail.address",
        "filter": {
            "segments": [
                {"segmentId": "s1", "segmentNs": "AAM", "status": ["realized"]},
                {"segmentId": "s2", "segmentNs": "UPS", "status": ["exited"]},
            ],
            "segmentQualificationTime": {"startTime": "2019-09-01T00:00:00Z", "endTime": "2019-09-02T00:00:00z"},
            "fromIngestTimestamp": "2018-10-25T13:22:04-07:00",
        },
        "additionalFields": {
            "eventList": {
                "fields": "environment.browserDetails.name, environment.browserDetails.version",
                "filter": {"fromIngestTimestamp": "2018-10-25T13:22:04-07:00"},
            }
        },
        "destination": {"datasetId": "d", "segmentPerBatch": True},
    }
    first, second = asked(request, "b1", "b2")
    assert (first.batch_id, second.batch_id) == ("b1", "b2")
    assert first.segments == (SegmentFilter(segment_id="s1", namespace="AAM", statuses=frozenset({"realized"})),)
    assert second.segments == (SegmentFilter(segment_id="s2", namespace="UPS", statuses=frozenset({"exited"})),)
    ingested = datetime(2018, 10, 25, 13, 22, 4, tzinfo=timezone(timedelta(hours=-7)))
    for one in (first, second):
        assert one.fields == ("identities.id", "personalEmail.address")
        assert (one.qualified_from, one.qualified_until) == (
            datetime(2019, 9, 1, tzinfo=UTC),
            datetime(2019, 9, 2, tzinfo=UTC),
        )
        assert one.ingested_after == ingested
        assert one.events == EventList(
            fields=("environment.browserDetails.name", "environment.browserDetails.version"), ingested_after=ingested
        )


def test_without_segments_each_definition_gets_a_batch():
    batches = asked(
        {"destination": {"datasetId": "d", "segmentPerBatch": True}}, "b1", "b2", definitions=("a", "b", "new")
    )
    assert [(one.batch_id, one.segments) for one in batches] == [
        (batch_id, (SegmentFilter(segment_id=segment_id, namespace="ups", statuses=USUAL),))
        for batch_id, segment_id in (("b1", "a"), ("b2", "b"))
    ]


@pytest.mark.parametrize("segments", [[{"segmentId": "s"}], [{"segmentId": "s", "segmentNs": "", "status": []}]])
def test_what_is_not_said_of_a_segment_is_the_usual(segments):
    (one,) = asked({"filter": {"segments": segments, "emptyProfiles": True}}, realized_is_all=False)
    assert one.segments == (SegmentFilter(segment_id="s", namespace="ups", statuses=USUAL),)
    assert one.empty_profiles
    assert not one.realized_is_all


@pytest.mark.parametrize("events", [{}, {"filter": {}}, {"fields": ""}])
def test_events_that_are_asked_for_without_a_condition_are_all(events):
    (one,) = asked({"additionalFields": {"eventList": events}})
    assert one.events == EventList(fields=())
    assert asked({"additionalFields": {}})[0].events is None
