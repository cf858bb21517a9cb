"""Evaluations of days that have passed: a history for whoever watches."""

import asyncio
import json
import shutil
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pytest
from emulator_fixtures import (
    DEFINITIONS,
    EXPORT_JOBS,
    OTHER_SEGMENT,
    SEGMENT,
    SEGMENT_JOBS,
    an_export,
    emulating,
    until,
)

from segwatch.emulator.bench import DataBench
from segwatch.emulator.lake import evaluation, histories

DAY_MS = 86_400_000
SEGMENTS = [SEGMENT, OTHER_SEGMENT]
RECENT = "a1b2c3d4-0003-4000-8000-000000000003"  # who bought within the last week: another crowd on each day
HISTORY = "/_emulator/history"


class Halt:
    """Stops the platform's computing at its nth piece of the history, until it is released."""

    def __init__(self, monkeypatch, *, at=3):
        self.reached, self._released, self._left = asyncio.Event(), asyncio.Event(), at
        computed = DataBench.computed

        async def halted(bench, work):
            if self._is_there(work):
                self.reached.set()
                await self._released.wait()
            return await computed(bench, work)

        monkeypatch.setattr(DataBench, "computed", halted)

    def release(self):
        self._released.set()

    def _is_there(self, work):
        if getattr(work, "func", None) is evaluation.evaluate_aside:
            self._left -= 1
            return self._left == 0
        return False


async def counted(platform, segment=RECENT):
    """Return what a segment job counts for the segment: entered or in it, and left."""
    job_id = (await platform.control("evaluations", {"segments": [segment]}))["id"]
    await platform.until_status(job_id, "SUCCEEDED")
    return await counts_of(platform, job_id, segment)


async def counts_of(platform, job_id, segment=RECENT):
    metrics = (await platform.get(f"{SEGMENT_JOBS}/{job_id}"))["metrics"]
    assert metrics["segmentedProfileCounter"].keys() == {segment}
    return metrics["segmentedProfileCounter"][segment], metrics["segmentedProfileByStatusCounter"][segment]["exited"]


async def exported(platform, status, segment=RECENT):
    """Return how many the platform exports of a segment."""
    wanted = {"segments": [{"segmentId": segment, "status": [status]}], "emptyProfiles": True}
    job_id = (await platform.call("POST", EXPORT_JOBS, json=an_export(filter=wanted))).body["id"]
    await platform.until_status(job_id, "SUCCEEDED")
    return (await platform.get(f"{EXPORT_JOBS}/{job_id}"))["metrics"]["totalExportedProfileCounter"]


async def demand_nothing_left(platform):
    """Nobody is in a segment, or was, and an evaluation is the first."""
    assert (await platform.get(SEGMENT_JOBS))["children"] == []
    assert [await exported(platform, status) for status in ("realized", "exited")] == [0, 0]
    found, left = await counted(platform)
    assert found > 0
    assert left == 0
    assert await exported(platform, "realized") == found


