"""Scenarios as they are played."""

import time
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from emulator_fixtures import DEFINITIONS, EXPORT_JOBS, SEGMENT, Platform, emulating, until

from segwatch.emulator.control.scenario import ScenarioError, load
from segwatch.emulator.control.standing import sandbox_in
from segwatch.emulator.server import EmulatorSettings, running

STORY = """
begins = 00:57:00

[[jobs]]
at = "1m"
name = "stuck"
kind = "export_job"
script = [["PROCESSING", 100000], ["SUCCEEDED", 0]]

[[statuses]]
at = "2m"
job = "stuck"
status = "FAILED"
errors = [{ code = "1", msg = "no", callStack = "" }]

[[schedules]]
at = 0
name = "nightly"
schedule = "0 0 1 * * ?"

[[schedules]]
at = 0
name = "later"
type = "export"
schedule = "30 0 1 * * ?"

[[skips]]
at = 1
schedule = "nightly"

[[quirks]]
at = "2m"
no_links = true

[[outcomes]]
at = 0
kind = "segment_job"
next = ["SUCCEEDED", "FAILED"]

[[faults]]
at = "3m"
method = "GET"
path = "*export/jobs"
fault = { status = 429 }
times = 1

[[profiles]]
at = "4m"
lose = 1.0

[[evaluations]]
at = 1

[[exports]]
at = "3m"
"""


@pytest.fixture
def began():
    """Return when the test began, in epoch seconds: no step can happen earlier."""
    return time.time()


@pytest.fixture
async def story(tmp_path, began):
    path = tmp_path / "story.toml"
    path.write_text(STORY)
    settings = EmulatorSettings(size=200, speed=200)
    async with running(settings, scenario=load(str(path)), prepared=True) as url, aiohttp.ClientSession() as session:
        platform = Platform(session, url)
        await platform.log_in()
        yield platform


async def played(platform):
    async def over():
        scenario = (await platform.control("state", method="GET"))["scenario"]
        return scenario if all(step["done_ms"] for step in scenario["steps"]) else None

    return await until(over)


async def test_every_step_happens_at_its_time(story, began):
    scenario = await played(story)
    assert [step for step in scenario["steps"] if "error" in step] == []
    times = [step["done_ms"] for step in scenario["steps"]]
    assert times == sorted(times)
    lasted_s = (times[-1] / 1000 - began) * 200
    assert lasted_s > 239  # the last one is due after 4 minutes, however late the first one was
    state = await story.control("state", method="GET")
    stuck = next(job for job in state["jobs"] if job["errors"] == [{"code": "1", "msg": "no", "callStack": ""}])
    assert [status for status, _ in stuck["history"]] == ["PROCESSING", "FAILED"]
    assert {one["name"]: one["skipped"] for one in state["schedules"]} == {"nightly": 1, "later": 0}
    (scheduled,) = [job for job in state["jobs"] if job["origin"] == "schedule"]
    await story.until_status(scheduled["id"], "FAILED")  # by its outcome
    assert (await story.control("quirks", method="GET"))["no_links"] is True
    assert (await story.call("GET", EXPORT_JOBS)).status == 429
    assert (await story.call("GET", EXPORT_JOBS)).status == 200
    clock = await story.control("time", method="GET")
    assert "T01:" in clock["emulated"]


async def test_what_is_due_when_the_times_meet_fires_by_the_clock_too(tmp_path):
    path = tmp_path / "story.toml"
    due = '[[schedules]]\nat = 0\ndue = "1h"\n'
    path.write_text(f'meets = "1h"\n{due}name = "a"\ntype = "export"\n{due}name = "b"\n[[skips]]\nat=1\nschedule="b"')
    settings = EmulatorSettings(size=200, speed=7200)
    async with running(settings, scenario=load(str(path))) as url, aiohttp.ClientSession() as session:
        platform = Platform(session, url)

        async def fired():
            state = await platform.control("state", method="GET")
            return state if any(job["origin"] == "schedule" for job in state["jobs"]) else None

        state = await until(fired)
    job = next(job for job in state["jobs"] if job["origin"] == "schedule")
    at = datetime.fromtimestamp(job["created_ms"] / 1000, UTC)
    second, minute, hour = (int(part) for part in state["schedules"][0]["schedule"].split()[:3])
    due_at = at.replace(hour=hour, minute=minute, second=second, microsecond=0)
    assert timedelta() <= at - due_at < timedelta(seconds=5)
    assert [(one["name"], one["skipped"]) for one in state["schedules"]] == [("a", 0), ("b", 1)]


async def test_a_reset_ends_the_scenario(story):
    await story.control("reset")
    state = await story.control("state", method="GET")
    assert (state["scenario"], state["schedules"], state["jobs"]) == (None, [], [])


async def test_one_that_comes_along_can_be_started_by_its_name_and_one_at_a_time():
    async with emulating(speed=10) as platform:
        assert (await platform.control("state", method="GET"))["scenario"] is None
        assert await platform.control("scenario", {"name": "night"}) == {"name": "night"}
        assert (await platform.call("POST", "/_emulator/scenario", json={"name": "night"})).status == 409


async def test_a_step_that_cannot_be_done_is_shown_and_the_others_follow(tmp_path):
    path = tmp_path / "story.toml"
    idle = '[[schedules]]\nat=0\nname="n"\nschedule="0 0 1 * * ?"\nstate="inactive"\n[[skips]]\nat=0\nschedule="n"\n'
    path.write_text(f'{idle}[[jobs]]\nat=1\nkind="export_job"')
    settings = EmulatorSettings(size=200, speed=1000)
    async with running(settings, scenario=load(str(path))) as url, aiohttp.ClientSession() as session:
        made, refused, after = (await played(Platform(session, url)))["steps"]
    assert "error" not in made
    assert "No active schedule" in refused["error"]
    assert after["ids"]


async def test_a_scenario_may_name_what_its_directory_holds_and_nothing_that_was_deleted_there(tmp_path):
    data, path = tmp_path / "data", tmp_path / "story.toml"
    expression = {"type": "PQL", "format": "pql/text", "value": 'homeAddress.country = "BE"'}
    body = {"name": "mine", "schema": {"name": "_xdm.context.profile"}, "expression": expression}
    async with emulating(data=data) as platform:
        mine = (await platform.call("POST", DEFINITIONS, json=body)).body["id"]
        await platform.call("DELETE", f"{DEFINITIONS}/{SEGMENT}")
    path.write_text(f'[[evaluations]]\nat=0\nsegments=["{mine}"]')
    assert load(str(path), sandbox_in(data)).steps
    with pytest.raises(ScenarioError, match=mine):
        load(str(path), sandbox_in(tmp_path / "new"))
    path.write_text(f'[[evaluations]]\nat=0\nsegments=["{SEGMENT}"]')
    assert load(str(path), sandbox_in(None)).steps
    with pytest.raises(ScenarioError, match=SEGMENT):
        load(str(path), sandbox_in(data))
