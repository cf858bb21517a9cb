"""Silences in a daemon: in force at once, ended when their time has come, and what is still wrong is told once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alert_builders import event
from fakes import FakeClock
from store_builders import sandbox_event

from segwatch.alerts.matching import Condition, parse
from segwatch.alerts.silences import SETTLES_WITHIN, Silence, SilenceState
from segwatch.app.channels import Routes
from segwatch.daemon.alerter import Alerter
from segwatch.daemon.opened import OpenAlerts
from segwatch.daemon.silencer import NothingWrong, Silencer, expire
from segwatch.deliveries.model import Stage
from segwatch.deliveries.routing import Route
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.store.base import Change, Store
from segwatch.store.factory import store_of
from segwatch.store.filters import EventFilter

ROUTES = (Route(channels=("ops",), condition=Condition(match={"severity": "critical"})), Route(channels=("all",)))


class Here:
    """A store, a silencer on it, and what it told."""

    def __init__(self, store: Store):
        self.store, self.clock, self.told, self.routes = store, FakeClock(), [], ROUTES
        self.silencer = self.restarted()

    def route(self, *routes: Route) -> None:
        self.routes = routes
        self.restarted()

    def restarted(self) -> Silencer:
        self.silencer = Silencer(self.store, self.clock, self.routes, OpenAlerts(self.store), self.told.extend)
        self.alerter = Alerter(
            self.store, self.clock, Routes(self.routes), silenced=self.silencer.silenced,
            held_back=self.silencer.held_back, told=lambda events: None,
        )  # fmt: skip
        return self.silencer

    def silence(self, matchers="sandbox=prod", *, minutes=10, **fields) -> Silence:
        now = self.clock.now()
        ends_at = None if minutes is None else now + timedelta(minutes=minutes)
        base = {"id": "s1", "matchers": parse(matchers), "starts_at": now, "ends_at": ends_at, "created_at": now}
        return Silence(**(base | fields))

    async def happens(self, event: Event) -> list[str]:
        """Record an event as a recorder does; return the channels that are told."""
        deliveries = self.silencer.promise((event,), self.clock.now())
        await self.store.commit([Change(events=(event,), deliveries=deliveries)])
        await self.alerter._turn()
        return [one.channel for one in deliveries]

    async def later(self, **by) -> None:
        await self.clock.advance(**by)
        await self.alerter._turn()
        await self.silencer.turn()

    async def ends(self) -> list[Event]:
        return [one.event for one in await self.store.events(EventFilter(types=("silence.ended",)))]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    store = store_of(f"sqlite://{tmp_path}/segwatch.db")
    await store.open()
    yield Here(store)
    assert await store.check() == []
    await store.close()


async def test_what_may_be_explained_is_promised_by_who_knows_what_is_open_and_once(here):
    overdue = event(EventType.JOB_OVERDUE, when=here.clock.now(), sequence=1)
    assert await here.happens(overdue) == []
    assert sorted(one.channel for one in await here.store.deliveries()) == ["all"]
    alone = Silencer(
        here.store, here.clock, ROUTES, OpenAlerts(here.store), here.told.extend, waits=lambda event: False
    )
    assert [one.channel for one in alone.promise((overdue,), here.clock.now())] == ["all"]


def recovered(sequence: int = 2) -> Event:
    event = sandbox_event(sequence)
    return Event(
        type=EventType.SANDBOX_RECOVERED, stream=event.stream, sequence=sequence, at=event.at, severity=Severity.INFO,
        sandbox="prod",
    )  # fmt: skip


async def test_nobody_is_told_while_it_lasts_and_all_is_told_behind_it(here):
    await here.silencer.add(here.silence())
    assert await here.happens(sandbox_event(1)) == []
    await here.later(minutes=10)
    assert await here.ends() == [], "what was recorded in the last moment may still be on its way to the disk"
    await here.later(seconds=SETTLES_WITHIN.total_seconds())
    (event,) = await here.ends()
    assert event.details["open"] == 1
    assert here.told == [event]
    assert sorted(one.channel for one in await here.store.deliveries(event_id=event.id)) == ["all", "ops"]
    await here.later(minutes=1)
    assert await here.ends() == [event]
    assert await here.happens(sandbox_event(2)) == ["ops", "all"]


async def test_a_restart_forgets_no_silence_and_ends_what_ended_meanwhile(here):
    await here.silencer.add(here.silence())
    await here.restarted().load()
    assert await here.happens(sandbox_event(1)) == []
    await here.clock.advance(hours=9)
    here.restarted()
    await here.silencer.turn()
    await here.restarted().turn()
    assert [event.details["open"] for event in await here.ends()] == [1]


async def test_one_until_resolved_ends_by_itself(here):
    await here.happens(sandbox_event(1))
    await here.silencer.add(here.silence(minutes=None, until_resolved=True))
    await here.later(hours=30)
    assert (await here.silencer.all())[0].state(here.clock.now()) is SilenceState.ACTIVE
    assert await here.happens(recovered()) == [], "the alert was silenced until its end"
    await here.later(seconds=2)
    await here.later(seconds=SETTLES_WITHIN.total_seconds())
    (event,) = await here.ends()
    assert (event.reason, event.severity, event.details["open"]) == ("resolved", Severity.INFO, 0)


async def test_what_goes_wrong_again_while_it_ends_is_told(here):
    await here.happens(sandbox_event(1))
    await here.silencer.add(here.silence(minutes=None, until_resolved=True))
    await here.happens(recovered())
    await here.later(seconds=2)
    assert await here.happens(sandbox_event(3)) == ["ops", "all"], "it is over for what comes now"
    await here.later(seconds=SETTLES_WITHIN.total_seconds())
    assert [event.details["open"] for event in await here.ends()] == [1]


async def test_until_resolved_needs_something_that_is_wrong(here):
    with pytest.raises(NothingWrong, match="nothing that sandbox=prod matches is wrong"):
        await here.silencer.add(here.silence(minutes=None, until_resolved=True))
    assert await here.silencer.all() == []


async def test_a_command_ends_one_and_the_daemon_tells(here):
    await here.silencer.add(here.silence())
    await here.happens(sandbox_event(1))
    assert await expire(here.store, "s1", here.clock.now()) is not None
    assert await expire(here.store, "s2", here.clock.now()) is None
    await here.later(seconds=2)
    assert await here.happens(sandbox_event(2)) == ["ops", "all"]
    await here.later(seconds=SETTLES_WITHIN.total_seconds())
    assert [event.reason for event in await here.ends()] == ["expired"]


async def test_old_silences_are_forgotten_with_their_ends(here):
    await here.silencer.add(here.silence(id="old", minutes=1))
    await here.later(minutes=2)
    await here.silencer.add(here.silence(id="young", minutes=None))
    await here.clock.advance(hours=24)
    assert len(await here.ends()) == 1
    await here.store.forget(here.clock.now())
    assert [one.id for one in await here.silencer.all()] == ["old", "young"], "somebody has still to be told of its end"
    await here.store.settle([replace(one, stage=Stage.DELIVERED) for one in await here.store.deliveries()])
    await here.store.forget(here.clock.now() - timedelta(hours=48))
    assert len(await here.ends()) == 1
    await here.store.forget(here.clock.now())
    assert [one.id for one in await here.silencer.all()] == ["young"]
    assert await here.ends() == []


async def test_what_is_wrong_is_read_with_the_event_that_began_it(here):
    alerts = OpenAlerts(here.store)
    assert await alerts() == {}
    await here.happens(sandbox_event(1))
    await here.happens(sandbox_event(2))
    assert {subject: event.sequence for subject, event in (await alerts()).items()} == {"sandbox/prod": 1}
    assert await alerts() == await OpenAlerts(here.store)()
    await here.happens(recovered(3))
    assert await alerts() == {}


async def test_a_group_is_told_once_of_the_end_and_of_what_is_still_wrong(here):
    way = Route(channels=("chat",), group_wait=timedelta(seconds=1), group_interval=timedelta(seconds=1))
    here.route(replace(way, group_by=("sandbox",)))
    await here.silencer.add(here.silence())
    await here.happens(sandbox_event(1))
    for _ in range(630):
        await here.later(seconds=1)
    (told,) = [one.event for one in await here.store.deliveries(channel="chat")]
    assert told.type is EventType.ALERT_FIRING
    assert (told.details["firing"], told.details["notes"]) == (1, 1)
