"""What a store keeps of alerts and groups, and what it forgets of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from store_builders import at, delivery, sandbox_event

from segwatch.alerts.alerting import Alerting
from segwatch.alerts.grouping import Group, Hush, Member, Way
from segwatch.alerts.model import Alert
from segwatch.alerts.quiet import QuietHours
from segwatch.deliveries.model import Stage
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.store.base import Change, Conflict, Store
from segwatch.store.factory import store_of
from segwatch.store.filters import AlertFilter, EventFilter

Reopen = Callable[[], Awaitable[Store]]

QUIET = QuietHours(begin=time(22), end=time(7), zone="Europe/Amsterdam")
WAY = Way(route="r", channel="ops", group_by=("sandbox",), group_wait=timedelta(seconds=1.5), quiet=QUIET)


@pytest.fixture(params=["sqlite"])
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Return a function that closes the store, if it is open, and opens it again."""
    assert request.param == "sqlite"
    opened: list[Store] = []

    async def again() -> Store:
        while opened:
            await opened.pop().close()
        store = store_of(f"sqlite://{tmp_path}/segwatch.db")
        await store.open()
        opened.append(store)
        return store

    yield again
    while opened:
        await opened.pop().close()


@pytest.fixture
async def store(reopen: Reopen) -> AsyncIterator[Store]:
    opened = await reopen()
    yield opened
    assert await opened.check() == []


def alert(subject: str = "work/1", event_id: str = "evt_1", **fields: Any) -> Alert:
    made: dict[str, Any] = {
        "subject": subject, "event_id": event_id, "since": at(0), "changed_at": at(0), "loud_at": at(0),
        "loud_id": event_id, "severity": Severity.CRITICAL, "title": "Export 1 failed", "types": ("job.failed",),
        "labels": {"sandbox": ("prod",), "segment": ("s1", "s2")}, "told": ("ops",),
    }  # fmt: skip
    return Alert(**(made | fields))


def group(id_: str = "g1", *members: Alert) -> Group:
    member = Member(at=at(0), told=("job.failed",), known=True, hush=Hush.INHIBITED)
    return Group(
        id=id_, way=WAY, labels={"sandbox": "prod"}, members={one.id: member for one in members}, notes=("a", "b"),
        noted=2, noted_at=at(1), sequence=3, told_at=at(2), firing=True, severity=Severity.WARNING,
    )  # fmt: skip


def told_of(of: Group, sequence: int = 1, minute: float = 0) -> Event:
    return Event(
        type=EventType.ALERT_FIRING, stream=of.stream, sequence=sequence, at=at(minute), severity=Severity.CRITICAL,
        sandbox="prod",
    )  # fmt: skip


async def test_alerts_groups_and_cursor_are_there_after_a_restart(reopen):
    store = await reopen()
    assert await store.alert_cursor() == 0
    one, other = alert(), alert("work/2", "evt_2")
    both = group("g1", one, other)
    event = told_of(both)
    alerting = Alerting(cursor=7, cursor_before=0, alerts=(one, other), groups=(both,))
    await store.commit([Change(alerting=alerting, events=(event,), deliveries=(delivery(event),))])
    store = await reopen()
    assert await store.alert_cursor() == 7
    assert {known.id for known in await store.alerts(AlertFilter())} == {one.id, other.id}
    assert await store.alerts(AlertFilter(subject="work/1")) == [one]
    assert await store.alert_groups() == [both]
    assert [logged.event for logged in await store.events(EventFilter())] == [event]
    assert await store.check() == []


async def test_who_goes_on_from_an_old_cursor_writes_nothing(store):
    await store.commit([Change(alerting=Alerting(cursor=7, cursor_before=0))])
    stale = Alerting(cursor=8, cursor_before=6, alerts=(alert(),), groups=(group(),))
    with pytest.raises(Conflict):
        await store.commit([Change(alerting=stale, events=(sandbox_event(1),))])
    assert await store.alert_cursor() == 7
    assert await store.alerts(AlertFilter()) == []
    assert await store.events(EventFilter()) == []


async def test_an_alert_that_is_over_gives_way_to_the_next_of_its_subject(store):
    first, second = alert(), alert(event_id="evt_9", changed_at=at(9))
    over = replace(first, ended_at=at(5), changed_at=at(5))
    await store.commit([Change(alerting=Alerting(cursor=1, cursor_before=0, alerts=(first,)))])
    await store.commit([Change(alerting=Alerting(cursor=2, cursor_before=1, alerts=(second, over)))])
    assert await store.alerts(AlertFilter(open_only=True)) == [second]
    assert await store.alerts(AlertFilter(ids=(first.id,))) == [over]
    assert await store.alerts(AlertFilter(ids=())) == []
    assert await store.alerts(AlertFilter(), limit=1) == [second]


async def test_a_group_that_has_nothing_left_to_tell_is_gone(store):
    await store.commit([Change(alerting=Alerting(cursor=1, cursor_before=0, groups=(group("g1"), group("g2"))))])
    await store.commit([Change(alerting=Alerting(cursor=1, cursor_before=1, finished=("g1",)))])
    assert [one.id for one in await store.alert_groups()] == ["g2"]


async def test_it_is_known_to_whom_an_event_was_promised(store):
    first, second, third = (sandbox_event(sequence) for sequence in (1, 2, 3))
    promises = (delivery(first, "pager"), delivery(first, "ops"), delivery(second, "ops"))
    await store.commit([Change(events=(first, second, third), deliveries=promises)])
    told = await store.channels_told([first.id, third.id, "evt_unknown"])
    assert told == {first.id: ("ops", "pager")}


async def test_old_alerts_are_forgotten_when_they_are_over_and_in_no_group(store):
    gone = alert("gone", ended_at=at(1), changed_at=at(1))
    held = alert("held", ended_at=at(1), changed_at=at(1))
    young = alert("young", ended_at=at(60), changed_at=at(60))
    still = alert("still")
    alerting = Alerting(cursor=1, cursor_before=0, alerts=(gone, held, young, still), groups=(group("g1", held),))
    await store.commit([Change(alerting=alerting)])
    await store.forget(at(30))
    assert {one.subject for one in await store.alerts(AlertFilter())} == {"held", "young", "still"}


async def test_what_was_told_of_a_group_is_forgotten_with_it(store):
    over, lasting, waiting = group("over"), group("lasting"), group("waiting")
    first, second = told_of(over), told_of(over, 2, 1)
    others = told_of(lasting), told_of(waiting)
    sent = tuple(replace(delivery(event), stage=Stage.DELIVERED) for event in (first, second, others[0]))
    alerting = Alerting(cursor=1, cursor_before=0, groups=(lasting,))
    promises = (*sent, delivery(others[1]))
    await store.commit([Change(alerting=alerting, events=(first, second, *others), deliveries=promises)])
    await store.forget(at(1))
    assert len(await store.events(EventFilter(stream=over.stream))) == 2
    await store.forget(at(30))
    left = {logged.event.stream for logged in await store.events(EventFilter())}
    assert left == {lasting.stream, waiting.stream}
