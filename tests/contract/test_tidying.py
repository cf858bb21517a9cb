"""What the caretaker gives up and what it keeps: on a real store, by a clock that is moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeClock
from store_builders import START, job, told

from segwatch.daemon.caretaker import Caretaker
from segwatch.deliveries.model import Stage
from segwatch.jobs.model import JobState, Status
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

    async def wait(self, minutes: float) -> None:
        """Return when the caretaker has worked for so long."""
        until = self.clock.now() + timedelta(minutes=minutes)
        while self.clock.now() < until:
            await self.clock.wake_next()

    async def happened(self, job_id: str, status: Status, *, hours_ago: float, to: Sequence[str] = ()) -> JobState:
        """Let the log tell that a job got this status, promised to these channels."""
        state, change = told(job(job_id), status, -60 * hours_ago, to=to)
        await self.store.commit([change])
        return state

    async def stages(self) -> dict[str, tuple[Stage, str]]:
        return {one.channel: (one.stage, one.reason) for one in await self.store.deliveries()}


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()
    one = House(store, FakeClock(START), Readiness(), ["ops"])
    await one.happened("young", Status.PROCESSING, hours_ago=0)
    monkeypatch.setattr(store, "writable", one.writable)  # for nobody can fill the disk under a test
    yield one
    await store.close()


async def test_what_was_promised_to_a_removed_channel_is_given_up_after_a_day(house):
    await house.happened("1", Status.FAILED, hours_ago=23.5, to=["ops", "gone"])
    waiting = (Stage.PENDING, "")
    async with house.looked_after():
        await house.wait(minutes=15)
        assert await house.stages() == {"ops": waiting, "gone": waiting}
        await house.wait(minutes=60)
        assert await house.stages() == {"ops": waiting, "gone": (Stage.DEAD, "channel_removed")}


async def test_a_channel_that_comes_back_within_a_day_finds_what_was_promised_to_it(house):
    await house.happened("1", Status.FAILED, hours_ago=23.5, to=["gone"])
    async with house.looked_after():
        await house.wait(minutes=15)
        house.channels.append("gone")
        await house.wait(minutes=120)
        assert await house.stages() == {"gone": (Stage.PENDING, "")}


async def test_finished_jobs_are_kept_for_as_long_as_they_shall_be_and_no_longer(house):
    ended = await house.happened("1", Status.SUCCEEDED, hours_ago=7 * 24 - 0.5)
    async with house.looked_after():
        await house.wait(minutes=15)
        assert await house.store.job(ended.key) is not None
        await house.wait(minutes=60)
        assert await house.store.job(ended.key) is None


async def test_a_full_disk_makes_it_not_ready_for_as_long_as_it_is_full(house):
    house.readiness.ok("start")
    async with house.looked_after():
        for is_full in (True, False, True):
            house.is_full = is_full
            await house.clock.wake_next()
            await house.clock.wake_next()
            assert ("store" in house.readiness.problems()) is is_full
