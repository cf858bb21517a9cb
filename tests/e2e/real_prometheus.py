"""A real Prometheus on loopback that scrapes a target each second, and may tell an Alertmanager of its own alerts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from house import until

_CONFIG = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
scrape_configs:
  - job_name: segwatch
    static_configs:
      - targets: ["{target}"]
"""
_ALERTING = """\
rule_files: ["rules.yml"]
alerting:
  alertmanagers:
    - static_configs:
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
async def prometheus(
    session: aiohttp.ClientSession, folder: Path, target: str, *, alertmanager: str = "", rules: str = ""
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes `target` every second.

    alertmanager: the host and port of one that is told of the alerts of `rules`, a file of them as text.
    """
    config = folder / "prometheus.yml"
    alerting = _ALERTING.format(target=alertmanager) if alertmanager else ""
    config.write_text(_CONFIG.format(target=target) + alerting)
    (folder / "rules.yml").write_text(rules)
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
