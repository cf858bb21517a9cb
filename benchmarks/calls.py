"""How few calls it takes to see everything: the daemon beside a platform on which jobs change all the time.

Starts the local platform, a receiver and the daemon as processes of their own, keeps `--jobs` jobs active (half of them
segment jobs, half exports), and measures for `--seconds` after a warm-up. Two promises are checked, and break the exit
code: the platform's own ledger counts no more calls than the default budget allows, and every change that lasted longer
than the polling interval was told to the receiver.

    python benchmarks/calls.py --jobs 1000 --seconds 120
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from segwatch.cli.processes import Process, started

KINDS = ("segment_job", "export_job")
BUDGET_PER_MINUTE = 120  # the default of `requests_per_second`, 2.0
DRAIN_S = 60.0  # how long the receiver may take for the last notifications, after the measurement

SETTINGS = """\
[platform]
base_url = "{platform}"
ims_url = "{platform}"

[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "bench"
client_secret = "bench-secret"

[polling]
interval = "{interval:g}s"

[store]
url = "sqlite:///{folder}/segwatch.db"

[http]
listen = "127.0.0.1:0"

[[channels]]
name = "events"
kind = "webhook"
url = "{receiver}/events"

[[routes]]
match = {{}}
channels = ["events"]

[log]
format = "json"
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What the command line asks for. change_s: how long a status lasts on average."""

    jobs: int
    seconds: float
    warm_up: float
    interval: float
    change_s: float
    seed: int


@dataclass(frozen=True, slots=True)
class Change:
    """A status that a job took at the platform, when, and for how long it kept it."""

    job: tuple[str, str]
    status: str
    at: float
    lasted: float


class Traffic:
    """Keeps so many jobs active: each walks a script of its own, and one that ends is replaced."""

    def __init__(self, session: aiohttp.ClientSession, platform: str, run: Run) -> None:
        self._session = session
        self._platform = platform
        self._run = run
        self._random = random.Random(run.seed)
        self._ends: list[tuple[float, str]] = []

    async def begin(self) -> None:
        """Place all jobs, at any point of their lives."""
        await self._place([KINDS[number % 2] for number in range(self._run.jobs)], mid_life=True)

    async def keep(self) -> None:
        """Replace what ends, for ever."""
        while True:
            await asyncio.sleep(0.25)
            now = time.monotonic()
            ended = [kind for end, kind in self._ends if end <= now]
            self._ends = [(end, kind) for end, kind in self._ends if end > now]
            await self._place(ended, mid_life=False)

    async def _place(self, kinds: list[str], *, mid_life: bool) -> None:
        for kind in kinds:
            script = [["NEW", self._duration()], ["PROCESSING", self._duration()], ["SUCCEEDED", 0]]
            if kind == "segment_job":
                script.insert(1, ["QUEUED", self._duration()])
                script[-1][0] = self._random.choice(["SUCCEEDED"] * 9 + ["FAILED"])
            if mid_life:
                script = script[self._random.randrange(len(script) - 1) :]
            order = {"kind": kind, "script": script}
            async with self._session.post(f"{self._platform}/_emulator/jobs", json=order) as reply:
                reply.raise_for_status()
            self._ends.append((time.monotonic() + sum(seconds for _, seconds in script), kind))

    def _duration(self) -> float:
        """Return how long a status lasts: anything from one interval up, since that much is promised to be seen."""
        return self._random.uniform(self._run.interval, 2 * self._run.change_s - self._run.interval)


async def measured(run: Run, folder: Path) -> dict[str, Any]:
    """Run it all, and return the figures."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        emulate = ["segwatch", "emulate", "--port", "0", "--seed", str(run.seed), "--json"]
        platform = await stack.enter_async_context(started("platform", emulate, folder))
        receiver = await stack.enter_async_context(started("receiver", ["segwatch.cli.receiver"], folder))
        traffic = Traffic(session, platform.url, run)
        await traffic.begin()
        config = folder / "config.toml"
        config.write_text(
            SETTINGS.format(platform=platform.url, receiver=receiver.url, interval=run.interval, folder=folder)
        )
        command = ["segwatch", "run", "--config", str(config)]
        daemon = await stack.enter_async_context(started("daemon", command, folder, url_in_log=True))
        keeping = asyncio.create_task(traffic.keep())
        stack.callback(keeping.cancel)
        await asyncio.sleep(run.warm_up)
        before = await platform_calls(session, platform)
        cpu_before, began = cpu_seconds(daemon), time.time()
        await asyncio.sleep(run.seconds)
        after = await platform_calls(session, platform)
        ended, cpu = time.time(), cpu_seconds(daemon) - cpu_before
        active = Counter(job["kind"] for job in await state(session, platform) if job["ended_ms"] is None)
        # what changed at the very end must still be seen and told; it goes on meanwhile as before
        await asyncio.sleep(3 * run.interval)
        keeping.cancel()
        jobs = await state(session, platform)
        expected = [change for job in jobs for change in changes(job) if began <= change.at < ended]
        lasting = [change for change in expected if change.lasted > run.interval]
        told = await told_by(session, receiver, lasting)
        missed = [change for change in lasting if (*change.job, change.status) not in told]
        lags = sorted(told[*change.job, change.status] - change.at for change in lasting if change not in missed)
        calls = after - before
        minutes = (ended - began) / 60
        return {
            "jobs_active": run.jobs,
            "active_at_the_end": dict(active),
            "interval_s": run.interval,
            "measured_s": round(ended - began, 1),
            "calls_per_minute": round(calls.total() / minutes, 1),
            "calls_by_route": {route: round(count / minutes, 1) for route, count in calls.most_common()},
            "changes": len(expected),
            "changes_longer_than_interval": len(lasting),
            "told": len(lasting) - len(missed),
            "missed": [f"{'/'.join(one.job)} {one.status}, lasted {one.lasted:.2f} s" for one in missed[:10]],
            "lag_p50_s": quantile(lags, 50),
            "lag_p95_s": quantile(lags, 95),
            "lag_max_s": round(lags[-1], 2) if lags else None,
            "cpu_s": round(cpu, 2),
            "cpu_percent": round(100 * cpu / (ended - began), 1),
            "rss_peak_mib": round(peak_rss_bytes(daemon) / 2**20, 1),
        }


async def state(session: aiohttp.ClientSession, platform: Process) -> list[dict[str, Any]]:
    """Return all jobs as the platform knows them."""
    async with session.get(f"{platform.url}/_emulator/state") as reply:
        jobs: list[dict[str, Any]] = (await reply.json())["jobs"]
        return jobs


async def platform_calls(session: aiohttp.ClientSession, platform: Process) -> Counter[str]:
    """Return the ledger's calls of the platform's API; tokens come from another service and are few."""
    async with session.get(f"{platform.url}/_emulator/ledger") as reply:
        requests = (await reply.json())["requests"]
    return Counter({route: count for route, count in requests.items() if " /data/" in route})


def changes(job: dict[str, Any]) -> Iterator[Change]:
    """Yield what one job went through."""
    moves = [(status, at_ms / 1000) for status, at_ms in job["history"]]
    ends = [at for _, at in moves[1:]]
    if job["ended_ms"] is None:
        moves.pop()  # how long it will last is not known yet
    for (status, at), end in zip(moves, [*ends, float("inf")], strict=False):
        yield Change(job=(job["kind"], str(job["id"])), status=status, at=at, lasted=end - at)


async def told_by(
    session: aiohttp.ClientSession, receiver: Process, wanted: list[Change]
) -> dict[tuple[str, str, str], float]:
    """Return when each (kind, id, status) was recorded, once all that is wanted has been told, or after DRAIN_S."""
    deadline = time.monotonic() + DRAIN_S
    while True:
        async with session.get(f"{receiver.url}/received") as reply:
            events = (await reply.json())["events"]
        told: dict[tuple[str, str, str], float] = {}
        for event in events:
            data = event["data"]
            if event["type"].startswith("job."):
                at = datetime.fromisoformat(event["timestamp"]).timestamp()
                told.setdefault((data["kind"], data["job_id"], data["status"]), at)
        if all((*change.job, change.status) in told for change in wanted) or time.monotonic() > deadline:
            return told
        await asyncio.sleep(1)


def cpu_seconds(process: Process) -> float:
    """Return the processor time that the process has used; Linux only, like the next."""
    fields = Path(f"/proc/{process.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_bytes(process: Process) -> int:
    """Return the most memory that the process has had."""
    for line in Path(f"/proc/{process.child.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this kernel does not tell the peak memory of a process")


def quantile(values: list[float], percent: int) -> float | None:
    """Return the percentile; None for too few values."""
    return round(statistics.quantiles(values, n=100)[percent - 1], 2) if len(values) > 1 else None


def arguments() -> Run:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--jobs", type=int, default=1000, help="active all the time, half of each kind")
    parser.add_argument("--seconds", type=float, default=120.0, help="to measure, after the warm-up")
    parser.add_argument("--warm-up", type=float, default=45.0, help="seconds")
    parser.add_argument("--interval", type=float, default=5.0, help="[polling].interval, in seconds")
    parser.add_argument("--change", type=float, default=60.0, help="seconds that a status lasts on average")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.change < given.interval:
        parser.error("--change is shorter than --interval: such changes are not promised to be seen")
    return Run(given.jobs, given.seconds, given.warm_up, given.interval, given.change, given.seed)


async def main() -> int:
    """Measure, print, and return 1 when a promise is broken; a signal ends it early, with all that it started."""
    run = arguments()
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGHUP):  # asyncio sees to SIGINT
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    with tempfile.TemporaryDirectory(prefix="segwatch-bench-") as folder:
        figures = await measured(run, Path(folder))
    for name, value in figures.items():
        for row, figure in value.items() if isinstance(value, dict) else [("", value)]:
            print(f"{name.replace('_', ' '):<30}{row:<{44 if row else 0}}{figure}")
    print(json.dumps(figures), flush=True)
    broken = []
    if figures["calls_per_minute"] > BUDGET_PER_MINUTE:
        broken.append(f"{figures['calls_per_minute']} calls a minute: the budget is {BUDGET_PER_MINUTE}")
    if figures["told"] != figures["changes_longer_than_interval"] or not figures["told"]:
        broken.append(f"{figures['told']} of {figures['changes_longer_than_interval']} lasting changes were told")
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
