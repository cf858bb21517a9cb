"""What a channel that forgets is told again: the latest notice of every group of its own that fires, and no other."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from alert_builders import event
from fakes import FakeClock, at

from segwatch.alerts.alerting import Alerting
from segwatch.app.channels import Routes
from segwatch.daemon.alerter import Alerter
from segwatch.daemon.refresher import firing_on
from segwatch.deliveries.routing import Route
from segwatch.jobs.events import EventType
from segwatch.store.base import Change
from segwatch.store.filters import AlertFilter
from segwatch.store.sqlite import SqliteStore

ROUTES = (Route(channels=("am", "pager"), stateful=frozenset({"am", "pager"})),)


async def alerting(store: SqliteStore, clock: FakeClock) -> None:
    """Let an alerter work for two minutes of its clock."""
    until = clock.now() + timedelta(minutes=2)
    worker = asyncio.create_task(Alerter(store, clock, Routes(ROUTES), told=lambda events: None).run(lambda: None))
    async with asyncio.timeout(30):
        while clock.now() < until and not worker.done():  # noqa: ASYNC110 - the clock is moved by the worker
            await asyncio.sleep(0.002)
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker


async def test_what_fires_on_a_channel_is_read_from_the_store(tmp_path: Path):
    store, clock = SqliteStore(tmp_path / "segwatch.db"), FakeClock(at(), leaps=True)
    await store.open()
    try:
        assert await firing_on(store, "am") == []
        for job in ("1", "2"):
            failed = event(EventType.JOB_FAILED, job, when=clock.now(), stream=f"job/{job}", sequence=1)
            await store.commit([Change(events=(failed,))])
        await alerting(store, clock)
        for channel in ("am", "pager"):
            notices = await firing_on(store, channel)
            assert {one.type for one in notices} == {EventType.ALERT_FIRING}
            assert [one.details["channel"] for one in notices] == [channel] * 2
            assert {one.details["alerts"][0]["job_id"] for one in notices} == {"1", "2"}
        recovered = event(EventType.JOB_SUCCEEDED, "1", when=clock.now(), stream="job/1", sequence=2)
        await store.commit([Change(events=(recovered,))])
        await alerting(store, clock)
        [left] = await firing_on(store, "am")
        assert left.details["alerts"][0]["job_id"] == "2"
        assert await firing_on(store, "other") == []
        (alert,) = await store.alerts(AlertFilter(open_only=True))
        cursor = await store.alert_cursor()
        over = Alerting(cursor=cursor, cursor_before=cursor, alerts=(replace(alert, ended_at=clock.now()),))
        await store.commit([Change(alerting=over)])
        assert await firing_on(store, "am") == []  # its end is not told yet, and is known
    finally:
        await store.close()
