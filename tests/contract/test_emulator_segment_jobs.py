"""Segment jobs: their routes, pages, filters and shapes."""

import json

import pytest
from emulator_fixtures import (
    DEFINITIONS,
    OTHER_SEGMENT,
    SCHEDULES,
    SEGMENT,
    SEGMENT_JOBS,
    UPS,
    emulating,
    until,
)

HOLD = ["PROCESSING", 3600]


async def test_a_new_job_looks_like_the_documents_say(platform):
    reply = await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])
    job = reply.body
    assert reply.status == 200
    assert job["status"] == "NEW"
    assert job["source"] == "api"
    assert job["segments"][0]["segment"]["mergePolicyId"]
    assert job["metrics"] == {
        "totalTime": {"startTimeInMs": job["creationTime"]},
        "profileSegmentationTime": {},
    }
    assert job["errors"] == []
    assert job["updateTime"] % 1000 == 0
    assert job["updateEpoch"] * 1000 == job["updateTime"]
    assert job["_links"]["cancel"] == {"href": f"/segment/jobs/{job['id']}", "method": "DELETE"}
    assert await platform.get(f"{SEGMENT_JOBS}/{job['id']}") == job


async def test_the_object_form_runs_all_segments_and_names_none(platform):
    body = {"schema": {"name": "_xdm.context.profile"}, "segments": [{"segmentId": "*"}]}
    job = (await platform.call("POST", SEGMENT_JOBS, json=body)).body
    assert job["segments"] == [{"segmentId": "*"}]


@pytest.mark.parametrize(
    "body",
    [
        [],
        [{}],
        [{"segmentId": ""}],
        ["text"],
        [{"segmentId": "unknown"}],
        {"segments": [{"segmentId": "*"}]},
        {"schema": {"name": "_xdm.context.profile"}},
        {"schema": "_xdm.context.profile", "segments": [{"segmentId": "*"}]},
        "text",
        None,
    ],
)
async def test_a_body_that_names_no_known_segment_is_a_400(platform, body):
    reply = await platform.call("POST", SEGMENT_JOBS, json=body)
    assert reply.status == 400
    assert reply.body["errors"]["400"]
    assert (await platform.ledger())["submissions"] == []


async def test_a_job_that_succeeded_carries_its_times_and_counters(platform):
    (job_id,) = await platform.place("segment_job", ["QUEUED", 0.01], ["PROCESSING", 0.02], ["SUCCEEDED", 0])
    await platform.until_status(job_id, "SUCCEEDED")
    metrics = (await platform.get(f"{SEGMENT_JOBS}/{job_id}"))["metrics"]
    assert metrics["totalTime"]["totalTimeInMs"] >= 30
    assert metrics["profileSegmentationTime"]["endTimeInMs"] == metrics["totalTime"]["endTimeInMs"]
    size = metrics["segmentedProfileCounter"][SEGMENT]
    assert size > 0
    assert metrics["segmentedProfileByNamespaceCounter"][SEGMENT]["email"] == size
    assert metrics["segmentedProfileByStatusCounter"][SEGMENT]["realized"] == size
    assert metrics["totalProfiles"] > size


async def test_a_job_that_failed_says_why_and_counts_nothing(platform):
    (job_id,) = await platform.place("segment_job", HOLD)
    await platform.control(f"jobs/segment_job/{job_id}/status", {"status": "FAILED"})
    job = await platform.get(f"{SEGMENT_JOBS}/{job_id}")
    assert job["errors"][0].keys() == {"code", "msg", "callStack"}
    assert "segmentedProfileCounter" not in job["metrics"]
    assert job["metrics"]["totalTime"]["totalTimeInMs"] >= 0


async def pages(platform, **params):
    """Return the pages of a walk along the links, each as a list of ids."""
    found, query = [], {"limit": "2"} | params
    while True:
        body = await platform.get(SEGMENT_JOBS, params=query)
        found.append([job["id"] for job in body["children"]])
        link = body["_links"]["next"]
        if not link:
            assert "next" not in body["_page"]
            return found, body
        assert link["href"].startswith("@/segment/jobs?")
        query = dict(pair.split("=") for pair in link["href"].split("?")[1].split("&"))
        assert query["start"] == body["_page"]["next"]


