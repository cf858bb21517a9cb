"""Queries that ask for too much: the platform neither grows nor waits for them, and leaves none of them behind."""

import asyncio
import signal
from pathlib import Path

import pytest
from house import until
from test_platform_restarts import Emulator, emulating

QUERIES = "/data/foundation/query/queries"
HUGE = "SELECT len(range(300000000)), length(repeat('x', 3000000000))"
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
STOPS_WITHIN_S = 10.0


async def submitted(platform: Emulator, sql: str) -> str:
    return str((await platform.call("POST", QUERIES, {"dbName": "prod:all", "sql": sql}))["id"])


async def until_state(platform: Emulator, query_id: str, *states: str) -> str:
    async def reached() -> str | None:
        state = str((await platform.call("GET", f"{QUERIES}/{query_id}"))["state"])
        return state if state in states else None

    return str(await until(reached, f"the query is {states}", within_s=60))


def engines_of(pid: int) -> list[int]:
    """Return the processes that the process of that number has started and that are not over."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")
async def test_a_query_that_asks_for_gigabytes_fails_outside_the_platforms_own_memory(tmp_path: Path) -> None:
    async with emulating(tmp_path, "--speed", "1000") as platform:
        before = peak_mib(platform.child.pid)
        ids = [await submitted(platform, HUGE) for _ in range(4)]
        assert [await until_state(platform, one, "FAILED", "SUCCESS", "TIMEOUT") for one in ids] == ["FAILED"] * 4
        # the population is made up meanwhile
        assert peak_mib(platform.child.pid) - before < 400
        assert engines_of(platform.child.pid) == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_whatever_ends_the_platform_ends_its_queries_at_once(tmp_path: Path, number: signal.Signals) -> None:
    async with emulating(tmp_path, "--speed", "10") as platform:
        for query_id in [await submitted(platform, ENDLESS), await submitted(platform, ENDLESS)]:
            await until_state(platform, query_id, "IN_PROGRESS")

        async def both() -> list[int] | None:
            found = engines_of(platform.child.pid)
            return found if len(found) == 2 else None

        engines = await until(both, "both have a process")
        platform.child.send_signal(number)
        async with asyncio.timeout(STOPS_WITHIN_S):
            await platform.child.wait()

        async def none_is_left() -> bool:
            return not any(map(is_alive, engines))

        await until(none_is_left, "no engine goes on", within_s=STOPS_WITHIN_S)
