"""The benchmark of calls, in small: so that it works when somebody needs it, and the promise holds here too."""

import asyncio
import json
import signal
import sys
from pathlib import Path

from house import until
from test_demo import left_behind, processes

ROOT = Path(__file__).parents[2]


async def benchmark(folder: Path) -> asyncio.subprocess.Process:
    """Start the benchmark in small, with its temporary files in `folder`."""
    quick = ["--jobs", "20", "--interval", "2", "--change", "4", "--warm-up", "4", "--seconds", "8"]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "benchmarks" / "calls.py"),
        *quick,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
    )


async def test_few_calls_see_every_change_that_lasts(tmp_path: Path):
    child = await benchmark(tmp_path)
    try:
        async with asyncio.timeout(120):
            out, err = await child.communicate()
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGINT)  # which ends its own processes too
            await child.wait()
    assert child.returncode == 0, err.decode() + out.decode()
    figures = json.loads(out.splitlines()[-1])
    assert figures["told"] == figures["changes_longer_than_interval"] > 0
    assert figures["calls_per_minute"] <= 120


async def test_a_benchmark_that_is_told_to_end_leaves_nothing_behind(tmp_path: Path):
    child = await benchmark(tmp_path)

    async def runs() -> bool:
        return len(processes(tmp_path)) == 4

    try:
        await until(runs, "the benchmark's processes run", within_s=30)
        child.terminate()
        out, err = await asyncio.wait_for(child.communicate(), 30)
    finally:
        if child.returncode is None:
            child.kill()
    assert (child.returncode, out, err) == (143, b"", b"")
    assert left_behind(tmp_path) == []
