"""However one's own events keep their times, segments, look-ups and exports read them alike."""

import json

import pytest
from emulator_fixtures import DATASET, DEFINITIONS, SEGMENT_JOBS, an_export, emulating, until
from test_emulator_entities import ENTITIES, PROFILE, SAMS_EVENTS

FAST = 20_000
OLD_MS, NEW_MS = 1_767_578_400_000, 1_790_000_000_000  # 2026-01-05T02:00:00Z, 2026-09-21T14:13:20Z
SINCE_JUNE = "xEvent[timestamp occurs after date(2026, 6, 1)].count() = 1"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(OLD_MS, NEW_MS, id="milliseconds"),
        pytest.param("2026-01-05T02:00:00Z", "2026-09-21T14:13:20Z", id="times"),
        pytest.param("2026-01-05 03:00+01:00", "2026-09-21T14:13:20", id="texts"),
        pytest.param("2026-01-05", "2026-09-21", id="days"),
        pytest.param("20260105T020000Z", "20260921T161320+0200", id="basic-form"),
    ],
)
async def test_the_times_of_events_are_read_alike_everywhere(tmp_path, old, new):
    path = tmp_path / "mine.ndjson"
    events = [{"_id": "new", "timestamp": new}, {"_id": "old", "timestamp": old}]
    if isinstance(old, str) and " " in old:
        events.append({"_id": "odd", "timestamp": "yesterday"})  # which makes the field a text
    path.write_text(json.dumps({"identityMap": {"mail": [{"id": "anna"}]}, "xEvent": events, "k": 1}))
    async with emulating(profiles=path, speed=FAST) as platform:
        asked = {"name": "n", "schema": {"name": PROFILE}}
        asked["expression"] = {"type": "PQL", "format": "pql/text", "value": SINCE_JUNE}
        segment = (await platform.call("POST", DEFINITIONS, json=asked)).body["id"]
        job_id = (await platform.control("evaluations", {"segments": [segment]}))["id"]
        await platform.until_status(job_id, "SUCCEEDED")
        counted = (await platform.get(f"{SEGMENT_JOBS}/{job_id}"))["metrics"]["segmentedProfileCounter"]
        assert counted == {segment: 1}

        annas = SAMS_EVENTS | {"relatedEntityId": "anna", "relatedEntityIdNS": "mail"}
        found = (await platform.get(ENTITIES, params=annas | {"orderby": "timestamp"}))["children"]
        assert [event["entityId"] for event in found] == ["old", "new"]
        since = {"startTime": str((OLD_MS + NEW_MS) // 2)}
        assert [one["entityId"] for one in (await platform.get(ENTITIES, params=annas | since))["children"]] == ["new"]

        bounds = {"fromIngestTimestamp": "2026-06-01T00:00:00Z", "toIngestTimestamp": "2026-12-01T01:00:00+01:00"}
        wanted = {"segments": [{"segmentId": segment}]}
        order = an_export(filter=wanted, additionalFields={"eventList": {"fields": "_id", "filter": bounds}})
        export = (await platform.control("exports", {"body": order}))["id"]

        async def over():
            state = await platform.state_of(export)
            return state if state["status"] in ("SUCCEEDED", "FAILED") else None

        assert (await until(over))["errors"] is None
        rows = (await platform.get(f"/data/foundation/export/datasets/{DATASET}/preview"))["data"]
        assert [event["_id"] for event in rows[0]["xEvent"]] == ["new"]


SINCE_2026 = {"fromIngestTimestamp": "2026-01-01T00:00:00Z"}


async def exported_events(path, events, bounds=SINCE_2026):
    """Return the export job of one profile with these events, and the ids of those that it wrote."""
    path.write_text(json.dumps({"identityMap": {"mail": [{"id": "anna"}]}, "xEvent": events, "k": 1}))
    async with emulating(profiles=path, speed=FAST) as platform:
        order = an_export(filter={}, additionalFields={"eventList": {"fields": "_id", "filter": bounds}})
        export = (await platform.control("exports", {"body": order}))["id"]

        async def over():
            state = await platform.state_of(export)
            return state if state["status"] in ("SUCCEEDED", "FAILED") else None

        job = await until(over)
        if job["status"] == "FAILED":
            return job, []
        rows = (await platform.get(f"/data/foundation/export/datasets/{DATASET}/preview"))["data"]
        return job, [event["_id"] for event in rows[0]["xEvent"]]


async def test_each_event_came_in_at_the_first_of_its_own_times(tmp_path):
    new, old = "2026-03-01T00:00:00Z", "2025-03-01T00:00:00Z"
    events = [
        {"_id": "both", "timestamp": old, "ingestTimestamp": new},
        {"_id": "came in before", "timestamp": new, "ingestTimestamp": old},
        {"_id": "only happened", "timestamp": new},
        {"_id": "happened before", "timestamp": old},
        {"_id": "null", "timestamp": new, "ingestTimestamp": None},
        {"_id": "unreadable", "timestamp": new, "ingestTimestamp": "yesterday"},
        {"_id": "received", "timestamp": old, "receivedTimestamp": new},
        {"_id": "in some zone", "timestamp": "2026-03-01 00:00:00 Europe/Amsterdam"},
        {"_id": "endless", "timestamp": "infinity"},
        {"_id": "never"},
    ]
    _, found = await exported_events(tmp_path / "mine.ndjson", events)
    assert found == ["both", "only happened", "null", "unreadable", "received"]


@pytest.mark.parametrize("event", [{"_id": "a"}, {"_id": "a", "timestamp": True}, {"_id": "a", "timestamp": {"at": 1}}])
async def test_events_without_a_time_cannot_be_chosen_by_time(tmp_path, event):
    job, _ = await exported_events(tmp_path / "mine.ndjson", [event])
    assert "Events cannot be chosen by time: none has a time in ingestTimestamp" in job["errors"][0]["msg"]
    job, found = await exported_events(tmp_path / "mine.ndjson", [event], bounds={})
    assert (job["status"], found) == ("SUCCEEDED", ["a"])
