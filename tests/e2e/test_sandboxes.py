"""Several sandboxes in one daemon: what ails one is no other's trouble."""

from pathlib import Path

from house import CLIENT_SECRET, House, an_export, until


async def test_a_sandbox_with_wrong_credentials_disturbs_no_other(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=["--client-secret", CLIENT_SECRET]) as house:
        boxes = [house.sandbox("prod"), house.sandbox("broken", client_secret="wr0ng-s3cr3t"), house.sandbox("dev")]
        daemon = await house.daemon(sandboxes=boxes)
        await house.watching(daemon)
        unauthorized = await house.inbox.until("sandbox.unauthorized")
        assert (unauthorized.data["sandbox"], unauthorized.data["severity"]) == ("broken", "critical")
        script = (["PROCESSING", 1], ["SUCCEEDED", 0])
        jobs = await house.platform.place("export_job", *script, body=an_export())
        jobs += await house.platform.place("segment_job", *script, sandbox="dev")
        await house.inbox.until_each("job.succeeded", jobs)
        assert {letter.data["sandbox"] for letter in house.inbox.letters("job.succeeded")} == {"prod", "dev"}
        ups = [await daemon.metric("segwatch_up", sandbox=name) for name in ("prod", "broken", "dev")]
        assert ups == [1, 0, 1]
        assert await daemon.is_healthy()
        assert await daemon.is_ready()
        # wrong credentials cannot heal by themselves: the identity service must not be hammered
        assert await house.platform.requests("POST /ims/token/v3", 400) <= 2
        assert "wr0ng-s3cr3t" not in daemon.process.text()

        house.write(sandboxes=[house.sandbox(name) for name in ("prod", "broken", "dev")])
        assert await daemon.reload() == (200, "reloaded\n")
        await house.inbox.until("sandbox.recovered", sandbox="broken")


async def test_a_sandbox_with_a_tiny_budget_is_slow_alone(house: House) -> None:
    slow = house.sandbox("slow", client_id="another-id", requests_per_second=1.0, burst=1)
    daemon = await house.daemon(sandboxes=[slow, house.sandbox("prod")])
    await house.watching(daemon)
    (job,) = await house.platform.place("export_job", ["PROCESSING", 0.5], ["SUCCEEDED", 0], body=an_export())
    (late,) = await house.platform.place("segment_job", ["PROCESSING", 600], ["SUCCEEDED", 0], sandbox="slow")
    await house.inbox.until("job.succeeded", job_id=job, within_s=5)
    await house.inbox.until("job.discovered", job_id=late, within_s=20)

    async def calls() -> bool:
        return await daemon.metric("segwatch_api_requests_total", sandbox="slow") >= 3

    await until(calls, "three calls in the slow sandbox", within_s=20)
    assert await daemon.metric("segwatch_api_requests_total", sandbox="slow") < (
        await daemon.metric("segwatch_api_requests_total", sandbox="prod")
    )


async def test_what_ended_in_a_sandbox_before_a_reload_added_it_is_recorded_and_not_announced(house: House) -> None:
    daemon = await house.daemon()
    await house.watching(daemon)
    (old,) = await house.platform.place("export_job", ["FAILED", 0], sandbox="dev", body=an_export())
    house.write(sandboxes=[house.sandbox("prod"), house.sandbox("dev")])
    assert await daemon.reload() == (200, "reloaded\n")
    await house.watching(daemon, sandbox="dev")
    (new,) = await house.platform.place("export_job", ["FAILED", 0], sandbox="dev", body=an_export(fields="new"))
    await house.inbox.until("job.failed", job_id=new)
    listed = (await house.command("jobs", "list", "--sandbox", "dev", "--json")).json
    assert {job["id"] for job in listed} >= {old, new}
    assert house.inbox.letters(job_id=old) == []
    submitted = await house.platform.submissions(sandbox="dev")
    assert [one["body"] for one in submitted if one["body"].get("fields") != "new"] == []


async def test_a_failure_whose_sandbox_left_the_settings_is_not_forgotten(house: House) -> None:
    daemon = await house.daemon(retry={"first_delay": "1h", "max_delay": "1h"})
    await house.watching(daemon)
    (failed,) = await house.platform.place("export_job", ["PROCESSING", 1], ["FAILED", 0], body=an_export())
    await house.inbox.until("export.retry_scheduled", job_id=failed)
    house.write(sandboxes=[house.sandbox("dev")])
    assert (await daemon.reload())[0] == 200
    await daemon.process.until_logged("failure_of_no_sandbox", job=f"prod/export_job/{failed}")
    ended = await house.command("jobs", "retry", failed)
    assert (ended.code, "the settings have no sandbox prod" in ended.err) == (1, True)