async def test_the_links_lead_through_all_pages_newest_first(platform):
    ids = await platform.place("segment_job", HOLD, count=5)
    found, last = await pages(platform)
    assert found == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert last["_page"] == {"totalCount": 5, "pageSize": 1}


async def test_the_links_keep_the_filter_and_the_order(platform):
    ids = await platform.place("segment_job", HOLD, count=5)
    await platform.place("segment_job", ["QUEUED", 0], count=2)
    found, _ = await pages(platform, status="PROCESSING", sort="creationTime:asc")
    assert [job_id for page in found for job_id in page] == ids


async def test_a_page_past_the_end_is_empty(platform):
    await platform.place("segment_job", HOLD)
    body = await platform.get(SEGMENT_JOBS, params={"start": "9"})
    assert body["children"] == []
    assert body["_links"] == {"next": {}}


async def test_the_last_job_that_changed_comes_first_when_asked_so(platform):
    ids = await platform.place("segment_job", HOLD, count=3)
    await platform.control(f"jobs/segment_job/{ids[1]}/status", {"status": "SUCCEEDED"})
    rows = (await platform.get(SEGMENT_JOBS, params={"sort": "updateTime:desc"}))["children"]
    assert [row["id"] for row in rows] == [ids[1], ids[2], ids[0]]
    times = [row["updateTime"] for row in rows]
    assert times == sorted(times, reverse=True)
    upwards = (await platform.get(SEGMENT_JOBS, params={"sort": "updateTime:asc"}))["children"]
    assert [row["id"] for row in upwards] == [ids[0], ids[2], ids[1]]


@pytest.mark.parametrize("attribute", ["id", "status"])
async def test_other_attributes_sort_too(platform, attribute):
    await platform.place("segment_job", HOLD, count=2)
    await platform.place("segment_job", ["QUEUED", 3600], count=2)
    rows = (await platform.get(SEGMENT_JOBS, params={"sort": f"{attribute}:asc"}))["children"]
    found = [row[attribute] for row in rows]
    assert found == sorted(found)


async def test_filters_by_status_and_by_segment(platform):
    (done,) = await platform.place("segment_job", ["SUCCEEDED", 0], body=[{"segmentId": OTHER_SEGMENT}])
    (active,) = await platform.place("segment_job", HOLD, body=[{"segmentId": SEGMENT}])

    async def ids(*params):
        return [job["id"] for job in (await platform.get(SEGMENT_JOBS, params=params))["children"]]

    assert await ids(("status", "SUCCEEDED")) == [done]
    assert await ids(("status", "")) == [active, done]
    assert await ids(("property", f"segments~segmentId=={SEGMENT}")) == [active]
    assert await ids(("property", f"id=={done}"), ("property", f"segments~segmentId=={SEGMENT}")) == []


