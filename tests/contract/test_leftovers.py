"""Alerts of which nobody would hear the end, on a real store: they end on every channel, with the reason, once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alerting import House
from fakes import FakeClock, at

from segwatch.alerts.ending import Watched
from segwatch.alerts.matching import Condition
from segwatch.daemon.leftovers import Leftovers
from segwatch.deliveries.model import Stage
from segwatch.deliveries.routing import Route, promises
from segwatch.jobs import reachability
from segwatch.jobs.events import Event, EventType
from segwatch.jobs.reachability import SandboxCondition
from segwatch.store.base import Change
from segwatch.store.filters import AlertFilter, EventFilter
from segwatch.store.sqlite import SqliteStore

CRITICAL = Condition(match={"severity": "critical"})
WATCHED = Watched(
    sandboxes=frozenset({"prod"}), channels=frozenset({"ops"}), pipelines=frozenset(), retention=timedelta(days=90)
)
REMOVED = Watched(sandboxes=frozenset(), channels=frozenset(), pipelines=frozenset(), retention=timedelta(days=90))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()
    routes = (
        Route(condition=CRITICAL, channels=("ops", "pager"), stateful=frozenset({"pager"})),
        Route(condition=CRITICAL, channels=("chat",), group_by=("sandbox",)),
    )
    yield House(store, FakeClock(at(), leaps=True), routes=routes)
    assert await store.check() == []
    await store.close()


def worker(house: House, watched: Watched, told: list[Event] | None = None) -> Leftovers:
    return Leftovers(
        house.store, house.clock, watched, lambda events, now: promises(events, house.routes, now),
        told=(told if told is not None else []).extend,
    )  # fmt: skip


async def goes_down(house: House) -> None:
    before = await house.store.subject(reachability.stream_of("prod"))
    state, event = reachability.turned(
        before, "prod", SandboxCondition.UNREACHABLE, why="503", failing_since=None, now=house.clock.now()
    )
    promised = promises([event], house.routes, house.clock.now())
    await house.store.commit([Change(subject=state, subject_before=before, events=(event,), deliveries=promised)])


async def test_what_a_removed_sandbox_left_open_ends_everywhere_once_and_the_sandbox_begins_anew(house):
    await house.happens(EventType.JOB_FAILED)
    await goes_down(house)
    await house.passes(minutes=2)
    told: list[Event] = []
    leftovers = worker(house, REMOVED, told)
    await leftovers.look()
    assert told == [], "it may be put back in a moment"
    await house.clock.advance(minutes=10)
    await leftovers.look()
    await leftovers.look()  # the alerter has not heard of it yet
    await house.passes(minutes=10)
    await leftovers.look()
    assert {(one.type, one.reason) for one in told} == {(EventType.WATCH_ENDED, "sandbox_removed")}
    assert len(told) == 2
    assert await house.store.alerts(AlertFilter(open_only=True)) == []
    assert await house.store.alert_groups() == []
    assert sorted(await house.told("ops")) == ["job.failed", "sandbox.unreachable", "watch.ended", "watch.ended"]
    assert await house.told("chat") == ["alert.firing", "alert.resolved"]
    assert sorted(await house.told("pager")) == ["alert.firing"] * 2 + ["alert.resolved"] * 2
    await goes_down(house)  # it is watched again, and still does not answer
    await house.passes(minutes=2)
    assert len(await house.store.alerts(AlertFilter(open_only=True))) == 1


async def test_nothing_ends_that_is_watched_however_long_a_clock_says_it_is(house):
    await house.happens(EventType.JOB_FAILED)
    await house.store.believe(house.clock.now())
    await house.passes(minutes=2)
    leftovers = worker(house, WATCHED)
    await house.clock.advance(minutes=10)
    house.clock.set(house.clock.now() + timedelta(days=400))  # by somebody's hand
    await leftovers.look()
    assert await house.store.events(EventFilter(types=("watch.ended",))) == []
    await house.store.believe(house.clock.now())
    await leftovers.look()
    (ended,) = await house.store.events(EventFilter(types=("watch.ended",)))
    assert ended.event.reason == "forgotten"


async def test_what_told_of_it_is_forgotten_with_the_rest(house):
    await house.happens(EventType.JOB_FAILED)
    await house.passes(minutes=2)
    leftovers = worker(house, REMOVED)
    await house.clock.advance(minutes=10)
    await leftovers.look()
    await house.passes(minutes=10)
    assert await house.store.events(EventFilter(types=("watch.ended",))) != []
    pending = await house.store.deliveries()
    await house.store.settle([replace(one, stage=Stage.DELIVERED) for one in pending])
    await house.store.forget(house.clock.now() + timedelta(days=1))
    assert await house.store.events(EventFilter(types=("watch.ended", "alert.firing", "alert.resolved"))) == []