async def test_each_day_has_an_evaluation_that_has_long_ended_and_counted_for_real(platform):
    made = await platform.control("history", {"days": 3, "segments": SEGMENTS})
    rows = (await platform.get(SEGMENT_JOBS, params={"sort": "creationTime:asc"}))["children"]
    assert [row["id"] for row in rows] == made["ids"]
    now_ms = time.time() * 1000
    for days, row in zip((3, 2, 1), rows, strict=True):
        assert row["status"] == "SUCCEEDED"
        assert row["creationTime"] == pytest.approx(now_ms - days * DAY_MS, abs=60_000)
        assert row["metrics"]["totalTime"]["endTimeInMs"] < now_ms - (days - 1) * DAY_MS
    later = (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": one} for one in SEGMENTS])).body["id"]
    counts = [row["metrics"]["segmentedProfileCounter"] for row in rows]
    assert counts[0][SEGMENT] > 0
    assert counts[1:] == counts[:-1]
    assert (await platform.get(f"{SEGMENT_JOBS}/{later}"))["status"] in ("NEW", "QUEUED")


async def test_what_is_left_out_is_what_the_page_shows(platform):
    page = (Path(__file__).parents[2] / "docs/reference/emulator-control.md").read_text(encoding="utf-8")
    shown = int(page.split('| `POST /_emulator/history` | `{"days": ')[1].split(",")[0])
    assert len((await platform.control("history", {}))["ids"]) == shown


async def test_a_history_comes_before_the_first_job_and_outlives_the_process(tmp_path):
    async with emulating(data=tmp_path) as platform:
        made = await platform.control("history", {"days": 2})
        before = (await platform.get(SEGMENT_JOBS))["children"]
        reply = await platform.call("POST", "/_emulator/history", json={"days": 2})
        assert reply.status == 409
        assert "has segment jobs already" in reply.body["error"]
    async with emulating(data=tmp_path) as platform:
        assert (await platform.get(SEGMENT_JOBS))["children"] == before
        assert {job["id"] for job in (await platform.control("state", method="GET"))["jobs"]} == set(made["ids"])


async def test_a_reset_gives_up_a_history_that_is_being_made(monkeypatch, platform):
    reached = asyncio.Event()

    async def endless(bench, work):
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(DataBench, "computed", endless)
    making = asyncio.create_task(platform.call("POST", "/_emulator/history", json={"days": 2}))
    await reached.wait()
    await platform.control("reset")
    reply = await making
    assert reply.status == 409
    assert "was reset" in reply.body["error"]
    assert (await platform.get(SEGMENT_JOBS))["children"] == []


async def test_a_job_that_is_asked_for_meanwhile_is_the_first_and_the_history_is_not_there(monkeypatch):
    async with emulating(size=2000, speed=100_000) as platform:
        halt = Halt(monkeypatch)
        making = asyncio.create_task(platform.call("POST", HISTORY, json={"days": 30, "segments": [RECENT]}))
        await halt.reached.wait()
        found, left = await counted(platform)
        assert left == 0
        halt.release()
        assert (await making).status == 409
        assert await exported(platform, "realized") == found
        assert await exported(platform, "exited") == 0
        assert len((await platform.get(SEGMENT_JOBS))["children"]) == 1


@pytest.mark.parametrize("sandbox", ["prod", "dev"])
async def test_of_two_histories_at_once_the_later_is_refused_and_the_first_is_as_if_alone(monkeypatch, sandbox):
    order = {"days": 20, "segments": [RECENT]}
    async with emulating(size=2000, speed=100_000) as platform:
        alone = await platform.control("history", order)
        expected = [await counts_of(platform, one) for one in alone["ids"]]
        await platform.control("reset")
        halt = Halt(monkeypatch)
        first = asyncio.create_task(platform.control("history", order))
        await halt.reached.wait()
        reply = await platform.call("POST", HISTORY, json=order | {"days": 30, "sandbox": sandbox})
        assert reply.status == (409 if sandbox == "prod" else 200)
        halt.release()
        assert [await counts_of(platform, one) for one in (await first)["ids"]] == expected


async def asked_for(platform, order):
    """Ask for a history over a connection of its own, and return where that is closed."""
    address, body = urlsplit(platform.base_url), json.dumps(order).encode()
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"POST {HISTORY} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return writer


async def test_a_history_whose_caller_goes_away_leaves_nothing(monkeypatch):
    async with emulating(size=2000, speed=100_000) as platform:
        halt = Halt(monkeypatch)
        writer = await asked_for(platform, {"days": 30, "segments": [RECENT]})
        await halt.reached.wait()
        writer.close()
        await writer.wait_closed()
        halt.release()
        await until_no_history_is_made()
        await demand_nothing_left(platform)


async def until_no_history_is_made():
    async def none():
        return not any(task.get_name().startswith("history") for task in asyncio.all_tasks())

    await until(none)


async def test_a_history_of_a_segment_that_is_deleted_meanwhile_is_a_400_and_leaves_nothing(monkeypatch):
    async with emulating(size=2000, speed=100_000) as platform:
        halt = Halt(monkeypatch)
        expression = {"type": "PQL", "format": "pql/text", "value": "true"}
        body = {"name": "mine", "schema": {"name": "_xdm.context.profile"}, "expression": expression}
        mine = (await platform.call("POST", DEFINITIONS, json=body)).body["id"]
        making = asyncio.create_task(platform.call("POST", HISTORY, json={"days": 9, "segments": [RECENT, mine]}))
        await halt.reached.wait()
        await platform.call("DELETE", f"{DEFINITIONS}/{mine}")
        halt.release()
        reply = await making
        assert reply.status == 400
        assert "does not exist any more" in reply.body["error"]
        await demand_nothing_left(platform)


async def test_a_history_that_cannot_take_effect_is_not_there(monkeypatch, tmp_path):
    put_in_place = histories.put_in_place

    def failing(cursor, sandbox, job_id, *, settles):
        def settles_and_fails():
            settles()
            raise duckdb.IOException("the disk is full")

        return put_in_place(cursor, sandbox, job_id, settles=settles_and_fails)

    settings = {"size": 2000, "speed": 100_000, "data": tmp_path}
    async with emulating(**settings) as platform:
        with monkeypatch.context() as patched:
            patched.setattr(histories, "put_in_place", failing)
            reply = await platform.call("POST", HISTORY, json={"days": 3, "segments": [RECENT]})
        assert reply.status == 500
        assert (await platform.get(SEGMENT_JOBS))["children"] == []
    async with emulating(**settings) as platform:
        await demand_nothing_left(platform)


@pytest.mark.parametrize("is_put_down", [True, False])
async def test_killed_in_the_moment_in_which_it_takes_effect_a_history_is_whole_or_not_at_all(
    monkeypatch, tmp_path, is_put_down
):
    put_in_place = histories.put_in_place

    def copying(cursor, sandbox, job_id, *, settles):
        def settles_and_copies():
            if is_put_down:
                settles()
            shutil.copytree(tmp_path / "as-it-was", tmp_path / "killed")  # all that a kill leaves
            if not is_put_down:
                settles()

        return put_in_place(cursor, sandbox, job_id, settles=settles_and_copies)

    monkeypatch.setattr(histories, "put_in_place", copying)
    settings = {"size": 2000, "speed": 100_000}
    async with emulating(data=tmp_path / "as-it-was", **settings) as platform:
        made = (await platform.control("history", {"days": 20, "segments": [RECENT]}))["ids"]
        expected = [await counts_of(platform, one) for one in made]
        left = await exported(platform, "exited")
        assert left > 0
    async with emulating(data=tmp_path / "killed", **settings) as platform:
        if not is_put_down:
            await demand_nothing_left(platform)
            return
        rows = (await platform.get(SEGMENT_JOBS, params={"sort": "creationTime:asc"}))["children"]
        assert [row["id"] for row in rows] == made
        assert [await counts_of(platform, one) for one in made] == expected
        assert await exported(platform, "exited") == left


async def test_stopped_while_it_takes_effect_a_history_is_whole_or_not_at_all(monkeypatch, tmp_path):
    put_in_place, reached, stopping = histories.put_in_place, threading.Event(), threading.Event()

    def slow(*args, **rest):
        reached.set()
        stopping.wait(timeout=10)
        return put_in_place(*args, **rest)

    async def is_reached():
        return reached.is_set()

    settings = {"size": 2000, "speed": 100_000, "data": tmp_path}
    async with emulating(**settings) as platform:
        with monkeypatch.context() as patched:
            patched.setattr(histories, "put_in_place", slow)
            writer = await asked_for(platform, {"days": 3, "segments": [RECENT]})
            await until(is_reached)
            asyncio.get_running_loop().call_later(1, stopping.set)  # in the midst of the server's stop
    writer.close()
    await writer.wait_closed()
    async with emulating(**settings) as platform:
        if rows := (await platform.get(SEGMENT_JOBS))["children"]:
            assert len(rows) == 3
            assert await exported(platform, "realized") > 0
        else:
            await demand_nothing_left(platform)


async def test_a_run_of_another_job_is_not_taken_for_a_jobs_own_though_the_id_is_the_same(tmp_path):
    settings = {"size": 2000, "speed": 100_000}
    async with emulating(**settings) as platform:  # ids come of the seed: the other one's first job has the same
        expected = await counted(platform)
        job_id = (await platform.get(SEGMENT_JOBS))["children"][0]["id"]
    async with emulating(data=tmp_path, **settings) as platform:
        await exported(platform, "realized")  # opens the data
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as lake:
        other = {"profiles": 9, "segments": {"x": {"realized": 9, "existing": 0, "exited": 0, "by_namespace": {}}}}
        lake.execute("INSERT INTO run VALUES (?, 'prod', ?)", [job_id, json.dumps(other)])
    async with emulating(data=tmp_path, **settings) as platform:
        assert await counted(platform) == expected
        assert (await platform.get(SEGMENT_JOBS))["children"][0]["id"] == job_id
        assert await exported(platform, "realized") == expected[0]


async def test_a_history_comes_before_an_export_that_evaluates():
    asked = an_export(evaluationInfo={"segmentation": True})
    async with emulating(speed=100_000) as platform:
        job_id = (await platform.call("POST", EXPORT_JOBS, json=asked)).body["id"]
        await platform.until_status(job_id, "SUCCEEDED")
        reply = await platform.call("POST", HISTORY, json={"days": 3})
        assert reply.status == 409
        assert "has been evaluated already" in reply.body["error"]
        await platform.control("reset")
        await platform.control("history", {"days": 3})


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"days": 0}, "from 1 to 90"),
        ({"days": 91}, "from 1 to 90"),
        ({"days": 1.5}, "whole number"),
        ({"days": 1, "segments": ["nope"]}, "No segment definition"),
    ],
)
async def test_a_mistake_is_answered_with_what_to_write_instead(platform, body, hint):
    reply = await platform.call("POST", "/_emulator/history", json=body)
    assert reply.status == 400
    assert hint in reply.body["error"]
