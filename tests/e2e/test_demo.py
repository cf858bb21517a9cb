"""`segwatch demo` as a newcomer runs it: it keeps its promise, counts it, and leaves nothing behind."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from house import until

ROOT = Path(__file__).parents[2]
KEYS = {
    "jobs", "transitions", "exports_failed", "retries_submitted", "exports_recovered", "notifications_delivered",
    "dead_letters", "duplicate_submissions", "api_requests",
}  # fmt: skip
USUAL = re.compile(
    r" found in prod with status | is (queued|running) in prod\.?$| succeeded in prod after "
    "| (will be|was) submitted again in prod as "
)
VARIES = re.compile(r' (of|to) "[^"]*"| after [^—.]*(?= —)')
AUDIENCE = 'Audience "Lives in the Netherlands" '
ALERTS = [
    "Audience N has its usual size again in prod: N members.",
    "Audience N is much smaller than usual in prod: N members where N are usual",
    "Export N failed in prod — Error writing profiles to output path (N) and N more",
    "Export N failed in prod — Error writing profiles to output path (N) and N more",
    "Export N failed in prod — The dataset's schema has no union view (N)",
    "Export N is not submitted again in prod — a rule, or the platform itself, says never (never)",
    "Export N recovered in prod: N succeeded after N attempts.",
    "Export N recovered in prod: N succeeded after N attempts.",
    "Schedule nightly evaluation did not fire in prod: it should have begun a job at N UTC",
    "Segment job N failed in prod — Segmentation aborted: N of N partitions could not be read (N.NEN)",
    "Segment job N is overdue in prod: still PROCESSING since N UTC, longer than its limit of N s; such jobs take N s,"
    " and nearly all less than N s",
]


async def demo(folder: Path, *args: str) -> asyncio.subprocess.Process:
    """Start the demo with its temporary files in `folder`, by which its processes are found."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "segwatch", "demo", *args, cwd=ROOT, env=os.environ | {"TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def alerts(story: str) -> list[str]:
    """Return what was told beside the usual moves of jobs, sorted: no numbers, no names, the first sentence only.

    Names are learned while the story goes on: whether a line has them depends on the machine, as durations do.
    """
    told = re.findall(r"^\d\d:\d\d:\d\d  (?!platform:)(.+?)(?:\. .*)?$", story, flags=re.MULTILINE)
    plain = (
        re.sub(r"[0-9a-f]{8}-[-0-9a-f]{27}|[\d,:]*\d", "N", VARIES.sub("", one).replace(AUDIENCE, "Audience N "))
        for one in told if not USUAL.search(one)
    )  # fmt: skip
    return sorted(plain)


def left_behind(folder: Path) -> list[str]:
    """Return files in the folder, and processes that were started with it as the place for temporary files."""
    return [str(path) for path in folder.iterdir()] + processes(folder)


def processes(folder: Path) -> list[str]:
    """Return the command lines of the processes that were started with the folder as the place for temporary files."""
    mark, found = f"TMPDIR={folder}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


async def test_the_demo_keeps_the_promise_and_prints_one_json_line(tmp_path: Path) -> None:
    process = await demo(tmp_path, "--for", "15s", "--json")
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err.decode()) == (0, "")
    (line,) = out.splitlines()
    counted = json.loads(line)
    assert set(counted) == KEYS
    assert counted["jobs"] >= 20
    assert counted["exports_failed"] == 3
    assert counted["retries_submitted"] == 2
    assert counted["exports_recovered"] == 2
    assert (counted["duplicate_submissions"], counted["dead_letters"]) == (0, 0)
    assert counted["notifications_delivered"] > counted["transitions"] > counted["jobs"]
    assert left_behind(tmp_path) == []


async def test_the_story_says_what_the_platform_does_and_alerts_to_nothing_else(tmp_path: Path) -> None:
    process = await demo(tmp_path, "--for", "25s")
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert (process.returncode, err.decode()) == (0, "")
    story = out.decode()
    said = re.findall(r"^\d\d:\d\d:\d\d  platform: (.+)$", story, flags=re.MULTILINE)
    assert said == [
        "the schedule nightly evaluation is due, and does not fire",
        "loses half of the profiles in the segment Lives in the Netherlands",
        "evaluates Lives in the Netherlands: the audience halves",
        "answers the next two requests with 429",
        "gets the lost profiles back",
    ]
    assert alerts(story) == ALERTS
    assert "profiles written" in story
    assert " 0 profiles written" not in story


def started_daemon(folder: Path) -> int | None:
    """Return the process id of the daemon whose log in `folder` says that it has started."""
    if not any('"started"' in log.read_text() for log in folder.glob("*/daemon.log")):
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if b"run" in words and any(bytes(folder) in word for word in words):
            return int(process.name)
    return None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["ctrl-c", "the-terminal-closes"])
async def test_an_interrupted_demo_ends_with_its_summary(tmp_path: Path, number: signal.Signals) -> None:
    process = await demo(tmp_path, "--for", "60s")
    assert process.stdout is not None
    lines = []
    async with asyncio.timeout(60):
        while "found in prod" not in "".join(lines):
            lines.append((await process.stdout.readline()).decode())
    assert lines[0].startswith("local platform  http://127.0.0.1:")
    assert lines[1].startswith("daemon          http://127.0.0.1:")
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err.decode()) == (0, "")
    assert "Summary, as the local platform and the receiver counted it" in out.decode()
    assert left_behind(tmp_path) == []


async def test_a_demo_that_is_interrupted_while_it_starts_ends_without_a_word(tmp_path: Path) -> None:
    process = await demo(tmp_path, "--for", "60s")

    async def is_starting() -> bool:
        return any("receiver" in one for one in processes(tmp_path))

    await until(is_starting, "the demo's receiver is being started", within_s=40)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.communicate(), 20) == (b"", b"")
    assert process.returncode == 130
    assert left_behind(tmp_path) == []


async def test_a_process_that_dies_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    process = await demo(tmp_path, "--for", "60s", "--json")

    async def daemon() -> int | None:
        return started_daemon(tmp_path)

    os.kill(await until(daemon, "the demo's daemon has started", within_s=40), signal.SIGKILL)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (1, b"")
    assert b"the demo's daemon ended before its time; its log ends:" in err
    assert b"Traceback" not in err
    assert left_behind(tmp_path) == []


async def test_what_the_demo_started_ends_even_if_the_demo_is_killed(tmp_path: Path) -> None:
    process = await demo(tmp_path, "--for", "60s")
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 60)).startswith(b"local platform")
    assert len(processes(tmp_path)) == 4
    process.kill()
    await process.wait()

    async def alone() -> bool:
        return not processes(tmp_path)

    await until(alone, "the platform, the receiver and the daemon have ended", within_s=15)


async def test_a_taken_port_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        process = await demo(tmp_path, "--port", str(port))
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out) == (1, b"")
    assert b"daemon did not start; its log ends:" in err
    assert f"http.listen is 127.0.0.1:{port}".encode() in err
    assert left_behind(tmp_path) == []
