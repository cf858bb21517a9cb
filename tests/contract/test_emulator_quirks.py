"""Oddities that can be switched on: each of them seen in an answer. AEP contract 13."""

import pytest
from emulator_fixtures import (
    DATASET,
    EXPORT_JOBS,
    SCHEDULES,
    SEGMENT_JOBS,
    UPS,
    an_export,
    emulating,
)

HOLD = ["PROCESSING", 3600]


async def switch_on(platform, *names):
    return await platform.control("quirks", dict.fromkeys(names, True))


async def test_quirks_are_off_at_first_and_can_be_switched_on_and_off(platform):
    assert not any((await platform.control("quirks", method="GET")).values())
    assert (await switch_on(platform, "no_links"))["no_links"] is True
    assert (await platform.control("quirks", {"no_links": False}))["no_links"] is False


async def test_the_sort_can_be_ignored(platform):
    ids = await platform.place("segment_job", HOLD, count=2)
    await platform.control(f"jobs/segment_job/{ids[0]}/status", {"status": "SUCCEEDED"})
    await switch_on(platform, "ignore_sort")
    rows = (await platform.get(SEGMENT_JOBS, params={"sort": "updateTime:desc"}))["children"]
    assert [row["id"] for row in rows] == ids[::-1]


async def test_start_can_count_items(platform):
    ids = await platform.place("segment_job", HOLD, count=5)
    await switch_on(platform, "item_offset_start")
    body = await platform.get(SEGMENT_JOBS, params={"limit": "2", "start": "2"})
    assert [row["id"] for row in body["children"]] == [ids[2], ids[1]]
    assert body["_page"]["next"] == "4"
    assert "start=4&" in body["_links"]["next"]["href"]


@pytest.mark.parametrize(
    ("quirk", "segment_link", "export_link"),
    [
        ("absolute_links", "{base}/data/core/ups/segment/jobs?", "{base}/data/core/ups/export/jobs/?"),
        ("ups_relative_links", "/segment/jobs?", "/export/jobs/?"),
    ],
)
async def test_links_can_take_other_forms(platform, quirk, segment_link, export_link):
    await platform.place("segment_job", HOLD, count=2)
    await platform.place("export_job", HOLD, count=2)
    await switch_on(platform, quirk)
    segments = await platform.get(SEGMENT_JOBS, params={"limit": "1"})
    exports = await platform.get(EXPORT_JOBS, params={"limit": "1"})
    assert segments["_links"]["next"]["href"].startswith(segment_link.format(base=platform.base_url))
    assert exports["link"]["next"].startswith(export_link.format(base=platform.base_url))


async def test_links_can_be_left_out(platform):
    await platform.place("segment_job", HOLD, count=2)
    await platform.place("export_job", HOLD, count=2)
    await switch_on(platform, "no_links")
    assert (await platform.get(SEGMENT_JOBS, params={"limit": "1"})).keys() == {"_page", "children"}
    assert (await platform.get(EXPORT_JOBS, params={"limit": "1"})).keys() == {"records", "page"}


async def test_later_pages_can_repeat_a_row(platform):
    segments = await platform.place("segment_job", HOLD, count=4)
    exports = await platform.place("export_job", HOLD, count=4)
    await switch_on(platform, "shifting_rows")
    second = await platform.get(SEGMENT_JOBS, params={"limit": "2", "start": "1"})
    assert [row["id"] for row in second["children"]] == [segments[2], segments[1], segments[0]]
    first = await platform.get(EXPORT_JOBS, params={"limit": "2"})
    second = await platform.get(UPS + first["link"]["next"])
    assert [row["id"] for row in second["records"]] == [exports[2], exports[1], exports[0]]
    assert second["link"]["next"] == ""


async def test_an_error_can_come_with_a_200(platform):
    (segment_id,) = await platform.place("segment_job", HOLD)
    (export_id,) = await platform.place("export_job", HOLD)
    await switch_on(platform, "error_envelope_200")
    for path in (SEGMENT_JOBS, f"{SEGMENT_JOBS}/{segment_id}", EXPORT_JOBS, f"{EXPORT_JOBS}/{export_id}"):
        assert (await platform.get(path))["errors"]["500"]


async def test_a_cancelled_export_can_end_cancelled():
    async with emulating(speed=100) as platform:
        (job_id,) = await platform.place("export_job", HOLD)
        await switch_on(platform, "export_cancel_status")
        await platform.call("DELETE", f"{EXPORT_JOBS}/{job_id}")
        job = await platform.until_status(job_id, "CANCELLED")
        assert [status for status, _ in job["history"]] == ["PROCESSING", "CANCELLING", "CANCELLED"]


async def test_batches_can_be_nameless_or_an_object(platform):
    several = an_export(destination={"datasetId": DATASET, "segmentPerBatch": True})
    ids = [(await platform.place("export_job", HOLD, body=body))[0] for body in (an_export(), several)]
    await switch_on(platform, "no_batch_id", "object_batches")
    single, many = [(await platform.get(f"{EXPORT_JOBS}/{job_id}"))["destination"] for job_id in ids]
    assert "batchId" not in single
    assert isinstance(many["batches"], dict)
    assert "batchId" not in many["batches"]


async def test_jobs_can_carry_errors_on_success_extra_fields_and_seconds(platform):
    (segment_id,) = await platform.place("segment_job", ["SUCCEEDED", 0])
    (export_id,) = await platform.place("export_job", ["SUCCEEDED", 0])
    await switch_on(platform, "errors_on_success", "extra_fields", "seconds_epochs")
    for path in (f"{SEGMENT_JOBS}/{segment_id}", f"{EXPORT_JOBS}/{export_id}"):
        job = await platform.get(path)
        assert job["status"] == "SUCCEEDED"
        assert job["errors"]
        assert job["x_extra"]
        assert job["creationTime"] < 1e11
        assert job["updateTime"] < 1e11


async def test_bulk_get_can_be_partial(platform):
    (job_id,) = await platform.place("segment_job", HOLD)
    await switch_on(platform, "partial_bulk_get")
    results = (await platform.call("POST", f"{SEGMENT_JOBS}/bulk-get", json=[job_id])).body["results"]
    assert results[job_id].keys() == {"id", "status", "creationTime", "updateTime"}


async def test_a_sandbox_can_have_several_schedules(platform):
    body = {"name": "n", "type": "batch_segmentation", "properties": {"segments": ["*"]}}
    codes = [(await platform.call("POST", SCHEDULES, json=body)).status for _ in range(2)]
    await switch_on(platform, "multi_schedules")
    codes.append((await platform.call("POST", SCHEDULES, json=body)).status)
    assert codes == [200, 400, 200]
