"""What is deleted, and what is not, when the clock jumps."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from store_builders import START, at, job, told
from structlog.testing import capture_logs

from segwatch.daemon.caretaker import Caretaker
from segwatch.jobs.model import Status
from segwatch.store.filters import JobFilter
from segwatch.store.sqlite import SqliteStore
from segwatch.telemetry.health import Readiness
from segwatch.telemetry.metrics import Metrics

RETENTION = timedelta(days=90)
DAY_S = 86400.0


class Over(Exception):
    """The time of the test is over."""


class Clock:
    """Two clocks that pass while somebody sleeps; the time of day is `ahead(seconds that ran)` wrong."""

    def __init__(self, began: datetime, lasts: timedelta, ahead: Callable[[float], float]) -> None:
        self._began = began
        self._lasts_s = lasts.total_seconds()
        self._ahead = ahead
        self._ran_s = 0.0

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self._ran_s + self._ahead(self._ran_s))

    def ran_s(self) -> float:
        return self._ran_s

    async def sleep(self, seconds: float) -> None:
        self._ran_s += 60.0
        if self._ran_s > self._lasts_s:
            raise Over


@pytest.fixture
async def store(tmp_path: Path):
    opened = SqliteStore(tmp_path / "segwatch.db")
    await opened.open()
    for n in range(40):
        _, change = told(job(f"j{n}"), Status.FAILED, minute=n * 24 * 60)
        await opened.commit([change])
    yield opened
    await opened.close()


async def looked_after(
    store: SqliteStore, began: datetime, lasts: timedelta, ahead: Callable[[float], float] = lambda ran_s: 0.0
) -> list[dict[str, object]]:
    """Return what the caretaker logged."""
    clock = Clock(began, lasts, ahead)
    caretaker = Caretaker(
        store, clock, Readiness(), Metrics(), retention=lambda: RETENTION, channels=lambda: []
    )  # fmt: skip
    with capture_logs() as lines, suppress(Over):
        await caretaker.run(lambda: None)
    return lines


async def left(store: SqliteStore) -> int:
    return len(await store.jobs(JobFilter()))


async def test_a_clock_that_jumps_ahead_and_back_deletes_nothing(store):
    began = at(40 * 24 * 60)
    lines = await looked_after(
        store, began, timedelta(hours=5), lambda ran_s: 100 * DAY_S if 5400 < ran_s < 5700 else 0.0
    )
    assert await left(store) == 40
    jumps = [line["seconds"] for line in lines if line["event"] == "clock_jumped"]
    assert jumps == [100 * DAY_S, -100 * DAY_S]


async def test_a_clock_that_is_wrong_from_the_start_deletes_a_days_jobs_each_hour_at_most(store):
    await store.believe(START + timedelta(days=90, hours=1))
    lines = await looked_after(store, START + timedelta(days=300), timedelta(hours=5))
    assert 40 - 6 <= await left(store) < 40
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["clock_far_ahead"]


async def test_what_is_old_by_a_steady_clock_is_deleted_and_the_clock_believed_by_the_next_process(store):
    await store.believe(START + timedelta(days=100))
    began = START + timedelta(days=100, hours=1)
    await looked_after(store, began, timedelta(hours=2))
    assert await left(store) == 40 - 11
    assert timedelta(0) < await store.believed() - began < timedelta(hours=2)


async def test_without_a_time_on_disk_that_of_the_newest_event_is_believed(store):
    assert await store.believed() == at(39 * 24 * 60)
