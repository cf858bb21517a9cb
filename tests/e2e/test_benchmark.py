"""The benchmark of calls, in small: so that it works when somebody needs it, and the promise holds here too."""

import asyncio
import json
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def test_few_calls_see_every_change_that_lasts(tmp_path: Path):
    quick = ["--jobs", "20", "--interval", "2", "--change", "4", "--warm-up", "4", "--seconds", "8"]
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "benchmarks" / "calls.py"),
        *quick,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
    )
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
