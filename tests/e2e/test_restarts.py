"""What happened while the daemon was down, and two daemons at once."""

import signal

from house import EXPORTS, OTHER_SEGMENT, SEGMENT, Daemon, House, an_export, until

_RUNS = (["PROCESSING", 600], ["SUCCEEDED", 0])


async def test_jobs_that_ended_before_the_very_first_start_are_recorded_and_not_announced(house: House) -> None:
    (failed,) = await house.platform.place("export_job", ["PROCESSING", 0], ["FAILED", 0], body=an_export())
    (done,) = await house.platform.place("segment_job", ["SUCCEEDED", 0])
    (runs,) = await house.platform.place("segment_job", *_RUNS)
    daemon = await house.daemon()
    await house.inbox.until("job.discovered", job_id=runs)
    await house.swept(daemon, times=2)
    listed = (await house.command("jobs", "list", "--json")).json
    assert {(job["id"], job["status"]) for job in listed} == {
        (failed, "FAILED"), (done, "SUCCEEDED"), (runs, "PROCESSING"),
    }  # fmt: skip
    assert {letter.data["job_id"] for letter in house.inbox.letters()} == {runs}
    assert await house.platform.submissions() == []


async def test_a_first_list_that_is_wrongly_empty_makes_no_news_of_what_was_over(house: House) -> None:
    (old,) = await house.platform.place("export_job", ["FAILED", 0], body=an_export())
    empty = {"rewrite": {"records": [], "link": {"next": ""}}}
    await house.platform.fault(f"{EXPORTS}*", method="GET", fault=empty, times=1)
    daemon = await house.daemon()

    async def known() -> bool:
        return [job["id"] for job in (await house.command("jobs", "list", "--json")).json] == [old]

    await until(known, "the failed export is recorded")
    await house.swept(daemon)
    assert house.inbox.letters() == []
    assert await house.platform.submissions() == []


async def test_what_happened_while_it_was_down_is_told_once_and_as_late(house: House) -> None:
    daemon = await house.daemon()
    await house.watching(daemon)
    for end in (signal.SIGTERM, signal.SIGKILL):
        daemon = await _missed(house, daemon, end)


async def _missed(house: House, daemon: Daemon, end: signal.Signals) -> Daemon:
    """Let jobs end and begin and end while nobody watches, and return the next daemon."""
    watched = await house.platform.place("export_job", *_RUNS, body=an_export(fields=f"a.{end}"))
    watched += await house.platform.place("segment_job", *_RUNS)
    still = await house.platform.place("segment_job", *_RUNS)
    await house.inbox.until_each("job.processing", watched + still)
    if end is signal.SIGTERM:
        assert await daemon.stop() == 0
    else:
        await daemon.kill()
    await house.platform.set_status("export_job", watched[0], "SUCCEEDED")
    await house.platform.set_status("segment_job", watched[1], "FAILED")
    (unseen,) = await house.platform.place("export_job", ["PROCESSING", 0], ["FAILED", 0], body=an_export(fields="b"))
    (quick,) = await house.platform.place("segment_job", ["PROCESSING", 0], ["SUCCEEDED", 0])

    daemon = await house.daemon()
    await house.inbox.until_each("job.succeeded", [watched[0], quick])
    await house.inbox.until_each("job.failed", [watched[1], unseen])
    await house.swept(daemon, times=1)
    for job in (*watched, unseen, quick):
        (final,) = [one for one in house.inbox.letters(job_id=job) if one.type in ("job.succeeded", "job.failed")]
        assert final.data["late"] is True
    await house.platform.set_status("segment_job", still[0], "SUCCEEDED")
    seen = await house.inbox.until("job.succeeded", job_id=still[0])
    assert seen.data["late"] is False
    submitted = await house.inbox.until("export.retry_submitted", job_id=unseen)
    await house.platform.set_status("export_job", submitted.data["new_job_id"], "SUCCEEDED")
    await house.inbox.until("export.recovered", root=unseen)
    return daemon


async def test_a_second_daemon_on_one_store_is_refused_and_told_by_whom(house: House) -> None:
    daemon = await house.daemon()
    second = await house.run_daemon()
    assert await second.ended() == 1
    (line,) = second.text().splitlines()  # so it never listened either
    assert f"is in use by another segwatch daemon, process {daemon.process.pid}. Stop it first" in line
    assert await daemon.is_ready()


async def test_the_size_of_a_named_segment_outlives_the_process(house: House) -> None:
    daemon = await house.daemon(metrics={"segments": [SEGMENT]})
    await house.watching(daemon)
    body = [{"segmentId": one} for one in (SEGMENT, OTHER_SEGMENT)]
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 1], ["SUCCEEDED", 0], body=body)
    await house.inbox.until("job.succeeded", job_id=job)
    size = await daemon.metric("segwatch_segment_profiles", sandbox="prod", segment=SEGMENT)
    assert size == house.inbox.letters("job.succeeded", job_id=job)[0].data["profiles"][SEGMENT] > 0
    await daemon.kill()
    await house.platform.fault(fault={"status": 503}, method="GET")  # so that what is known comes from the store
    daemon = await house.daemon()
    await daemon.until_metric(size, "segwatch_segment_profiles", sandbox="prod", segment=SEGMENT)
    assert await daemon.metric("segwatch_segment_profiles") == size
