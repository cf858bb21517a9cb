"""The promise under `kill -9`: nothing that ended goes untold, and no failure is answered twice."""

import asyncio
import random
import signal
from collections import Counter

from house import EXPORTS, House, an_export, until

from segwatch.cli.tally import duplicates

KILLS = 50
JOBS = 200
SPEED = 100
FEEDING_S = 30
LIFE_S = (0.05, 1.2)  # how long a daemon lives: from before its first look to several looks and submissions
TOLD = {"SUCCEEDED": "job.succeeded", "FAILED": "job.failed"}
ANSWERS = ("export.retry_submitted", "export.retry_adopted", "export.retry_refused")


async def feed(house: House, draw: random.Random, over: asyncio.Event) -> None:
    """Let jobs begin all the time while daemons come and go; every fourth export and some segment jobs fail."""
    for number in range(JOBS):
        kind = "export_job" if number % 2 else "segment_job"
        end = "FAILED" if number % 8 in (1, 4) else "SUCCEEDED"
        script = (["NEW", SPEED * draw.uniform(0.2, 1.5)], ["PROCESSING", SPEED * draw.uniform(0.5, 4.0)], [end, 0])
        body = {"body": an_export(fields=f"person.field{number}")} if kind == "export_job" else {}
        await house.platform.place(kind, *script, **body)
        await asyncio.sleep(draw.uniform(0, 2 * FEEDING_S / JOBS))
    over.set()


async def kill_again_and_again(house: House, draw: random.Random) -> None:
    for _ in range(KILLS):
        process = await house.run_daemon()
        await asyncio.sleep(draw.uniform(*LIFE_S))  # the moment of death is what the test is about
        process.send(signal.SIGKILL)
        await process.ended()


async def open_ends(house: House) -> list[str]:
    """Return what is not told or not answered yet."""
    told = {(one.type, one.data["kind"], one.data["job_id"]) for one in house.inbox.letters()}
    found = []
    for job_id, job in (await house.platform.jobs()).items():
        if job["status"] not in TOLD:
            found.append(f"{job_id} runs")
        elif (TOLD[job["status"]], job["kind"], job_id) not in told:
            found.append(f"{job['kind']} {job_id} ended {job['status']} {job['ended_ms']}, untold")
        elif job["kind"] == "export_job" and job["status"] == "FAILED":
            answered = any((answer, "export_job", job_id) in told for answer in ANSWERS)
            found += [] if answered else [f"{job_id} failed, unanswered"]
    return found


async def test_fifty_kills_lose_no_transition_and_submit_nothing_twice(tmp_path):
    draw = random.Random(7)
    async with House(tmp_path, emulator=["--speed", str(SPEED)]) as house:
        await house.platform.fault(
            f"{EXPORTS}*", method="POST", fault={"accept_then_reset": True}, probability=0.3, times=100_000
        )
        await house.platform.outcomes(*["SUCCEEDED", "SUCCEEDED", "FAILED"] * 10)
        retry = {"first_delay": "1s", "max_delay": "2s", "settle_window": "5s"}
        daemon = await house.daemon(retry=retry | {"max_per_day": 1000, "breaker_failures": 1000})
        await daemon.kill()

        feeding = asyncio.create_task(feed(house, draw, over := asyncio.Event()))
        await kill_again_and_again(house, draw)
        await asyncio.wait_for(over.wait(), 60)
        await feeding
        await house.daemon()

        still_open: list[str] = []

        async def nothing_is_open() -> bool:
            still_open[:] = await open_ends(house)
            return not still_open

        try:
            await until(nothing_is_open, "every end told, every failed export answered", within_s=60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {still_open}") from None

        jobs = await house.platform.jobs()
        failed = [job for job in jobs.values() if job["kind"] == "export_job" and job["status"] == "FAILED"]
        submissions = await house.platform.submissions()
        assert len(jobs) == JOBS + len(submissions)
        assert len(failed) >= JOBS / 8
        assert len(submissions) >= len(failed) / 2, "most failures are answered by a new export, not by a refusal"
        assert duplicates(failed, submissions) == 0

        log = (await house.command("events", "list", "--limit", "100000", "--json")).json
        ends = Counter((one["data"]["kind"], one["data"]["job_id"]) for one in log if one["type"] in TOLD.values())
        assert ends == Counter((job["kind"], job_id) for job_id, job in jobs.items()), "each end is logged once"
        refused = Counter(one["data"]["reason"] for one in log if one["type"] == "export.retry_refused")
        assert set(refused) <= {"undecided", "attempts"}
        sound = await house.command("db", "check")
        assert sound.code == 0, sound.out + sound.err
