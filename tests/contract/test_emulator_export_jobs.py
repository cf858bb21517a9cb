"""Export jobs: their routes, pages, destinations and errors."""

import pytest
from emulator_fixtures import (
    DATASET,
    DATASETS,
    EXPORT_JOBS,
    OTHER_SEGMENT,
    SEGMENT,
    UPS,
    an_export,
    emulating,
)

HOLD = ["PROCESSING", 3600]


async def test_a_new_export_echoes_what_was_asked(platform):
    body = an_export(
        fields="person.name",
        mergePolicy={"id": "mp", "version": 1},
        additionalFields={
            "eventList": {"fields": "a.b", "filter": {"fromIngestTimestamp": "2018-10-25T13:22:04-07:00"}}
        },
    )
    reply = await platform.call("POST", EXPORT_JOBS, json=body)
    job = reply.body
    assert reply.status == 200
    assert reply.headers["X-Location"] == f"/export/jobs/{job['id']}"
    assert isinstance(job["id"], int)
    assert job["status"] == "NEW"
    assert job["computeGatewayJobId"] == {}
    assert job["metrics"] == {"totalTime": {"startTimeInMs": job["creationTime"]}}
    assert job["destination"].keys() == {"datasetId", "segmentPerBatch", "batchId"}
    assert len(job["destination"]["batchId"]) == 32
    assert {name: job[name] for name in ("filter", "fields", "mergePolicy", "additionalFields", "schema")} == {
        name: body[name] for name in ("filter", "fields", "mergePolicy", "additionalFields", "schema")
    }
    assert "errors" not in job
    assert await platform.get(f"{EXPORT_JOBS}/{job['id']}") == job


async def test_one_batch_per_segment_comes_under_the_other_spelling(platform):
    segments = [
        {"segmentId": SEGMENT, "segmentNs": "AAM"},
        {"segmentId": OTHER_SEGMENT, "status": ["exited"]},
    ]
    body = an_export(filter={"segments": segments}, destination={"dataSetId": DATASET, "segmentPerBatch": True})
    destination = (await platform.call("POST", EXPORT_JOBS, json=body)).body["destination"]
    assert destination["dataSetId"] == DATASET
    assert [batch["segmentNs"] for batch in destination["batches"]] == ["AAM", "ups"]
    assert [batch["status"] for batch in destination["batches"]] == [["realized", "existing"], ["exited"]]
    assert len({batch["batchId"] for batch in destination["batches"]}) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"destination": {}},
        {"destination": {"datasetId": "unknown"}},
        {"destination": {"datasetId": DATASET, "segmentPerBatch": "yes"}},
        {"schema": {}},
        {"schema": {"name": "_xdm.context.experienceevent"}},
        {"schema": {"name": "_xdm.context.profile", "title": 1}},
        {"destination": {"datasetId": DATASET, "dataSetId": "65a1b2c3d4e5f60718293a4c"}},
        {"fields": ["a"]},
        {"mergePolicy": {"version": 1}},
        {"filter": []},
        {"filter": {"segments": {}}},
        {"filter": {"segments": [{"segmentNs": "ups"}]}},
        {"filter": {"segments": [{"segmentId": SEGMENT, "status": ["gone"]}]}},
        {"filter": {"fromIngestTimestamp": "yesterday"}},
        {"filter": {"fromIngestTimestamp": "2018-13-25T13:22:04Z"}},
        {"filter": {"segmentQualificationTime": {"startTime": "2019-09-01"}}},
        {"filter": {"emptyProfiles": "no"}},
        {"filter": {"segments": []}},
        {"filter": {"segments": [{"segmentId": "nope"}]}},
        {"filter": {"segments": [{"segmentId": SEGMENT}, {"segmentId": "*"}]}},
        {"filter": {"segments": [{"segmentId": SEGMENT, "statuses": ["realized"]}]}},
        {"filter": {"segment": [{"segmentId": SEGMENT}]}},
        {"filter": {"segmentQualificationTime": {"from": "2019-09-01T00:00:00Z"}}},
        {"additionalFields": {"eventList": {"filter": {"fromTimestamp": "2019-09-01T00:00:00Z"}}}},
        {"bogus": 1},
        {"additionalFields": {"eventList": {"filter": {"toIngestTimestamp": 5}}}},
        {"additionalFields": {"eventlist": {}}},
        {"additionalFields": {"eventList": {"field": "a"}}},
        {"additionalFields": {"eventList": {"fields": ["a"]}}},
        {"destination": {"datasetId": DATASET, "segmentPerbatch": True}},
        {"evaluationInfo": {"segmentation": "false"}},
        {"evaluationInfo": {"segmentations": True}},
        {"evaluationInfo": True},
        {"mergePolicy": {"id": 5}},
        {"mergePolicy": {"id": "mp", "version": "1"}},
        {"mergePolicy": {"id": "mp", "versions": 1}},
        {"filter": {"segments": [{"segmentId": SEGMENT, "segmentNs": 5}]}},
        {"filter": {"fromIngestTimestamp": "0001-01-01T00:00:00+01:00"}},
        {"filter": {"segmentQualificationTime": {"endTime": "9999-12-31T23:59:59-00:01"}}},
    ],
)
async def test_a_body_that_cannot_be_exported_is_a_400(platform, changes):
    reply = await platform.call("POST", EXPORT_JOBS, json=an_export(**changes))
    assert reply.status == 400, reply.raw
    assert reply.body["errors"]["400"]
    assert (await platform.ledger())["submissions"] == []


