"""Pipelines from the outside: runs beside a daemon and without one, and what is adopted instead of begun."""

import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from house import DATASET, EXPORTS, SEGMENT, SEGMENT_JOBS, House, Json, Running, until

SPEED = ["--speed", "200", "--size", "500"]
STEPS = ["evaluate", "evaluation", "dataset", "export", "exporting", "check"]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, emulator=SPEED) as one:
        yield one


def a_pipeline(**changes: Any) -> Json:
    return {"name": "nightly", "segments": [SEGMENT], "dataset": DATASET, "adopt_within": "1s"} | changes


def write(house: House, *pipelines: Json, **changes: Any) -> None:
    house.write(
        pipelines=list(pipelines) or [a_pipeline()], retry={"first_delay": "1s", "settle_window": "3s"}, **changes
    )


async def made(house: House) -> list[str]:
    """Return the kinds of the jobs that came through the platform's API."""
    return [one["kind"] for one in (await house.platform.ledger())["submissions"]]


async def test_a_run_beside_a_daemon_is_driven_by_it_and_told_to_its_channels(house: House) -> None:
    write(house, a_pipeline(channels=["events"]), routes=[])
    await house.daemon()
    run = await house.command("pipeline", "run", "nightly", "--wait", "--json", within_s=40)
    assert run.code == 0, run.err
    shown = run.json
    assert shown["state"] == "succeeded"
    assert [step["step"] for step in shown["steps"]] == STEPS
    assert shown["exported"] == shown["members"][SEGMENT] > 0
    assert sorted(await made(house)) == ["export_job", "segment_job"]
    told = await house.inbox.until("pipeline.succeeded", run=shown["id"])
    assert told.data["export_job"] == shown["export_job"]
    assert house.inbox.types(run=shown["id"]) == ["pipeline.succeeded"]

    listed = (await house.command("pipeline", "list", "--json")).json
    assert [(one["name"], one["state"], one["last_run"]) for one in listed] == [("nightly", "succeeded", shown["id"])]
    table = await house.command("pipeline", "show", "nightly")
    assert table.code == 0
    assert "succeeded" in table.out
    assert all(step in table.out for step in STEPS)
    assert (await house.command("pipeline", "list")).out.startswith("name")


async def test_before_the_first_run_there_is_a_list_and_nothing_is_wrong(house: House) -> None:
    write(house)
    listed = await house.command("pipeline", "list", "--json")
    assert (listed.code, [(one["name"], one["last_run"]) for one in listed.json]) == (0, [("nightly", "")])
    shown = await house.command("pipeline", "show", "nightly")
    assert (shown.code, "no run of nightly yet" in shown.out) == (0, True), shown.err
    assert (await house.command("pipeline", "show", "nightly", "--json")).json is None
    assert (await house.command("pipeline", "show", "some-run")).code == 1
    assert not house.store.exists()


ODDITIES = (
    "ignore_sort", "item_offset_start", "ups_relative_links", "extra_fields", "shifting_rows", "object_batches",
    "errors_on_success", "seconds_epochs", "partial_bulk_get", "production_links", "directory_files",
)  # fmt: skip


async def test_a_run_understands_the_odd_platform_of_the_older_tutorial(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=[*SPEED, "--dialect", "seed"]) as house:
        await house.platform.quirk(**dict.fromkeys(ODDITIES, True))
        write(house)
        run = await house.command("pipeline", "run", "nightly", "--wait", "--json", within_s=60)
        assert run.code == 0, run.err
        assert sorted(await made(house)) == ["export_job", "segment_job"]


