"""What a query's own process is told, and how its answer is fetched. It never outlives whoever waits for it."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from segwatch.emulator.lake.model import Answer

ANSWER_MAX_BYTES = 16 * 1024 * 1024  # a hundred profiles with all their events are some 4 MB

_INSTALLATION = Path(__file__).parents[3]
_CPU_GRACE_S = 2  # the clock is to end a query before its CPU limit does; that is for when nobody looks at the clock


class QueryEnded(Exception):
    """The engine ended without an answer; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """folder: the batches' directory. tables: the files of each, by its name; paths within the folder."""

    folder: str
    tables: dict[str, list[str]]
    sql: str
    cpu_s: int


async def answered(sql: str, folder: Path, tables: dict[str, list[str]], *, timeout_s: float) -> Answer | str:
    """Return what the SQL finds, or what is wrong with it; whatever happens, its process is gone when this ends.

    Raises TimeoutError, QueryEnded.
    """
    order = Order(folder=str(folder), tables=tables, sql=sql, cpu_s=int(timeout_s) + _CPU_GRACE_S)
    path = os.pathsep.join(filter(None, (str(_INSTALLATION), os.environ.get("PYTHONPATH"))))
    # -P: from this installation, and not from what lies where the platform was started
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "segwatch.emulator.lake.query_child",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path}, limit=2 * ANSWER_MAX_BYTES, start_new_session=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        async with asyncio.timeout(timeout_s):
            child.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
            line = await child.stdout.readline()
            await child.wait()
    finally:
        if child.returncode is None:
            # its group, which is its alone; child.kill() would look first, and take its exit code from the loop
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.stdin.close()
        await child.wait()
    if not line.endswith(b"\n"):
        if child.returncode == -signal.SIGXCPU:
            raise TimeoutError
        raise QueryEnded(f"The engine ended without an answer (exit code {child.returncode}), as for want of memory")
    said = json.loads(line)
    return str(said["error"]) if "error" in said else Answer(count=said["count"], rows=said["rows"])