def paths(row, path=()):
    """Yield the path to each single value in a job, and the value as a caller writes it."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from paths(value, (*path, name))
        elif not isinstance(value, list):
            yield ".".join((*path, name)), json.dumps(value).strip('"')


@pytest.mark.parametrize("dialect", ["current", "seed"])
async def test_every_value_that_a_job_shows_can_be_looked_for(dialect):
    async with emulating(dialect=dialect) as platform:
        await platform.place("segment_job", HOLD, body=[{"segmentId": OTHER_SEGMENT}])
        await platform.place("segment_job", ["PROCESSING", 0], ["SUCCEEDED", 0], body=[{"segmentId": SEGMENT}])
        row, _ = (await platform.get(SEGMENT_JOBS))["children"]
        shown = dict(paths(row))
        assert {"status", "requestId", "creationTime", "metrics.totalTime.totalTimeInMs"} <= shown.keys()
        assert dialect == "seed" or {"source", "batchId", "sandbox.default", "schema.name"} <= shown.keys()
        for path, written in shown.items():
            found = (await platform.get(SEGMENT_JOBS, params={"property": f"{path}=={written}"}))["children"]
            assert row in found, path
        for condition in ("source==nobody", "sandbox.default==True", "nothing==None", "errors==[]", "source"):
            assert (await platform.get(SEGMENT_JOBS, params={"property": condition}))["children"] == [], condition


@pytest.mark.parametrize("start", [10**16, 10**17 - 1, 10**18 - 1, 10**19 - 1, 10**30])
@pytest.mark.parametrize("quirks", [{}, {"item_offset_start": True}, {"shifting_rows": True}])
async def test_a_page_past_the_end_is_empty_however_far_it_is(platform, start, quirks):
    await platform.place("segment_job", HOLD)
    await platform.control("quirks", quirks)
    for path in (SEGMENT_JOBS, SCHEDULES, f"{UPS}/audiences", DEFINITIONS):
        page = await platform.get(path, params={"start": str(start)})
        assert next(rows for rows in page.values() if isinstance(rows, list)) == []


@pytest.mark.parametrize("params", [{"start": "x"}, {"limit": "0"}, {"limit": "-1"}, {"sort": "mood:desc"}])
async def test_a_bad_parameter_is_a_400(platform, params):
    assert (await platform.call("GET", SEGMENT_JOBS, params=params)).status == 400


@pytest.mark.parametrize("form", ["objects", "texts", "bare"])
async def test_bulk_get_takes_every_form_and_leaves_out_what_it_does_not_know(platform, form):
    ids = await platform.place("segment_job", HOLD, count=2)
    wanted = [*ids, "unknown"]
    body = {"objects": {"ids": [{"id": one} for one in wanted]}, "texts": {"ids": wanted}, "bare": wanted}[form]
    reply = await platform.call("POST", f"{SEGMENT_JOBS}/bulk-get", json=body)
    assert reply.status == 207
    assert list(reply.body["results"]) == ids
    assert reply.body["results"][ids[0]] == await platform.get(f"{SEGMENT_JOBS}/{ids[0]}")
    assert (await platform.call("POST", f"{SEGMENT_JOBS}/bulk-get", json={})).status == 400


async def test_a_cancelled_job_passes_through_cancelling(platform):
    async with emulating(speed=100) as fast:
        (job_id,) = await fast.place("segment_job", HOLD)
        reply = await fast.call("DELETE", f"{SEGMENT_JOBS}/{job_id}")
        assert (reply.status, reply.raw) == (204, b"")
        job = await fast.until_status(job_id, "CANCELLED")
        assert [status for status, _ in job["history"]] == ["PROCESSING", "CANCELLING", "CANCELLED"]


async def test_cancelling_a_job_that_ended_changes_nothing(platform):
    (job_id,) = await platform.place("segment_job", ["SUCCEEDED", 0])
    before = await platform.state_of(job_id)
    assert (await platform.call("DELETE", f"{SEGMENT_JOBS}/{job_id}")).status == 204
    assert await platform.state_of(job_id) == before
    assert (await platform.call("DELETE", f"{SEGMENT_JOBS}/unknown")).status == 404


async def test_the_seed_dialect_speaks_as_the_tutorials_do():
    async with emulating(dialect="seed", speed=100_000) as platform:
        created = (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).body
        assert created["status"] == "PROCESSING"
        assert not {"sandbox", "source", "metrics", "batchId", "schema", "errors"} & created.keys()
        assert created["segments"][0]["segment"]["version"] == 1

        async def done():
            job = await platform.get(f"{SEGMENT_JOBS}/{created['id']}")
            return job if job["status"] == "SUCCEEDED" else None

        job = await until(done)
        assert job["modelName"] == "_xdm.context.profile"
        assert job["metrics"]["segmentedProfileCounter"]
        assert "totalProfiles" not in job["metrics"]


async def test_a_run_of_a_schedule_names_its_schedule(platform):
    run = {"properties": {"scheduleId": "s-1", "runId": "r-1"}}
    (job_id,) = await platform.place("segment_job", HOLD, body=run)
    job = await platform.get(f"{SEGMENT_JOBS}/{job_id}")
    assert job["source"] == "scheduler"
    assert job["properties"] == run["properties"]
    assert job["requestId"] == f"s-1-{job['creationTime']}"
