"""The platform as the older tutorials describe it."""

from pathlib import Path

from house import House, an_export


async def test_the_older_dialect_is_understood(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=["--dialect", "seed"]) as house:
        daemon = await house.daemon()
        await house.watching(daemon)
        jobs = await house.platform.place("segment_job", ["PROCESSING", 1], ["SUCCEEDED", 0])
        (failed,) = await house.platform.place("export_job", ["PROCESSING", 1], ["FAILED", 0], body=an_export())
        await house.inbox.until_each("job.succeeded", jobs)
        submitted = await house.inbox.until("export.retry_submitted", job_id=failed)
        await house.platform.set_status("export_job", submitted.data["new_job_id"], "SUCCEEDED")
        await house.inbox.until("export.recovered")
        assert await daemon.metric("segwatch_parse_errors_total") == 0
        assert daemon.process.logged("sweep_failed") == []
