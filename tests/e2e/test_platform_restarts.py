"""The local platform with a directory: what it answered is true after kill -9, and nothing is half-done for ever."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from house import until

ROOT = Path(__file__).parents[2]
UPS = "/data/core/ups"
ORG = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
SEGMENT = "a1b2c3d4-0001-4000-8000-000000000001"
RECENT = "a1b2c3d4-0003-4000-8000-000000000003"
IN_RECENT = {"segmentId": RECENT, "status": ["realized"]}
DATASET = "65a1b2c3d4e5f60718293a4b"
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
EXPORT = {
    "filter": {"segments": [{"segmentId": SEGMENT}]},
    "schema": {"name": "_xdm.context.profile"},
    "destination": {"datasetId": DATASET},
}
SCHEDULE = {
    "name": "nightly", "type": "batch_segmentation", "properties": {"segments": ["*"]}, "state": "active",
    "schedule": "0 0 1 1 1 ?",
}  # fmt: skip


class Emulator:
    """One process, and a caller of it."""

    def __init__(self, child: asyncio.subprocess.Process, session: aiohttp.ClientSession, url: str) -> None:
        self.child, self._session, self._url = child, session, url
        self._headers = {"x-api-key": "k", "x-gw-ims-org-id": ORG, "x-sandbox-name": "prod"}

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        if "Authorization" not in self._headers and path.startswith("/data"):
            form = {"grant_type": "client_credentials", "client_id": "k", "client_secret": "s", "scope": "openid"}
            async with self._session.post(f"{self._url}/ims/token/v3", data=form) as reply:
                self._headers["Authorization"] = f"Bearer {(await reply.json())['access_token']}"
        async with self._session.request(method, self._url + path, json=body, headers=self._headers) as reply:
            assert reply.status < 300, (reply.status, await reply.text())
            return await reply.json(content_type=None)

    async def state(self) -> Any:
        return await self.call("GET", "/_emulator/state")

    async def jobs(self) -> dict[str, Any]:
        return {str(job["id"]): job for job in (await self.state())["jobs"]}

    async def all_over(self) -> dict[str, Any]:
        async def over() -> dict[str, Any] | None:
            jobs = await self.jobs()
            return jobs if all(job["status"] in ENDED for job in jobs.values()) else None

        return await until(over, "all jobs have ended", within_s=30)

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    async def end(self, by: signal.Signals) -> None:
        self.child.send_signal(by)
        async with asyncio.timeout(20):
            await self.child.wait()


async def process(data: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "segwatch", "emulate", "--port", "0", "--json", "--data", str(data), "--size", "2000",
        *options, cwd=ROOT, env=os.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@asynccontextmanager
async def emulating(data: Path, *options: str) -> AsyncIterator[Emulator]:
    """Run one, and end it with the block if it has not been killed; it must not have complained."""
    child = await process(data, *options)
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            async with asyncio.timeout(30):
                line = await child.stdout.readline()
            assert line, (await child.stderr.read()).decode()
            yield Emulator(child, session, json.loads(line)["url"])
    finally:
        if child.returncode is None:
            child.terminate()
        _, complaints = await child.communicate()
        assert complaints == b""


def batches_in(data: Path) -> set[str]:
    return {path.name for path in (data / "batches").iterdir()}


@pytest.mark.parametrize("lives_s", [0.0, 0.15, 0.4, 0.8, 1.3])
async def test_whenever_it_is_killed_jobs_go_on_and_nothing_is_torn(tmp_path: Path, lives_s: float) -> None:
    async with emulating(tmp_path, "--speed", "300") as first:
        script = [["QUEUED", 60], ["PROCESSING", 240], ["SUCCEEDED", 0]]
        await first.call("POST", "/_emulator/jobs", {"kind": "export_job", "script": script, "count": 20})
        long = [["PROCESSING", 3600], ["SUCCEEDED", 0]]
        (kept,) = (await first.call("POST", "/_emulator/jobs", {"kind": "segment_job", "script": long}))["ids"]
        await first.call("POST", f"{UPS}/segment/jobs", [{"segmentId": SEGMENT}])
        await first.call("POST", f"{UPS}/segment/jobs", [{"segmentId": SEGMENT}])
        for _ in range(3):
            await first.call("POST", f"{UPS}/export/jobs", EXPORT)
        await asyncio.sleep(lives_s)
        await first.kill()
    (tmp_path / "batches" / "00ff.tmp").mkdir(parents=True)
    async with emulating(tmp_path, "--speed", "300") as second:
        assert "00ff.tmp" not in batches_in(tmp_path)
        assert len(await second.jobs()) == 26
        await second.call("POST", f"/_emulator/jobs/segment_job/{kept}/status", {"status": "SUCCEEDED"})
        jobs = await second.all_over()
        assert {job["status"] for job in jobs.values()} == {"SUCCEEDED"}
        for job in jobs.values():
            words = [status for status, _ in job["history"]]
            assert words == list(dict.fromkeys(words)) or job["id"] == kept
        rows = [
            await second.call("GET", f"{UPS}/export/jobs/{one['id']}")
            for one in jobs.values()
            if one["origin"] == "platform" and one["kind"] == "export_job"
        ]
        batches = {row["destination"]["batchId"] for row in rows}
        assert len(batches) == 3
        assert batches_in(tmp_path) == batches
        segments = [
            await second.call("GET", f"{UPS}/segment/jobs/{one['id']}")
            for one in jobs.values()
            if one["origin"] == "platform" and one["kind"] == "segment_job"
        ]
        counts = [row["metrics"]["segmentedProfileCounter"][SEGMENT] for row in segments]
        assert counts[0] == counts[1] > 0


async def counted(platform: Emulator) -> tuple[dict[str, int], int]:
    """Return what a segment job counts by segment, and how many the platform then exports of the segment."""
    job = await platform.call("POST", f"{UPS}/segment/jobs", [{"segmentId": RECENT}])
    await platform.all_over()
    metrics = (await platform.call("GET", f"{UPS}/segment/jobs/{job['id']}"))["metrics"]
    export = await platform.call("POST", f"{UPS}/export/jobs", EXPORT | {"filter": {"segments": [IN_RECENT]}})
    await platform.all_over()
    written = (await platform.call("GET", f"{UPS}/export/jobs/{export['id']}"))["metrics"]
    return metrics["segmentedProfileCounter"], written["totalExportedProfileCounter"]


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
async def test_ended_within_a_history_it_has_none_and_evaluates_as_if_none_had_been_asked_for(
    tmp_path: Path, by: signal.Signals
) -> None:
    options = ("--speed", "100000")
    async with emulating(tmp_path, *options) as first:
        await first.call("POST", f"{UPS}/export/jobs", EXPORT)  # opens the data
        await first.all_over()
        lake = tmp_path / "lake.duckdb"
        days = [lake.stat().st_mtime_ns]

        async def some_days() -> bool:
            if days[-1] != (changed := lake.stat().st_mtime_ns):
                days.append(changed)
            return len(days) > 4

        history = asyncio.create_task(first.call("POST", "/_emulator/history", {"days": 90}))
        await until(some_days, "some days of the history are computed")
        assert not history.done()
        await first.end(by)
        with pytest.raises(aiohttp.ClientError):
            await history
    async with emulating(tmp_path, *options) as second:
        assert all(job["kind"] == "export_job" for job in (await second.jobs()).values())
        found, exported = await counted(second)
        again, _ = await counted(second)
        made = await second.call("POST", "/_emulator/history", {"days": 3, "sandbox": "dev"})
        assert len(made["ids"]) == 3
        await second.call("POST", "/_emulator/reset")
        fresh, _ = await counted(second)
    assert found == again == fresh == {RECENT: exported}
    assert exported > 0


async def test_everything_that_was_answered_is_still_there(tmp_path: Path) -> None:
    async with emulating(tmp_path, "--evaluations-per-day", "1") as first:
        schedule = await first.call("POST", f"{UPS}/config/schedules", SCHEDULE)
        await first.call("POST", f"/_emulator/schedules/{schedule['id']}/skip", {"times": 2})
        await first.call("POST", "/_emulator/quirks", {"no_links": True})
        await first.call("POST", "/_emulator/outcomes", {"kind": "export_job", "next": ["FAILED", "SUCCEEDED"]})
        job = await first.call("POST", f"{UPS}/segment/jobs", [{"segmentId": SEGMENT}])
        gone, kept = (await first.call("POST", "/_emulator/jobs", {"kind": "export_job", "count": 2}))["ids"]
        await first.call("DELETE", f"/_emulator/jobs/export_job/{gone}")
        await first.call("DELETE", f"{UPS}/segment/jobs/{job['id']}")
        state, ledger = await first.state(), await first.call("GET", "/_emulator/ledger")
        await first.kill()
    async with emulating(tmp_path, "--evaluations-per-day", "1") as second:
        found = await second.state()
        assert found["schedules"] == state["schedules"]
        assert found["outcomes"] == state["outcomes"]
        assert found["definitions"] == state["definitions"]
        assert [(one["id"], one["history"][:1]) for one in found["jobs"]] == [
            (one["id"], one["history"][:1]) for one in state["jobs"]
        ]
        assert (await second.call("GET", "/_emulator/quirks"))["no_links"] is True
        assert await second.call("GET", "/_emulator/ledger") == ledger
        (new,) = (await second.call("POST", "/_emulator/jobs", {"kind": "export_job"}))["ids"]
        assert new > kept
        with pytest.raises(AssertionError, match="429"):
            await second.call("POST", f"{UPS}/segment/jobs", [{"segmentId": SEGMENT}])


async def test_a_second_process_is_told_who_has_the_directory(tmp_path: Path) -> None:
    async with emulating(tmp_path) as first:
        second = await process(tmp_path)
        _, complaint = await asyncio.wait_for(second.communicate(), 30)
        assert second.returncode == 2
        assert f"is in use by another local platform (process {first.child.pid})".encode() in complaint


async def test_a_directory_of_other_profiles_is_refused(tmp_path: Path) -> None:
    async with emulating(tmp_path, "--speed", "300") as first:
        await first.call("POST", "/_emulator/evaluations", {})  # computed when the profiles are there

        async def counted() -> bool:
            return any(job["status"] == "PROCESSING" for job in (await first.jobs()).values())

        await until(counted, "the profiles are there")
    other = await process(tmp_path, "--seed", "1")
    _, complaint = await asyncio.wait_for(other.communicate(), 30)
    assert other.returncode == 2
    assert b"was made with --seed 0 --size 2000, not with --seed 1" in complaint


async def test_a_scenario_goes_on_where_it_was(tmp_path: Path) -> None:
    scenario = tmp_path / "my.toml"
    entries = [f'[[jobs]]\nat = "{minute}m"\nkind = "export_job"\n' for minute in range(10)]
    scenario.write_text("\n".join(entries))
    options = ("--speed", "120", "--scenario", str(scenario))
    async with emulating(tmp_path / "data", *options) as first:

        async def some() -> bool:
            return len(await first.jobs()) >= 3

        await until(some, "three steps have happened")
        await first.kill()
    async with emulating(tmp_path / "data", *options) as second:

        async def played() -> bool:
            return all(step["done_ms"] for step in (await second.state())["scenario"]["steps"])

        await until(played, "all steps have happened")
        assert len(await second.jobs()) == 10
