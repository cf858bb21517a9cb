"""docs/tutorial/evaluate-and-export.md does what it says: its commands, as one script, against a real local platform.

Run as a program, this writes the script from the page again.
"""

import asyncio
import json
import os
import re
import shlex
import sys
from pathlib import Path

import aiohttp
import duckdb
import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "tutorial"
PAGE = (PAGES / "evaluate-and-export.md").read_text(encoding="utf-8")
SCRIPT = PAGES / "evaluate-and-export.sh"
ADDRESS = "http://127.0.0.1:8787"
FOLDER = "/tmp/segwatch-tutorial"
HEAD = """\
#!/usr/bin/env bash
# Set a schedule, evaluate segments, export their members, read the batch: evaluate-and-export.md in one go.
# Needs the local platform in another terminal, with the segments, the people and the quota of a new one:
#   segwatch emulate --port 8787 --speed 60
# Leaves its files in the folder in which it runs.
set -euo pipefail
"""
NL = "a1b2c3d4-0001-4000-8000-000000000001"
GOLD = "a1b2c3d4-0004-4000-8000-000000000004"
_DEADLINE_S = 180.0

# a command, and what the page says that it prints, if it does
_BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def blocks():
    """Return the commands that come after the platform was started, each with what they print."""
    found = _BLOCK.findall(PAGE)
    start = next(place for place, (commands, _) in enumerate(found) if commands.startswith("segwatch emulate"))
    return shlex.split(found[start][0]), found[start + 1 :]


def script():
    """Return the page's commands as one script, under the headings of the page."""
    _, steps = blocks()
    text = HEAD
    heading = ""
    for commands, _ in steps:
        above = re.findall(r"^## (.*)$", PAGE[: PAGE.index(commands)], re.MULTILINE)[-1]
        text += f"\n# {above}\n\n{commands}" if above != heading else f"\n{commands}"
        heading = above
    return text


_HEX = r"[0-9a-f]"
_CHANGES = {  # what differs from run to run, and what it looks like
    rf"(?<!{_HEX}){_HEX}{{8}}-{_HEX}{{4}}-4{_HEX}{{3}}-{_HEX}{{4}}-{_HEX}{{12}}": r"[0-9a-f-]{36}",
    rf"(?<!{_HEX}){_HEX}{{32}}": rf"{_HEX}{{32}}",
    rf"(?<!{_HEX}){_HEX}{{24}}(?!{_HEX})": rf"{_HEX}{{24}}",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d": r"[0-9: -]{19}",
    r"(?<![-\w])\d{2,}(?![-\w])": r"\d+",  # the profiles of another day have other numbers
    r"(?<= )\d+s(?= )": r"\d+s",
    r"  +": r" +",
}
_CHANGING = re.compile("|".join(f"({one})" for one in _CHANGES))


def as_shown(text):
    """Return a pattern for what a block shows."""
    found, at = "", 0
    for change in _CHANGING.finditer(text.strip()):
        found += re.escape(text.strip()[at : change.start()]) + list(_CHANGES.values())[change.lastindex - 1]
        at = change.end()
    return found + re.escape(text.strip()[at:])


async def started(words):
    """Return the platform, as the page starts it but on a free port, and its address."""
    assert words[:2] == ["segwatch", "emulate"]
    words[words.index("--port") + 1] = "0"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, "--json", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    lines = b""
    async with asyncio.timeout(20):
        while not lines.rstrip().endswith(b"}"):
            lines += await child.stdout.readline()
    return child, json.loads(lines)["url"]


def test_the_script_is_what_the_page_says():
    assert SCRIPT.read_text(encoding="utf-8") == script(), f"write it again: python {Path(__file__).relative_to(ROOT)}"
    assert os.access(SCRIPT, os.X_OK)


@pytest.mark.needs("bash")
async def test_the_script_prints_what_the_page_shows(tmp_path):
    words, steps = blocks()
    assert PAGE.count(ADDRESS) == 1  # or the shell would ask somebody else's platform
    platform, url = await started(words)
    own = tmp_path / "tutorial.sh"
    own.write_text(SCRIPT.read_text(encoding="utf-8").replace(ADDRESS, url))
    program = tmp_path / "bin" / "segwatch"  # this checkout's, whatever is installed
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m segwatch "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEGWATCH_")}
    environment |= {"PATH": path, "PYTHONPATH": str(ROOT), "no_proxy": "127.0.0.1"}
    try:
        shell = await asyncio.create_subprocess_exec(
            "bash", str(own), cwd=tmp_path, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_DEADLINE_S):
                out, err = await shell.communicate()
        finally:
            if shell.returncode is None:
                shell.kill()
                await shell.wait()
        ledger = await _ledger(url)
    finally:
        platform.terminate()
        await platform.wait()
    assert shell.returncode == 0, err.decode() + out.decode()

    expected = [line for _, shown in steps for line in shown.splitlines() if line.strip()]
    printed = [line for line in out.decode().splitlines() if line.strip()]
    for line, got in zip(expected, printed, strict=True):
        assert re.fullmatch(as_shown(line), got.strip()), f"{got}\nis printed where the page shows\n{line}"

    for refusal in re.findall(r"It says `([^`]+)`", PAGE):
        assert refusal in err.decode().splitlines()
    assert [one["kind"] for one in ledger["submissions"]] == ["segment_job", "export_job"]
    (rows,) = duckdb.sql(
        f"""SELECT count(*), count(*) FILTER (segmentMembership['ups']['{NL}'].status = 'realized'),
              count(*) FILTER (segmentMembership['ups']['{GOLD}'].status = 'realized')
            FROM '{tmp_path / "members" / "*.parquet"}'"""
    ).fetchall()
    counters = {name: int(count) for name, count in re.findall(rf'"({NL}|{GOLD})": (\d+)[,\n]', out.decode())}
    exported = json.loads((tmp_path / "export.json").read_text())["exported"]
    assert rows == (exported, counters[NL], counters[GOLD])
    assert exported < counters[NL] + counters[GOLD]


async def _ledger(url):
    async with aiohttp.ClientSession() as session, session.get(f"{url}/_emulator/ledger") as reply:
        return await reply.json()


def test_the_page_works_in_a_folder_of_its_own():
    assert f"mkdir -p {FOLDER} && cd {FOLDER}" in PAGE
    assert f"rm -r {FOLDER}" in PAGE


if __name__ == "__main__":
    SCRIPT.write_text(script(), encoding="utf-8")
    SCRIPT.chmod(0o755)
