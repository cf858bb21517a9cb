"""What the caretaker gives up and what it keeps: on a real store, by a clock that is moved by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeClock
from store_builders import START, at, job, told

from segwatch.daemon.caretaker import Caretaker
from segwatch.deliveries.model import Stage
from segwatch.jobs.model import Status
from segwatch.store.base import StoreUnavailable
from segwatch.store.sqlite import SqliteStore
from segwatch.telemetry.health import Readiness
from segwatch.telemetry.metrics import Metrics


@dataclass
class House:
    """channels: those that have a worker. is_full: the disk takes nothing."""

    store: SqliteStore
    clock: FakeClock
    readiness: Readiness
    channels: list[str]
    is_full: bool = False

    async def writable(self) -> None:
        if self.is_full:
            raise StoreUnavailable("database or disk is full")

    @asynccontextmanager
    async def looked_after(self) -> AsyncIterator[None]:
        """Let a caretaker work, which keeps finished jobs for a week."""
        caretaker = Caretaker(
            self.store, self.clock, self.readiness, Metrics(),
            retention=lambda: timedelta(days=7), channels=lambda: self.channels,
        )  # fmt: skip
        task = asyncio.create_task(caretaker.run(lambda: None))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def for_an_hour(self) -> None:
        """Return when a caretaker has worked for an hour by its own clock, and a little more."""
        until = self.clock.now() + timedelta(hours=1, seconds=4)
        async with self.looked_after():
            while self.clock.now() < until:
                await self.clock.wake_next()

    async def stages(self) -> dict[str, tuple[Stage, str]]:
        return {one.channel: (one.stage, one.reason) for one in await self.store.deliveries()}


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()
    one = House(store, FakeClock(START), Readiness(), ["ops"])
    monkeypatch.setattr(store, "writable", one.writable)  # for nobody can fill the disk under a test
    yield one
    await store.close()


async def test_what_was_promised_to_a_removed_channel_is_given_up_after_a_day(house):
    await house.store.commit([told(job(), to=["ops", "gone"])[1]])
    house.clock.set(START + timedelta(hours=22))
    await house.for_an_hour()
    waiting = (Stage.PENDING, "")
    assert await house.stages() == {"ops": waiting, "gone": waiting}
    house.clock.set(START + timedelta(hours=23, minutes=30))
    await house.for_an_hour()
    assert await house.stages() == {"ops": waiting, "gone": (Stage.DEAD, "channel_removed")}


async def test_a_channel_that_comes_back_within_a_day_finds_what_was_promised_to_it(house):
    await house.store.commit([told(job(), to=["gone"])[1]])
    house.clock.set(START + timedelta(hours=20))
    await house.for_an_hour()
    house.channels.append("gone")
    house.clock.set(START + timedelta(hours=40))
    await house.for_an_hour()
    assert await house.stages() == {"gone": (Stage.PENDING, "")}


async def test_finished_jobs_are_kept_for_as_long_as_they_shall_be_and_no_longer(house):
    running, began = told(job())
    ended, change = told(running, Status.SUCCEEDED, minute=1)
    await house.store.commit([began])
    await house.store.commit([change])
    house.clock.set(at(1) + timedelta(days=7, hours=-2))
    await house.for_an_hour()
    assert await house.store.job(ended.key) is not None
    house.clock.set(at(1) + timedelta(days=7, minutes=1))
    await house.for_an_hour()
    assert await house.store.job(ended.key) is None


async def test_a_full_disk_makes_it_not_ready_for_as_long_as_it_is_full(house):
    house.readiness.ok("start")
    async with house.looked_after():
        for is_full in (True, False, True):
            house.is_full = is_full
            await house.clock.wake_next()
            await house.clock.wake_next()
            assert ("store" in house.readiness.problems()) is is_full
