"""How fast segments are evaluated: twenty of them over a million made-up profiles, several runs one after another.

Opens the local platform's data in this process, evaluates in its threads as a job would, and meanwhile asks for single
profiles and watches how late the event loop turns. Three promises are checked, and break the exit code: every run takes
less than `--limit` seconds, the process never has more than 2 GB of memory, and the loop answers within 200 ms (p99).

    python benchmarks/evaluate.py --profiles 1000000 --runs 4
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from segwatch.emulator.lake import entities, evaluation
from segwatch.emulator.lake.lake import Lake
from segwatch.emulator.lake.model import Evaluation
from segwatch.emulator.lake.opening import opened
from segwatch.emulator.settings import EmulatorSettings

MEMORY_LIMIT_BYTES = 2_000_000_000
LAG_LIMIT_MS = 200.0
SANDBOX = "prod"
SAM = entities.Wanted(id="sam@example.org", namespace="email")

QUERIES = (
    'homeAddress.country = "NL"',
    "person.birthYear <= 2007 and optInOut.email = true",
    "select e from xEvent where e.commerce.purchases.value > 0 and e.timestamp occurs <= 7 days before now",
    'loyalty.tier in ["gold", "platinum"]',
    "(exists e from xEvent where e.timestamp occurs > 45 days before now)"
    " and not (exists e from xEvent where e.timestamp occurs <= 45 days before now)",
    'xEvent[device.type = "mobile"].count() >= 3',
    '"running" in interests',
    "select e from xEvent where e.commerce.order.priceTotal > 100",
    "workAddress.country != homeAddress.country",
    'exists e from xEvent where (exists i from e.productListItems where i.SKU = "SKU-003")',
    'homeAddress.city.startsWith("A")',
    'person.name.lastName.equals("jansen", false)',
    'personalEmail.address.endsWith("@example.org", false)',
    'consents.marketing.email.val = "y" and loyalty.points >= 1000',
    'homeAddress.country in ["BE", "NL"] and preferredLanguage = "fr"',
    'person.gender = "female" and person.birthYear >= 1990',
    'not (homeAddress.country = "NL")',
    'mobilePhone.number like "+31%"',
    'xEvent[eventType = "commerce.purchases"].sum(commerce.order.priceTotal) > 200',
    "loyalty.points > 3000 or optInOut.sms = true",
)


@dataclass(frozen=True, slots=True)
class Run:
    """What the command line asks for. limit_s: the longest that an evaluation may take."""

    profiles: int
    runs: int
    limit_s: float
    on_disk: bool
    seed: int


@dataclass(slots=True)
class Delays:
    """What was waited for while runs were computed, in milliseconds."""

    loop_ms: list[float] = field(default_factory=list)
    lookup_ms: list[float] = field(default_factory=list)


def definitions() -> dict[str, Any]:
    """Return the expressions of the segments, by id."""
    return {
        f"a1b2c3d4-{n:04d}-4000-8000-{n:012d}": {"type": "PQL", "format": "pql/text", "value": query}
        for n, query in enumerate(QUERIES, start=1)
    }


async def measured(run: Run, folder: Path) -> dict[str, Any]:
    """Create the profiles, evaluate them, and return all figures."""
    settings = EmulatorSettings(seed=run.seed, size=run.profiles, data=folder if run.on_disk else None)
    now = datetime.now(UTC)
    began = time.monotonic()
    lake = await asyncio.to_thread(opened, settings, now=now, began=lambda _: None)
    created_s = time.monotonic() - began
    created_bytes = rss_bytes()
    try:
        seconds, cpu_seconds, members, delays = [], [], 0, Delays()
        for number in range(run.runs):
            order = Evaluation(
                run_id=f"run {number}", sandbox=SANDBOX, definitions=definitions(), now=now + timedelta(days=number)
            )
            began, cpu_began = time.monotonic(), time.process_time()
            async with watching(lake, delays):
                counted = await lake.compute(partial(evaluation.evaluate, order=order))
            seconds.append(round(time.monotonic() - began, 2))
            cpu_seconds.append(round(time.process_time() - cpu_began, 2))
            members = sum(one.members for one in counted.segments.values())
    finally:
        await asyncio.to_thread(lake.close)
    return {
        "profiles": run.profiles,
        "segments": len(QUERIES),
        "processors": os.cpu_count(),
        "creation_s": round(created_s, 2),
        "creation_rss_mb": created_bytes // 1_000_000,
        "evaluation_s": dict(enumerate(seconds, start=1)),
        "evaluation_cpu_s": dict(enumerate(cpu_seconds, start=1)),
        "memberships": members,
        "peak_rss_mb": peak_rss_bytes() // 1_000_000,
        "loop_lag_ms": quantiles(delays.loop_ms),
        "lookup_ms": quantiles(delays.lookup_ms),
    }


@asynccontextmanager
async def watching(lake: Lake, delays: Delays) -> AsyncIterator[None]:
    """Note until the block ends how late the loop is, and how long a look-up takes."""

    async def again(pause_s: float, measure: Callable[[], Any]) -> None:
        while True:
            await asyncio.sleep(pause_s)
            await measure()

    async def turn() -> None:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        delays.loop_ms.append((time.monotonic() - began - 0.01) * 1000)

    async def look() -> None:
        began = time.monotonic()
        await lake.answer(lambda cursor: entities.find(cursor, [SAM], sandbox=SANDBOX))
        delays.lookup_ms.append((time.monotonic() - began) * 1000)

    watchers = [asyncio.create_task(again(0, turn)), asyncio.create_task(again(0.2, look))]
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


def quantiles(values: list[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the greatest."""
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(max(values), 1)}


def rss_bytes() -> int:
    """Return the memory that the process has now; Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_rss_bytes() -> int:
    """Return the most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def arguments() -> Run:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=10.0, help="seconds that a run may take")
    parser.add_argument("--on-disk", action="store_true", help="as with `segwatch emulate --data`")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    return Run(given.profiles, given.runs, given.limit, given.on_disk, given.seed)


async def main() -> int:
    """Measure, print, and return 1 when a promise is broken."""
    run = arguments()
    with tempfile.TemporaryDirectory(prefix="segwatch-bench-") as folder:
        figures = await measured(run, Path(folder))
    for name, value in figures.items():
        for row, figure in value.items() if isinstance(value, dict) else [("", value)]:
            print(f"{name.replace('_', ' '):<20}{row:<{6 if row else 0}}{figure}")
    print(json.dumps(figures), flush=True)
    broken = []
    if (slowest := max(figures["evaluation_s"].values())) > run.limit_s:
        broken.append(f"an evaluation took {slowest} s: the limit is {run.limit_s:g} s")
    if figures["peak_rss_mb"] * 1_000_000 > MEMORY_LIMIT_BYTES:
        broken.append(f"{figures['peak_rss_mb']} MB of memory: the limit is {MEMORY_LIMIT_BYTES // 1_000_000} MB")
    if figures["loop_lag_ms"].get("p99", 0) > LAG_LIMIT_MS:
        broken.append(f"the loop was {figures['loop_lag_ms']['p99']} ms late: the limit is {LAG_LIMIT_MS:g} ms")
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
