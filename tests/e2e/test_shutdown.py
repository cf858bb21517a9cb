"""SIGTERM and SIGINT drain and end it, whatever hangs; SIGHUP and POST /-/reload change the settings."""

import signal

from house import House, an_export
from receiver import HANG


async def test_sigint_ends_it_like_sigterm(house: House) -> None:
    daemon = await house.daemon()
    await house.watching(daemon)
    assert await daemon.stop(signal.SIGINT) == 0
    assert [daemon.process.logged(event) != [] for event in ("stopping", "stopped")] == [True, True]
    assert "Traceback" not in daemon.process.text()


async def test_it_ends_within_ten_seconds_with_300_jobs_a_dead_receiver_and_a_dead_platform(house: House) -> None:
    patient = house.channel("events", timeout="60s")
    daemon = await house.daemon(channels=[patient], platform={"timeout": "30s"})
    await house.watching(daemon)
    jobs = await house.platform.place("segment_job", ["PROCESSING", 600], ["SUCCEEDED", 0], count=200)
    jobs += await house.platform.place("export_job", ["PROCESSING", 600], ["SUCCEEDED", 0], count=100)
    await house.inbox.until_each("job.processing", jobs, within_s=15)
    house.inbox.answer("events", then=HANG)
    arrived = len(house.inbox.got)
    await house.platform.place("export_job", ["FAILED", 0], body=an_export(fields="more"))
    await house.inbox.until_true(lambda: len(house.inbox.got) > arrived, "a request that hangs")
    await house.platform.fault(fault={"delay_s": 60})
    before = await house.platform.requests("GET")
    assert before
    assert await daemon.process.stop(within_s=10) == 0
    assert daemon.process.logged("stopped")
    assert "Traceback" not in daemon.process.text()

    house.inbox.answer("events")
    await house.platform.heal()
    await house.daemon()
    await house.inbox.until("job.failed")  # what was under way is not lost


async def test_a_reload_applies_what_changed_and_a_bad_one_changes_nothing(house: House) -> None:
    daemon = await house.daemon(polling={"interval": "2s", "idle_interval": "1s"})
    await house.watching(daemon)
    house.write(
        sandboxes=[house.sandbox("prod"), house.sandbox("dev")],
        channels=[house.channel("events"), house.channel("second")],
        routes=[{"match": {}, "channels": ["events", "second"]}],
    )
    assert await daemon.reload() == (200, "reloaded\n")
    await house.watching(daemon, sandbox="dev")
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 1], ["SUCCEEDED", 0], sandbox="dev")
    await house.inbox.until("job.succeeded", job_id=job, channel="second")
    await house.inbox.until("job.succeeded", job_id=job)
    await daemon.until_metric(1, "segwatch_config_last_reload_successful")

    good = house.config.read_text()
    house.config.write_text(good.replace('"kind": "webhook"', "").replace("interval", "intervall", 1))
    checked = await house.command("check")
    assert checked.code == 2
    status, text = await daemon.reload()
    assert (status, text.splitlines()) == (400, checked.lines)
    await daemon.until_metric(0, "segwatch_config_last_reload_successful")
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 1], ["SUCCEEDED", 0], sandbox="dev")
    await house.inbox.until("job.succeeded", job_id=job, channel="second")
    daemon.process.send(signal.SIGHUP)
    await daemon.process.until_logged("reload_refused")

    house.write()
    daemon.process.send(signal.SIGHUP)
    await daemon.until_metric(1, "segwatch_config_last_reload_successful")
    swept = await daemon.metric("segwatch_last_poll_timestamp_seconds", sandbox="dev")
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 2], ["SUCCEEDED", 0])
    await house.inbox.until("job.succeeded", job_id=job)
    assert not house.inbox.letters(channel="second", job_id=job)
    assert await daemon.metric("segwatch_last_poll_timestamp_seconds", sandbox="dev") in (0, swept)
    assert await daemon.is_healthy()


async def test_signals_at_any_moment_end_it_cleanly(house: House) -> None:
    house.write()
    starting = await house.run_daemon()
    await starting.until_logged("listening")
    starting.send(signal.SIGTERM)
    assert await starting.ended() == 0

    daemon = await house.daemon()
    for _ in range(5):
        daemon.process.send(signal.SIGHUP)
    daemon.process.send(signal.SIGTERM)
    daemon.process.send(signal.SIGINT)
    assert await daemon.process.ended() == 0

    daemon = await house.daemon()
    await house.platform.place("segment_job", ["PROCESSING", 600], ["SUCCEEDED", 0], count=20)
    await house.inbox.until("job.discovered")
    daemon.process.send(signal.SIGHUP)
    await daemon.process.until_logged("reloaded")
    daemon.process.send(signal.SIGHUP)
    assert await daemon.stop() == 0
