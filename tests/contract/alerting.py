"""An alerter on a real store: events are recorded, time passes, the process ends at any moment."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from alert_builders import event
from fakes import FakeClock

from segwatch.alerts.book import Silenced
from segwatch.alerts.inhibition import may_be_explained
from segwatch.app.channels import Routes
from segwatch.daemon.alerter import Alerter
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.model import Delivery
from segwatch.deliveries.routing import Route, promises
from segwatch.jobs.events import Event, EventType
from segwatch.store.base import Change, StoreUnavailable
from segwatch.store.filters import EventFilter
from segwatch.store.sqlite import SqliteStore


class Killed(Exception):
    """The process ended here."""


class Faulty(SqliteStore):
    """A store whose next commits of the alerter are lost, or written without anybody hearing of it."""

    fail = 0
    kill_after = 0

    async def commit(self, changes) -> None:
        alerting = any(change.alerting for change in changes)
        if alerting and self.fail:
            self.fail -= 1
            raise StoreUnavailable("no space left on device")
        await super().commit(changes)
        if alerting and self.kill_after:
            self.kill_after -= 1
            raise Killed


@dataclass
class House:
    store: Faulty
    clock: FakeClock
    routes: tuple[Route, ...] = ()
    silenced: Silenced = lambda labels, now: False
    knowledge: Knowledge = NOTHING
    heard: list[Event] = field(default_factory=list)
    _sequences: Counter[str] = field(default_factory=Counter)

    async def happens(self, type_: EventType, job: str = "1", **fields: Any) -> Event:
        """Record an event as the recorder does: with its promises, in one transaction."""
        stream = fields.get("stream", f"job/prod/export_job/{job}")
        self._sequences[stream] += 1
        one = event(type_, job, when=self.clock.now(), sequence=self._sequences[stream], **fields)
        promised: tuple[Delivery, ...] = ()
        if not self.silenced({}, self.clock.now()) and not may_be_explained(one):
            promised = promises([one], self.routes, self.clock.now())
        await self.store.commit([Change(events=(one,), deliveries=promised)])
        return one

    async def passes(self, **by: float) -> None:
        """Let an alerter work for a while, and then end as a process does that is killed."""
        until = self.clock.now() + timedelta(**by)
        worker = Alerter(
            self.store, self.clock, Routes(self.routes),
            silenced=self.silenced, held_back=self.silenced, told=self.heard.extend, knowledge=lambda: self.knowledge,
        )  # fmt: skip
        task = asyncio.create_task(worker.run(lambda: None))
        async with asyncio.timeout(30):
            while self.clock.now() < until and not task.done():  # noqa: ASYNC110 - the clock is moved by the worker
                await asyncio.sleep(0.002)
        task.cancel()
        with suppress(asyncio.CancelledError, Killed):
            await task

    async def told(self, channel: str) -> list[str]:
        """Return the types of what the channel is told, in order."""
        return [one.event.type.value for one in reversed(await self.store.deliveries(channel=channel))]

    async def notices(self) -> list[Event]:
        types = ("alert.firing", "alert.resolved", "alert.noted")
        return [one.event for one in await self.store.events(EventFilter(types=types))]
