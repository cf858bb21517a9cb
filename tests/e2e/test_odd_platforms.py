"""Platforms that answer, but not as the documents say."""

from house import House, an_export


async def test_jobs_that_disappear_are_told_as_vanished_within_thirty_intervals(house: House) -> None:
    daemon = await house.daemon()
    await house.watching(daemon)
    (export,) = await house.platform.place("export_job", ["PROCESSING", 600], ["SUCCEEDED", 0], body=an_export())
    (segment,) = await house.platform.place("segment_job", ["PROCESSING", 600], ["SUCCEEDED", 0])
    await house.inbox.until_each("job.processing", [export, segment])
    for kind, job in (("export_job", export), ("segment_job", segment)):
        await house.platform.json("DELETE", f"/_emulator/jobs/{kind}/{job}")
    await house.inbox.until_each("job.vanished", [export, segment], within_s=30)
    assert await daemon.metric("segwatch_job_transitions_total", status="VANISHED") == 2
    assert await daemon.metric("segwatch_jobs", status="PROCESSING") == 0


async def test_lists_that_shift_or_ignore_the_order_asked_for_hide_nothing(house: House) -> None:
    await house.platform.quirk(shifting_rows=True)
    daemon = await house.daemon()
    await house.watching(daemon)
    many = await house.platform.place("segment_job", ["PROCESSING", 3], ["SUCCEEDED", 0], count=250)
    many += await house.platform.place("segment_job", ["QUEUED", 600], ["SUCCEEDED", 0])
    await house.inbox.until_each("job.discovered", many)
    await house.inbox.until_each("job.succeeded", many[:-1], within_s=15)

    await house.platform.quirk(shifting_rows=True, ignore_sort=True)
    # the last of the old ones changes first of all, deep in a list that now goes by creation
    later = await house.platform.place("segment_job", ["PROCESSING", 600], ["SUCCEEDED", 0], count=120)
    await house.inbox.until_each("job.discovered", later)
    await house.platform.set_status("segment_job", many[-1], "FAILED")
    await house.platform.set_status("segment_job", later[0], "SUCCEEDED")
    await house.inbox.until("job.failed", job_id=many[-1], within_s=15)
    await house.inbox.until("job.succeeded", job_id=later[0], within_s=15)
    assert daemon.process.logged("list_not_trusted", stream="prod/segment_job")
    assert len(house.inbox.letters("job.succeeded")) == 251
    assert await daemon.metric("segwatch_job_transitions_total", kind="segment_job", status="SUCCEEDED") == 251