async def test_everything_that_is_documented_can_be_asked_for(platform):
    body = an_export(
        fields="person.name.firstName,identities.id",
        mergePolicy={"id": "e5bc94de-cd14-4cdf-a2bc-88b6e8cbfac2", "version": 1},
        filter={
            "segments": [{"segmentId": SEGMENT, "segmentNs": "ups", "status": ["realized", "existing", "exited"]}],
            "segmentQualificationTime": {"startTime": "0001-01-01T00:00:00Z", "endTime": "9999-12-31T23:59:59Z"},
            "fromIngestTimestamp": "2018-10-25T13:22:04-07:00",
            "emptyProfiles": True,
        },
        additionalFields={
            "eventList": {
                "fields": "timestamp",
                "filter": {
                    "fromIngestTimestamp": "2018-10-25T13:22:04-07:00",
                    "toIngestTimestamp": "2030-01-01T00:00:00Z",
                },
            }
        },
        destination={"datasetId": DATASET, "segmentPerBatch": False},
        evaluationInfo={"segmentation": True},
    )
    reply = await platform.call("POST", EXPORT_JOBS, json=body)
    assert reply.status == 200, reply.raw


async def test_the_segment_from_outside_can_be_named_and_what_is_wrong_is_said(platform):
    outside = {"segments": [{"segmentId": "24130077", "segmentNs": "AAM"}]}
    assert (await platform.call("POST", EXPORT_JOBS, json=an_export(filter=outside))).status == 200
    for changes, words in [
        ({"filter": {"segments": []}}, "leave it out to export every profile"),
        ({"filter": {"segments": [{"segmentId": "nope"}]}}, "No segment definition with id 'nope'"),
        ({"bogus": 1}, "The body has 'bogus': write fields, mergePolicy, filter"),
    ]:
        reply = await platform.call("POST", EXPORT_JOBS, json=an_export(**changes))
        assert words in reply.raw.decode()


async def test_a_new_union_dataset_can_be_a_target_and_another_schema_cannot(platform):
    union = {"id": "https://ns.adobe.com/xdm/context/profile__union", "contentType": "x"}
    created = await platform.call("POST", DATASETS, json={"name": "New", "schemaRef": union})
    target = created.body[0].rsplit("/")[-1]
    fits = await platform.call("POST", EXPORT_JOBS, json=an_export(destination={"datasetId": target}))
    assert fits.status == 200
    created = await platform.call("POST", DATASETS, json={"name": "Events", "schemaRef": union | {"id": "other"}})
    target = created.body[0].rsplit("/")[-1]
    assert (await platform.call("POST", EXPORT_JOBS, json=an_export(destination={"datasetId": target}))).status == 400


async def walk(platform, **params):
    """Return the pages of a walk along the links, each as a list of ids."""
    found, body = [], await platform.get(EXPORT_JOBS, params=params)
    while True:
        found.append([job["id"] for job in body["records"]])
        assert body["page"]["pageSize"] == len(body["records"])
        if body["link"]["next"] == "":
            return found
        assert body["link"]["next"].startswith("/export/jobs/?")
        body = await platform.get(UPS + body["link"]["next"])