async def test_a_run_without_a_daemon_goes_the_whole_way_in_the_command(house: House, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    script = f"import sys; open({str(result)!r}, 'w').write(sys.stdin.read())"
    write(
        house,
        a_pipeline(
            dataset="Of the night", download=str(tmp_path / "exports"), channels=["events"],
            command=[sys.executable, "-c", script],
        ),
        routes=[],
    )  # fmt: skip
    run = await house.command("pipeline", "run", "nightly", "--wait", "--json", within_s=60)
    assert run.code == 0, run.err
    shown = run.json
    assert [step["step"] for step in shown["steps"]] == [*STEPS, "download", "command"]
    files = [one for one in (tmp_path / "exports" / shown["id"]).rglob("*.parquet") if one.is_file()]
    assert len(files) == shown["files"] > 0
    assert sum(one.stat().st_size for one in files) == shown["bytes"]
    told = json.loads(result.read_text())
    assert (told["run"], told["export_job"], told["exported"]) == (shown["id"], shown["export_job"], shown["exported"])
    assert told["folder"] == str(tmp_path / "exports" / shown["id"])
    assert (await house.inbox.until("pipeline.succeeded", run=shown["id"])).data["files"] == shown["files"]

    again = await house.command("pipeline", "run", "nightly", "--wait", "--force", "--json", within_s=60)
    assert again.code == 0, again.err
    assert again.json["dataset"] == shown["dataset"], "the dataset of that name is found, not made twice"


async def test_a_reload_lets_the_command_of_a_run_go_on(house: House, tmp_path: Path) -> None:
    begun, may_end = tmp_path / "begun", tmp_path / "may-end"
    script = f"""
import pathlib, time
with open({str(begun)!r}, "a") as file: file.write("begun ")
while not pathlib.Path({str(may_end)!r}).exists(): time.sleep(0.05)
"""
    write(house, a_pipeline(command=[sys.executable, "-c", script]))
    daemon = await house.daemon()
    assert (await house.command("pipeline", "run", "nightly")).code == 0

    async def is_begun() -> bool:
        return begun.exists()

    await until(is_begun, "the command", within_s=40)
    assert (await daemon.reload())[0] == 200
    may_end.touch()

    async def succeeded() -> bool:
        run = (await house.command("pipeline", "show", "nightly", "--json")).json
        return bool(run["state"] == "succeeded")

    await until(succeeded, "the end of the run", within_s=20)
    assert begun.read_text() == "begun "


async def test_a_command_that_was_killed_goes_on_where_it_was(house: House) -> None:
    write(house)
    left = await house.start("pipeline", "run", "nightly", "--wait")

    async def posted() -> bool:
        return await house.platform.requests(f"POST {SEGMENT_JOBS}") > 0

    await until(posted, "the evaluation", within_s=20)
    await left.kill()
    refused = await house.command("pipeline", "run", "nightly")
    assert refused.code == 1
    assert "one at a time" in refused.err
    run = await house.command("pipeline", "run", "nightly", "--wait", "--json", within_s=40)
    assert run.code == 0, run.err
    assert "going on with run" in run.err
    assert sorted(await made(house)) == ["export_job", "segment_job"]


async def test_an_export_that_the_platform_starts_itself_is_adopted(house: House) -> None:
    await house.platform.quirk(export_after_evaluation=True)
    write(house, a_pipeline(adopt_within="30s"))
    await house.daemon()
    run = await house.command("pipeline", "run", "nightly", "--wait", "--json", within_s=60)
    assert run.code == 0, run.err
    assert run.json["adopted"] == ["export"]
    assert await made(house) == ["segment_job"]
    assert await house.platform.requests(f"POST {EXPORTS}") == 0


async def test_an_export_to_another_dataset_is_no_substitute_unless_any_is(house: House) -> None:
    await house.platform.quirk(export_after_evaluation=True)
    other = a_pipeline(name="other", dataset="Elsewhere")
    anywhere = {"name": "anywhere", "segments": [SEGMENT], "adopt_export": "any", "adopt_within": "20s"}
    write(house, other, anywhere)
    await house.daemon()
    run = await house.command("pipeline", "run", "other", "--wait", "--json", within_s=60)
    assert run.code == 0, run.err
    assert "adopted" not in run.json
    assert sorted(await made(house)) == ["export_job", "segment_job"]
    run = await house.command("pipeline", "run", "anywhere", "--wait", "--force", "--json", within_s=60)
    assert run.code == 0, run.err
    assert run.json["adopted"] == ["export"]
    assert run.json["dataset"] == DATASET
    assert sorted(await made(house)) == ["export_job", "segment_job", "segment_job"]


async def test_a_scheduled_evaluation_begins_one_run_whatever_dies(house: House) -> None:
    write(house, a_pipeline(after="schedule", adopt_within="1s"))
    daemon = await house.daemon()
    await house.watching(daemon)
    now = datetime.fromisoformat((await house.platform.json("GET", "/_emulator/time"))["emulated"])
    soon = now + timedelta(minutes=10)
    schedule = {"name": "soon", "schedule": f"0 {soon.minute} {soon.hour} * * ?", "segments": [SEGMENT]}
    await house.platform.json("POST", "/_emulator/schedules", schedule)
    begun = await house.inbox.until("pipeline.started", within_s=40)
    await daemon.process.stop(signal.SIGKILL)
    await house.daemon()
    told = await house.inbox.until("pipeline.succeeded", run=begun.data["run"], within_s=40)
    assert told.data["adopted"] == ["evaluation"]
    assert told.data["cause"] == f"job/{told.data['segment_job']}"
    assert await made(house) == ["export_job"]
    runs = (await house.command("pipeline", "list", "--json")).json
    assert runs[0]["last_run"] == begun.data["run"]


async def test_a_run_that_fails_says_why_and_a_quota_that_is_used_up_is_not_spent(house: House) -> None:
    write(house, a_pipeline(min_profiles=10_000_000), quota={"evaluations_per_day": 2})
    await house.daemon()
    run = await house.command("pipeline", "run", "nightly", "--wait", within_s=40)
    assert run.code == 1
    assert "fewer than min_profiles = 10,000,000" in run.out
    assert re.search("^reason +check$", run.out, re.MULTILINE)
    await house.inbox.until("pipeline.failed", reason="check")
    run = await house.command("pipeline", "run", "nightly", "--wait", "--json", within_s=40)
    assert run.code == 1
    assert run.json["reason"] == "quota"
    assert (await made(house)).count("segment_job") == 1


async def test_what_cannot_be_run_is_said_at_once(house: House) -> None:
    write(house, a_pipeline(), a_pipeline(name="of-all", after="segment_job", segments=[]))
    wrong = await house.command("pipeline", "run", "nightli")
    assert (wrong.code, wrong.lines) == (2, ["no pipeline is named nightli; configured: nightly, of-all"])
    wrong = await house.command("pipeline", "run", "of-all")
    assert wrong.code == 2
    assert "names no segments" in wrong.err
    waits = await house.command("pipeline", "run", "nightly")
    assert waits.code == 0
    assert "no daemon is running" in waits.out
    late = await house.command("pipeline", "run", "nightly", "--wait", "--timeout", "100ms")
    assert late.code == 1
    assert "has not ended within 100ms" in late.err
    wrong = await house.command("pipeline", "show", "nothing")
    assert wrong.code == 1


def a_command(tmp_path: Path) -> list[str]:
    return ["/bin/sh", "-c", f'echo "$SEGWATCH_PIPELINE" >> {tmp_path}/handed']


async def comes_to(house: House, pipeline: str, *steps: str) -> Json:
    """Return the last run of a pipeline once it is at one of these steps."""

    async def there() -> Json | None:
        run: Json | None = (await house.command("pipeline", "show", pipeline, "--json")).json
        return run if run and run["step"] in steps else None

    found: Json = await until(there, f"{pipeline} at {steps}", within_s=40)
    return found


async def says(process: Running, words: str, *, within_s: float = 10.0) -> None:
    """Return once the process has said this on stderr."""

    async def said() -> bool:
        return words in process.text()

    await until(said, f'"{words}" from {process.name}', within_s=within_s)


async def test_a_run_without_a_daemon_leaves_those_of_other_pipelines_alone(house: House, tmp_path: Path) -> None:
    other = a_pipeline(name="other", adopt_within="2h", command=a_command(tmp_path), channels=["events"])
    write(house, a_pipeline(), other, routes=[])
    daemon = await house.daemon()
    assert (await house.command("pipeline", "run", "other")).code == 0
    before = await comes_to(house, "other", "export")
    await daemon.kill()
    run = await house.command("pipeline", "run", "nightly", "--wait", "--force", within_s=60)
    assert run.code == 0, run.err
    after = (await house.command("pipeline", "show", "other", "--json")).json
    assert {**after, "why": ""} == {**before, "why": ""}
    assert house.inbox.types() == []


async def test_two_commands_side_by_side_drive_their_runs_one_after_the_other(house: House, tmp_path: Path) -> None:
    second = a_pipeline(name="second", command=a_command(tmp_path))
    write(house, a_pipeline(adopt_within="10s"), second)
    first = await house.start("pipeline", "run", "nightly", "--wait")
    await comes_to(house, "nightly", "evaluation", "dataset", "export")
    waits = await house.start("pipeline", "run", "second", "--wait", "--force")
    await says(waits, f"nobody does while `segwatch pipeline run nightly`, process {first.pid}, has the store")
    put_down = await house.command("pipeline", "run", "second")
    assert (put_down.code, "one at a time" in put_down.err) == (1, True)
    assert await first.ended(60) == 0, first.text()
    assert await waits.ended(60) == 0, waits.text()
    assert "going on with run" in waits.text()
    assert (tmp_path / "handed").read_text() == "second\n"
    assert sorted(await made(house)) == ["export_job", "export_job", "segment_job", "segment_job"]


async def test_a_run_goes_on_where_it_is_followed_when_its_daemon_is_gone(house: House, tmp_path: Path) -> None:
    write(house, a_pipeline(adopt_within="25s", command=a_command(tmp_path)))
    daemon = await house.daemon()
    first = await house.start("pipeline", "run", "nightly", "--wait")
    await comes_to(house, "nightly", "export")
    await daemon.kill()
    await says(first, "the daemon has ended")
    await says(first, "going on with run", within_s=20)
    second = await house.start("pipeline", "run", "nightly", "--wait")
    await says(second, f"`segwatch pipeline run nightly`, process {first.pid}, drives it")
    await first.kill()
    await says(second, "going on with run")
    assert await second.ended(60) == 0, second.text()
    assert (tmp_path / "handed").read_text() == "nightly\n"
    assert sorted(await made(house)) == ["export_job", "segment_job"]


async def test_whoever_follows_a_run_over_restarts_of_the_daemon_loses_nothing_of_it(house: House) -> None:
    """A look at the lock must leave what SQLite of the same process has locked, or the next daemon deletes the log."""
    write(house, a_pipeline(adopt_within="6s", adopt_export="never"))
    daemon = await house.daemon()
    follower = await house.start("pipeline", "run", "nightly", "--wait")
    await comes_to(house, "nightly", "evaluation", "dataset", "export")
    await daemon.kill()
    await says(follower, "the daemon has ended")
    daemon = await house.daemon()
    await comes_to(house, "nightly", "exporting", "check")
    await daemon.kill()
    assert await follower.ended(60) == 0, follower.text()
    assert sorted(await made(house)) == ["export_job", "segment_job"]
    assert (await house.command("db", "check")).code == 0


async def test_whoever_leaves_is_told_who_goes_on(house: House) -> None:
    write(house, a_pipeline(adopt_within="2h"), a_pipeline(name="second"))
    first = await house.start("pipeline", "run", "nightly", "--wait")
    await comes_to(house, "nightly", "export")
    process = f"`segwatch pipeline run nightly`, process {first.pid},"
    for name, words in (("nightly", f"{process} goes on with it"), ("second", "nobody drives it now: `segwatch run`")):
        late = await house.command("pipeline", "run", name, "--wait", "--timeout", "100ms")
        assert (late.code, words in late.err) == (1, True), late.err
    put_down = await house.command("pipeline", "run", "nightly")
    assert (put_down.code, "one at a time" in put_down.err) == (1, True)
    refused = await house.run_daemon()
    assert await refused.ended() == 1
    assert f"in use by {process[:-1]}. Wait for its end, or stop it" in refused.text()
    assert await first.stop(signal.SIGINT) == 130
    assert "has not ended; `segwatch run` goes on with it, or the same command" in first.text()


async def test_what_a_channel_has_not_taken_is_said(house: House) -> None:
    dead = house.channel("events") | {"url": "http://127.0.0.1:9/", "timeout": "1s", "max_delay": "1h"}
    write(house, a_pipeline(channels=["events"]), channels=[dead], routes=[])
    run = await house.command("pipeline", "run", "nightly", "--wait", within_s=60)
    assert run.code == 0, run.err
    assert "1 notification of run" in run.err
    assert "not taken yet by events" in run.err
    counted = (await house.command("notify", "list", "--json")).json
    assert [one["pending"] for one in counted] == [1]


async def test_a_run_whose_order_hangs_beyond_its_deadline_says_that_its_fate_is_open(house: House) -> None:
    write(house, a_pipeline(step_deadline="4s", adopt_export="never"), platform={"timeout": "30s"})
    await house.platform.fault(f"{EXPORTS}*", method="POST", fault={"delay_s": 60})
    began = time.monotonic()
    ended = await house.command("pipeline", "run", "nightly", "--wait", "--json", within_s=60)
    run = ended.json
    assert (ended.code, run["step"], run["reason"]) == (1, "export", "deadline")
    assert "Whether the platform took the export is not known" in run["why"]
    assert time.monotonic() - began < 30, "the platform would have had 30 s for each call"
