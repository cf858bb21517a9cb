"""The main job: a failing export is told, submitted again, and its recovery closes what its failure opened.

And the platform's own recovery: seen soon, however long it was away.
"""

import asyncio

from house import House, an_export


async def test_a_failing_export_is_told_resubmitted_once_and_recovers(house: House) -> None:
    daemon = await house.daemon()
    await house.watching(daemon)
    script = (["NEW", 1.5], ["PROCESSING", 1.5], ["FAILED", 0])
    (failed,) = await house.platform.place("export_job", *script, body=an_export())
    submitted = await house.inbox.until("export.retry_submitted", job_id=failed)
    new = submitted.data["new_job_id"]
    await house.platform.set_status("export_job", new, "SUCCEEDED")
    recovered = await house.inbox.until("export.recovered")

    assert house.inbox.types(job_id=failed) == [
        "job.discovered", "job.processing", "job.failed", "export.retry_scheduled", "export.retry_submitted",
    ]  # fmt: skip
    assert house.inbox.types(job_id=new)[0] == "job.discovered"
    assert house.inbox.types(job_id=new)[-2:] == ["job.succeeded", "export.recovered"]
    for job in (failed, new):
        numbers = [letter.data["sequence"] for letter in house.inbox.letters(job_id=job)]
        assert numbers == list(range(1, len(numbers) + 1))
    assert (recovered.data["root"], recovered.data["last_job_id"]) == (failed, new)
    assert len({letter.webhook_id for letter in house.inbox.got}) == len(house.inbox.got)

    (submission,) = await house.platform.submissions()
    assert submission["body"]["filter"]["segments"][0]["segmentId"] == an_export()["filter"]["segments"][0]["segmentId"]
    assert submission["body"]["destination"]["datasetId"] == an_export()["destination"]["datasetId"]
    assert await daemon.metric("segwatch_export_retries_total", result="submitted") == 1
    assert await daemon.metric("segwatch_job_transitions_total", kind="export_job", status="FAILED") == 1
    assert await daemon.metric("segwatch_up", sandbox="prod") == 1


async def test_the_end_of_an_outage_is_noticed_within_ten_seconds_however_long_it_lasted(house: House) -> None:
    daemon = await house.daemon()
    await house.watching(daemon)
    await house.platform.fault(fault={"status": 503}, method="GET")
    streams = ("prod/export_job", "prod/segment_job")
    await asyncio.gather(
        *(daemon.process.until_logged("sweep_failed", stream=one, failures=6, within_s=60) for one in streams)
    )
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 1], ["SUCCEEDED", 0])
    await house.platform.heal()
    await house.inbox.until("job.succeeded", job_id=job, within_s=12)
    told = await house.inbox.until("sandbox.recovered", within_s=3)  # whichever stream was answered, both are tried
    down = await house.inbox.until("sandbox.unreachable")
    assert down.data["since"] == told.data["since"] < down.event["timestamp"]
