"""No document says how many rows a page may have."""

from house import EXPORTS, House, an_export, until


async def test_a_platform_that_refuses_large_pages_is_asked_for_smaller_ones(house: House):
    await house.platform.fault(f"{EXPORTS}?limit=1000*", fault={"status": 400, "body": "{}"})
    daemon = await house.daemon()
    await daemon.process.until_logged("page_size_refused", stream="prod/export_job")
    await house.swept(daemon)
    assert await daemon.metric("segwatch_up", sandbox="prod") == 1
    [job_id] = await house.platform.place("export_job", ("NEW", 1.5), ("SUCCEEDED", 0), body=an_export())

    async def told() -> bool:
        counted = "segwatch_job_transitions_total"
        return await daemon.metric(counted, kind="export_job", status="SUCCEEDED") == 1

    await until(told, f"the end of {job_id}")
    assert await house.platform.requests(f"GET {EXPORTS}", 400) == 1
