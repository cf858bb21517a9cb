"""A run of a pipeline under `kill -9`: it ends well, and nothing was begun twice."""

import asyncio
import random
import signal

import pytest
from house import DATASET, EXPORTS, SEGMENT, SEGMENT_JOBS, House, until

KILLS = 30
SPEED = 25
LIFE_S = (0.05, 1.2)  # how long a daemon lives: from before its first look to several steps


def a_pipeline(**changes):
    return {
        "name": "nightly", "segments": [SEGMENT], "dataset": DATASET, "adopt_within": "2s", "step_deadline": "5m",
        "channels": ["events"],
    } | changes  # fmt: skip


async def kill_again_and_again(house, draw):
    for _ in range(KILLS):
        process = await house.run_daemon()
        await asyncio.sleep(draw.uniform(*LIFE_S))  # the moment of death is what the test is about
        process.send(signal.SIGKILL)
        await process.ended()


async def survives(folder, *, outcomes=()):
    """Let a run go on through all the kills, and return what the platform made for it.

    A kill in the milliseconds between the intent on disk and the request on the wire leaves nobody a way to know
    whether the platform has it: then the run is left to a person. Such a run says so, has made nothing of that kind,
    and other moments are drawn.
    """
    for seed in (11, 12, 13):
        made = await survived(folder / str(seed), random.Random(seed), outcomes)
        if made is not None:
            return made
    pytest.fail("three runs were left to a person")


async def survived(folder, draw, outcomes):
    folder.mkdir()
    async with House(folder, emulator=["--speed", str(SPEED), "--size", "500"]) as house:
        for path in (EXPORTS, SEGMENT_JOBS):
            await house.platform.fault(
                path, method="POST", fault={"accept_then_reset": True}, probability=0.3, times=100_000
            )
        if outcomes:
            await house.platform.outcomes(*outcomes)
        retry = {"first_delay": "1s", "max_delay": "2s", "settle_window": "5s"}
        house.write(retry=retry, pipelines=[a_pipeline(download=str(folder / "exports"))], routes=[])
        begun = await house.command("pipeline", "run", "nightly", "--json")
        assert begun.code == 0, begun.err

        await kill_again_and_again(house, draw)
        await house.daemon()

        async def over():
            shown = (await house.command("pipeline", "show", begun.json["id"], "--json")).json
            return shown if shown["state"] not in ("waiting", "running") else None

        run = await until(over, "the run's end", within_s=120)
        if run["reason"] == "undecided":
            await house.inbox.until("pipeline.failed", run=run["id"])
            made = (await house.platform.ledger())["submissions"]
            step = "segment_job" if run["step"] in ("evaluate", "evaluation") else "export_job"
            assert not [one for one in made if one["kind"] == step], run
            return None
        assert run["state"] == "succeeded", run
        await house.inbox.until("pipeline.succeeded", run=run["id"])

        log = (await house.command("events", "list", "--limit", "10000", "--json")).json
        told = [one for one in log if one["data"].get("run") == run["id"]]
        assert [one["data"]["sequence"] for one in told] == list(range(1, len(told) + 1))
        assert told[0]["type"] == "pipeline.started"
        assert [one["data"]["step"] for one in told if one["type"] == "pipeline.step_done"] == [
            "evaluate", "evaluation", "dataset", "export", "exporting", "check", "download",
        ]  # fmt: skip
        assert told[-1]["type"] == "pipeline.succeeded"
        files = [one for one in (folder / "exports" / run["id"]).rglob("*.parquet") if one.is_file()]
        assert sum(one.stat().st_size for one in files) == run["bytes"] > 0
        sound = await house.command("db", "check")
        assert sound.code == 0, sound.out + sound.err

        jobs = await house.platform.jobs()
        made = (await house.platform.ledger())["submissions"]
        return [(one["kind"], jobs[str(one["id"])]["status"]) for one in made]


async def test_thirty_kills_leave_one_evaluation_and_one_export(tmp_path):
    made = await survives(tmp_path)
    assert sorted(made) == [("export_job", "SUCCEEDED"), ("segment_job", "SUCCEEDED")]


async def test_an_export_that_fails_between_kills_is_answered_once(tmp_path):
    made = await survives(tmp_path, outcomes=["FAILED"])
    assert sorted(made) == [("export_job", "FAILED"), ("export_job", "SUCCEEDED"), ("segment_job", "SUCCEEDED")]
