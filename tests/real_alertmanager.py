"""A real Alertmanager on loopback, which notifies a receiver of ours."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

_CONFIG = """\
route:
  receiver: ours
  group_by: ["..."]
  group_wait: 0s
  group_interval: 1s
receivers:
  - name: ours
    webhook_configs:
      - url: "{hook}"
        send_resolved: true
"""
_START_S = 15.0
_LOOK_S = 0.02


class Alertmanager:
    """A running one, by its API. `kill` and `start` again on the same port: it has forgotten all alerts."""

    def __init__(self, session: aiohttp.ClientSession, folder: Path, hook: str) -> None:
        self._session = session
        self._folder = folder
        self._config = folder / "alertmanager.yml"
        self._config.write_text(_CONFIG.format(hook=hook))
        self._log = folder / "alertmanager.log"
        self._port = 0
        self._starts = 0
        self._child: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._starts += 1
        with self._log.open("wb") as log:
            self._child = await asyncio.create_subprocess_exec(
                "prometheus-alertmanager",
                f"--config.file={self._config}",
                f"--storage.path={self._folder / f'data-{self._starts}'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--cluster.listen-address=",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(_START_S):
            while not (found := re.search(r'"Listening on" address=127\.0\.0\.1:(\d+)', self._log.read_text())):
                assert self._child.returncode is None, self._log.read_text()
                await asyncio.sleep(_LOOK_S)
        self._port = int(found[1])

    async def kill(self) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()

    async def alerts(self) -> list[dict[str, Any]]:
        """Return what fires, as its API tells."""
        async with self._session.get(f"{self.url}/api/v2/alerts") as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    async def until_fires(self, number: int, *, within_s: float = 15.0, **labels: str) -> list[dict[str, Any]]:
        """Return the alerts with these labels, as soon as there are so many; each request is answered at once."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = [one for one in await self.alerts() if labels.items() <= one["labels"].items()]
                    if len(found) == number:
                        return found
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise AssertionError(f"not within {within_s:g} s: {number} alerts with {labels}; last: {found}") from None


@asynccontextmanager
async def alertmanager(session: aiohttp.ClientSession, folder: Path, hook: str) -> AsyncIterator[Alertmanager]:
    """Run an Alertmanager that posts what it has to tell to `hook`, each alert by itself."""
    one = Alertmanager(session, folder, hook)
    try:
        await one.start()
        yield one
    finally:
        await one.kill()
