"""What the whole process makes of its settings, at its start and when it reads them again; all others are away."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import structlog
from fakes import FakeClock
from store_builders import START, job, told
from structlog.testing import capture_logs

from segwatch.app import daemon as daemon_module
from segwatch.app.daemon import Daemon
from segwatch.config import load
from segwatch.deliveries.model import Stage
from segwatch.jobs.model import JobState, Status
from segwatch.store.base import StoreError
from segwatch.store.sqlite import SqliteStore

pytestmark = pytest.mark.usefixtures("logging_as_before")

SETTINGS = """
store.url = "sqlite://{folder}/segwatch.db"
http.listen = "127.0.0.1:0"
platform = {{ base_url = "http://127.0.0.1:9", ims_url = "http://127.0.0.1:9" }}
[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "abc"
client_secret = "hush-hush"
[[channels]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1:9/"
max_age = "7d"
"""


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - who logs a line signals nobody
            await asyncio.sleep(0.005)


@dataclass
class House:
    """A folder with settings and a store. lines: what was logged before the first reload. url: of the daemon."""

    folder: Path
    clock: FakeClock
    lines: list
    url: str = ""

    def write(self, more: str = "", **replaced: str) -> None:
        """Write the usual settings, with `more` before them, and what is replaced by its new text."""
        text = more + SETTINGS.format(folder=self.folder)
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        (self.folder / "config.toml").write_text(text)

    def logged(self, event: str) -> list:
        return [line for line in self.lines if line["event"] == event]

    @asynccontextmanager
    async def store(self) -> AsyncIterator[SqliteStore]:
        store = SqliteStore(self.folder / "segwatch.db")
        await store.open()
        yield store
        await store.close()

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Daemon]:
        """The daemon at work on these settings, until the block ends."""
        stop = asyncio.Event()
        daemon = Daemon(load(self.folder / "config.toml", {}), lambda: load(self.folder / "config.toml", {}))
        task = asyncio.create_task(daemon.run(stop))
        try:
            await until(lambda: self.logged("started") or task.done())
            self.url = self.logged("listening")[0]["url"]
            yield daemon
        finally:
            stop.set()
            await task

    async def tidied_up(self) -> None:
        """Return when what is too old has been forgotten, which needs half an hour of the daemon's time at most."""
        late = self.clock.now() + timedelta(minutes=30)
        async with asyncio.timeout(20):
            while not self.logged("old_jobs_forgotten"):
                if self.clock.now() < late:
                    await self.clock.wake_next()
                else:  # the store's threads live by real time
                    await asyncio.sleep(0.01)

    async def ask(self, method: str, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.request(method, self.url + path) as reply:
            return reply.status, await reply.text()

    async def ended_jobs(self, **hours_ago: float) -> dict[str, JobState]:
        """Put jobs there that ended so long ago, by their ids."""
        jobs = {}
        async with self.store() as store:
            for job_id, hours in hours_ago.items():
                jobs[job_id], change = told(job(job_id), Status.SUCCEEDED, -60 * hours, to=["ops", "gone"])
                await store.commit([change])
        return jobs


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = FakeClock(START)
    monkeypatch.setattr(daemon_module, "SystemClock", lambda: clock)
    with capture_logs() as lines:
        one = House(tmp_path, clock, lines)
        one.write()
        yield one


async def test_a_store_that_is_in_use_is_refused_before_anybody_listens(house):
    before = set(house.folder.iterdir())
    async with house.store():
        with pytest.raises(StoreError, match=f"in use by another segwatch daemon, process {os.getpid()}"):
            async with house.daemon():
                pass
    assert house.lines == []
    assert {one.name for one in set(house.folder.iterdir()) - before} == {"segwatch.db", "segwatch.db.lock"}


async def test_finished_jobs_outlive_the_time_that_a_list_may_still_show_them_whatever_retention_says(house):
    house.write('store.retention = "1h"\npolling.lookback = "10h"\n')
    jobs = await house.ended_jobs(young=0, shown=10.2, past=11.8)
    async with house.store() as store:
        await store.settle([replace(one, stage=Stage.DELIVERED) for one in await store.deliveries()])
    async with house.daemon():
        await house.tidied_up()
    async with house.store() as store:
        kept = {job_id for job_id, state in jobs.items() if await store.job(state.key)}
    assert kept == {"young", "shown"}


async def test_only_channels_that_are_gone_from_the_settings_lose_their_promises(house):
    await house.ended_jobs(old=25, young=0)
    async with house.daemon():
        await house.tidied_up()
    async with house.store() as store:
        given_up = {(one.event.job_id, one.channel) for one in await store.deliveries(stages=(Stage.DEAD,))}
    assert given_up == {("old", "gone")}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("store.url", "segwatch.db", "other.db", id="store"),
        pytest.param("http.listen", "127.0.0.1:0", "127.0.0.1:1", id="listener"),
    ],
)
async def test_a_reload_refuses_what_needs_a_restart_and_then_changes_nothing(house, name, old, new):
    async with house.daemon():
        house.write('log.level = "error"\n', **{old: new})
        refusal = f"{name}: cannot change while running; restart segwatch to apply it\n"
        assert await house.ask("POST", "/-/reload") == (400, refusal)
        assert "segwatch_config_last_reload_successful 0.0" in (await house.ask("GET", "/metrics"))[1]
        structlog.get_logger().info("still_told")
        assert house.logged("still_told")
        house.write()
        assert await house.ask("POST", "/-/reload") == (200, "reloaded\n")
        assert (await house.ask("GET", "/-/ready"))[0] == 200
    assert not (house.folder / "other.db").exists()


async def test_what_was_a_secret_before_a_reload_is_still_masked_after_it(house, capsys):
    async with house.daemon() as daemon:
        for secret in ("the-second-0ne", "the-third-0ne"):
            house.write('log.format = "json"\n', **{"hush-hush": secret})
            assert await daemon.reload() == ()
        capsys.readouterr()
        structlog.get_logger().info("line", said="hush-hush, the-second-0ne and the-third-0ne")
        assert '"[masked], [masked] and [masked]"' in capsys.readouterr().err


async def test_a_reload_applies_the_log_level(house, capsys):
    async with house.daemon() as daemon:
        shown = []
        for level in ("debug", "error", "info"):
            house.write(f'log.level = "{level}"\nlog.format = "json"\n')
            assert await daemon.reload() == ()
            capsys.readouterr()
            for severity in ("debug", "info", "warning", "error"):
                getattr(structlog.get_logger(), severity)(f"line-{severity}")
            told_now = capsys.readouterr().err
            shown.append([word for word in ("debug", "info", "warning", "error") if f"line-{word}" in told_now])
    assert shown == [["debug", "info", "warning", "error"], ["error"], ["info", "warning", "error"]]
