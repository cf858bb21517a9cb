"""Evaluations of days that have passed: a history for whoever watches."""

import asyncio
import time

import pytest
from emulator_fixtures import OTHER_SEGMENT, SEGMENT, SEGMENT_JOBS, emulating

from segwatch.emulator.bench import DataBench

DAY_MS = 86_400_000
SEGMENTS = [SEGMENT, OTHER_SEGMENT]


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

    async def endless(bench, job, *, at):
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(DataBench, "evaluate", endless)
    making = asyncio.create_task(platform.call("POST", "/_emulator/history", json={"days": 2}))
    await reached.wait()
    await platform.control("reset")
    reply = await making
    assert reply.status == 409
    assert "was reset" in reply.body["error"]
    assert (await platform.get(SEGMENT_JOBS))["children"] == []


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({}, "days is missing. Write how many"),
        ({"days": 91}, "from 1 to 90"),
        ({"days": 1.5}, "whole number"),
        ({"days": 1, "segments": ["nope"]}, "No segment definition"),
    ],
)
async def test_a_mistake_is_answered_with_what_to_write_instead(platform, body, hint):
    reply = await platform.call("POST", "/_emulator/history", json=body)
    assert reply.status == 400
    assert hint in reply.body["error"]
