"""docs/tutorial/evaluate-and-export.md does what it says: its commands, in one shell, against a real local platform."""

import asyncio
import json
import os
import re
import shlex
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial" / "evaluate-and-export.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8787"
FOLDER = "/tmp/segwatch-tutorial"
MARK = "--- the next block ---"
NL = "a1b2c3d4-0001-4000-8000-000000000001"
GOLD = "a1b2c3d4-0004-4000-8000-000000000004"
_DEADLINE_S = 90.0

# a command, and what the page says that it prints, if it does
_BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def blocks():
    """Return the commands that come after the platform was started, each with what they print."""
    found = _BLOCK.findall(PAGE)
    start = next(place for place, (commands, _) in enumerate(found) if commands.startswith("segwatch emulate"))
    return shlex.split(found[start][0]), found[start + 1 :]


def as_shown(text):
    """Return a pattern for what a block shows: the profiles of another day have other numbers."""
    return re.sub(r"(?<![-\w])\d{2,}(?![-\w])", r"\\d+", re.escape(text.strip()).replace(r"\-", "-"))


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


@pytest.mark.needs("bash", "curl")
async def test_the_commands_of_the_page_print_what_it_shows(tmp_path):
    words, steps = blocks()
    assert len(steps) >= 10
    assert PAGE.count(ADDRESS) == 1  # or the shell would ask somebody else's platform
    platform, url = await started(words)
    script = f"echo '{MARK}'\n".join(commands for commands, _ in steps).replace(ADDRESS, url)
    folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "no_proxy": "127.0.0.1"}
    try:
        shell = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", script, cwd=tmp_path, env=environment,
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

    printed = out.decode().split(f"{MARK}\n")
    print(out.decode())  # seen if this fails
    for (commands, shown), got in zip(steps, printed, strict=True):
        assert re.fullmatch(as_shown(shown), got.strip()), f"{commands}\nprints\n{got}\nand the page shows\n{shown}"

    assert [one["kind"] for one in ledger["submissions"]] == ["segment_job", "export_job"]
    (rows,) = duckdb.sql(
        f"""SELECT count(*), count(*) FILTER (segmentMembership['ups']['{NL}'].status = 'realized'),
              count(*) FILTER (segmentMembership['ups']['{GOLD}'].status = 'realized')
            FROM '{tmp_path / "part-*.parquet"}'"""
    ).fetchall()
    counters = {name: int(count) for name, count in re.findall(rf'"({NL}|{GOLD})": (\d+)[,\n]', out.decode())}
    exported = int(re.search(r"^success\n(\d+)$", out.decode(), re.MULTILINE)[1])
    assert rows == (exported, counters[NL], counters[GOLD])
    assert exported < counters[NL] + counters[GOLD]


async def _ledger(url):
    child = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--noproxy", "*", f"{url}/_emulator/ledger", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    return json.loads(out)


def test_the_page_works_in_a_folder_of_its_own():
    assert f"mkdir -p {FOLDER} && cd {FOLDER}" in PAGE
    assert f"rm -r {FOLDER}" in PAGE