async def test_the_tokens_lead_through_all_pages_newest_first(platform):
    ids = await platform.place("export_job", HOLD, count=5)
    assert await walk(platform, limit="2") == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert await walk(platform, limit="5") == [ids[::-1]]


async def test_jobs_that_come_while_paging_do_not_shift_the_pages(platform):
    ids = await platform.place("export_job", HOLD, count=4)
    first = await platform.get(EXPORT_JOBS, params={"limit": "2"})
    await platform.place("export_job", HOLD, count=3)
    second = await platform.get(UPS + first["link"]["next"])
    assert [job["id"] for job in second["records"]] == [ids[1], ids[0]]


async def test_pages_can_be_filtered_and_numbers_skip(platform):
    done = await platform.place("export_job", ["SUCCEEDED", 0], count=3)
    await platform.place("export_job", HOLD, count=2)
    assert await walk(platform, limit="2", status="SUCCEEDED") == [[done[2], done[1]], [done[0]]]
    assert [job["id"] for job in (await platform.get(EXPORT_JOBS, params={"offset": "3"}))["records"]] == [
        done[1],
        done[0],
    ]
    assert (await platform.call("GET", EXPORT_JOBS, params={"offset": "a_b"})).status == 400
    assert (await platform.get(EXPORT_JOBS, params={"offset": "99"}))["records"] == []


async def test_ten_rows_make_a_page_when_nobody_says_more(platform):
    await platform.place("export_job", HOLD, count=12)
    assert len((await platform.get(EXPORT_JOBS))["records"]) == 10


async def test_an_export_that_succeeded_carries_times_and_counters(platform):
    (job_id,) = await platform.place("export_job", ["NEW", 0.01], ["PROCESSING", 0.02], ["SUCCEEDED", 0])
    await platform.until_status(job_id, "SUCCEEDED")
    job = await platform.get(f"{EXPORT_JOBS}/{job_id}")
    metrics = job["metrics"]
    assert metrics["totalTime"]["endTimeInMs"] == metrics["aCPDatasetWriteTime"]["endTimeInMs"]
    assert metrics["profileExportTime"]["totalTimeInMs"] >= 0
    assert metrics["totalExportedProfileCounter"] == metrics["exportedProfileByNamespaceCounter"]["email"] > 0
    assert job["computeGatewayJobId"].keys() == {"exportJob", "pushJob"}
    assert job["destination"]["batchId"]


async def test_an_export_that_failed_names_the_special_and_the_general_error(platform):
    (job_id,) = await platform.place("export_job", ["PROCESSING", 0], ["FAILED", 0])
    job = await platform.get(f"{EXPORT_JOBS}/{job_id}")
    assert [error["code"] for error in job["errors"]] == ["0090000009", "unknown"]
    assert job["destination"]["batchId"] == ""
    assert "aCPDatasetWriteTime" not in job["metrics"]
    assert job["metrics"]["totalTime"]["endTimeInMs"] == job["updateTime"]


async def test_a_cancelled_export_ends_failed_and_says_so():
    async with emulating(speed=100) as platform:
        (job_id,) = await platform.place("export_job", HOLD)
        reply = await platform.call("DELETE", f"{EXPORT_JOBS}/{job_id}")
        assert reply.status == 200
        assert reply.body == {"status": True, "message": "Export job has been marked for cancelling"}
        await platform.until_status(job_id, "FAILED")
        errors = (await platform.get(f"{EXPORT_JOBS}/{job_id}"))["errors"]
        assert "cancel" in errors[0]["msg"]


async def test_cancelling_twice_is_one_cancel_and_after_the_end_it_is_none():
    async with emulating(speed=20) as platform:
        (job_id,) = await platform.place("export_job", HOLD)
        for _ in range(3):
            await platform.call("DELETE", f"{EXPORT_JOBS}/{job_id}")
        before = await platform.until_status(job_id, "FAILED")
        assert [status for status, _ in before["history"]].count("FAILED") == 1
        assert (await platform.call("DELETE", f"{EXPORT_JOBS}/{job_id}")).status == 200
        assert await platform.state_of(job_id) == before


@pytest.mark.parametrize("job_id", ["99999", "no-number", "9" * 5000])
async def test_an_unknown_export_is_a_404(platform, job_id):
    for method in ("GET", "DELETE"):
        assert (await platform.call(method, f"{EXPORT_JOBS}/{job_id}")).status == 404
