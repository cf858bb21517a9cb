"""A real Prometheus scrapes the daemon, and answers what an alert would ask."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from house import House, an_export, until
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.needs("prometheus")

_CONFIG = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: segwatch
    static_configs:
      - targets: ["{target}"]
"""


class Prometheus:
    """A running one, by its query API."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def value(self, query: str) -> float | None:
        """Return what an instant query gives; None when it gives no sample, or is not answered yet."""
        try:
            async with self._session.get(f"{self.url}/api/v1/query", params={"query": query}) as reply:
                answer = await reply.json()
        except (aiohttp.ClientError, TimeoutError):
            return None
        assert answer["status"] == "success", answer
        found = answer["data"]["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    async def until(self, query: str, wanted: float) -> None:
        async def reached() -> bool:
            return await self.value(query) == wanted

        await until(reached, f"{query} is {wanted:g}", within_s=15)


def _free_port() -> int:
    """Return a port that nobody had a moment ago: Prometheus 2 does not tell which one it took."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@asynccontextmanager
async def prometheus(session: aiohttp.ClientSession, folder: Path, target: str) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes `target` every second."""
    config = folder / "prometheus.yml"
    config.write_text(_CONFIG.format(target=target))
    address = f"127.0.0.1:{_free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(session, f"http://{address}")
    finally:
        child.terminate()
        try:
            async with asyncio.timeout(10):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


async def test_prometheus_learns_of_a_failed_export_and_of_what_became_of_it(house: House, tmp_path: Path):
    daemon = await house.daemon()
    async with prometheus(house.session, tmp_path, daemon.url.removeprefix("http://")) as asked:
        await asked.until('segwatch_up{sandbox="prod"}', 1)
        await asked.until('segwatch_job_transitions_total{kind="export_job", status="FAILED"}', 0)  # before the first
        await house.platform.outcomes("SUCCEEDED")
        script = [("NEW", 1.5), ("PROCESSING", 1.5), ("FAILED", 0)]
        [failed] = await house.platform.place("export_job", *script, body=an_export())

        await asked.until('segwatch_job_transitions_total{kind="export_job", status="FAILED"}', 1)
        await asked.until('segwatch_export_retries_total{sandbox="prod", result="submitted"}', 1)
        await asked.until("segwatch_export_retries_pending", 0)
        assert await asked.value('segwatch_job_transitions_total{kind="export_job", status="PROCESSING"}') >= 1
        assert await asked.value("sum(increase(segwatch_export_retries_total[1m])) > bool 0") == 1
        assert await asked.value('up{job="segwatch"}') == 1
        assert await asked.value("segwatch_config_last_reload_successful") == 1
        assert await asked.value("count(segwatch_build_info)") == 1
        assert await asked.value('segwatch_api_requests_total{endpoint="/data/core/ups/export/jobs", code="200"}') > 0
        assert await asked.value("time() - min(segwatch_last_poll_timestamp_seconds) < bool 30") == 1

    _, text = await daemon.call("GET", "/metrics")
    values = {
        value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for value in sample.labels.values()
    }
    ids = set(await house.platform.jobs())
    assert failed in ids
    assert not [value for value in values for job_id in ids if job_id in value]
    assert await daemon.stop() == 0
