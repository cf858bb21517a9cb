"""What an edit of the routes does to alerts that are open."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from alert_builders import Told, event, failed, never, succeeded
from fakes import at

from segwatch.alerts.matching import Condition
from segwatch.deliveries.routing import Route, told_at_once
from segwatch.deliveries.ways import leads_of, ways_for, ways_of
from segwatch.jobs.events import Event, EventType, Severity

ALL: tuple[str, ...] = ()
STATEFUL = frozenset({"pager"})
HOUR = timedelta(hours=1)
GROUPED = Route(
    condition=Condition(match={"severity": ["critical", "warning", "info"]}), channels=("chat", "pager"),
    stateful=STATEFUL, group_by=("sandbox",), group_wait=timedelta(seconds=30), repeat_interval=HOUR,
)  # fmt: skip
OVERDUE = event(EventType.JOB_OVERDUE, "3")


@dataclass
class House:
    """A book under routes that somebody edits, and what each channel gets: messages, or single events."""

    routes: tuple[Route, ...]
    told: Told = field(default_factory=Told)

    def happens(self, *events: Event) -> None:
        for one in events:
            self.told.ways = ways_for(one, self.routes)
            at_once = told_at_once(one, self.routes)
            silenced = self.told.silenced is not never
            closing = self.told.take(one, told=() if silenced else at_once, withheld=at_once if silenced else ())
            self.told.messages += [(channel, one) for channel in (*(() if silenced else at_once), *closing)]

    def edit(self, *routes: Route, when: datetime) -> tuple[tuple[str, str], ...]:
        self.routes = routes
        return self.told.book.adopt(
            ways_of(routes), lambda alert: leads_of(alert, routes), when, self.told.silenced
        )  # fmt: skip

    def got(self, channel: str, since: datetime | None = None) -> list[tuple[str, str]]:
        found = [one for name, one in self.told.messages if name == channel and one.at >= (since or at())]
        return [(one.type.value, one.details.get("title", "")) for one in found]

    def streams(self, channel: str) -> list[str]:
        return list(dict.fromkeys(one.stream for name, one in self.told.messages if name == channel))


@pytest.fixture
def house():
    found = House(routes=(GROUPED,))
    found.happens(failed("1"), failed("2"))
    found.told.through(at(1))
    return found


EDITS = {
    "match": {"condition": Condition()},
    "min_severity": {"min_severity": Severity.WARNING},
    "group_by": {"group_by": ("alert",)},
    "default": {"default": True},
    "continue": {"continues": False},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_what_is_open_goes_on_as_it_began_however_its_route_is_edited(house, edit):
    """It is repeated when it would have been, no second incident begins, and all is closed where it was opened."""
    house.edit(replace(GROUPED, **edit), when=at(10))
    assert house.told.through(at(59), at(10)) == []
    house.told.through(at(61), at(60))
    assert house.got("chat", at(10)) == [("alert.firing", "Still: 2 exports failed in prod")]
    house.happens(failed("1", at(62)))
    house.told.through(at(70), at(62))
    house.happens(succeeded("1", at(71)), succeeded("2", at(71)))
    house.told.through(at(90), at(71))
    for channel in ("chat", "pager"):
        assert len(house.streams(channel)) == 1
        assert house.got(channel, at(71)) == [("alert.resolved", "Resolved: 2 exports failed in prod")]
    assert [type_ for type_, _ in house.got("pager")] == ["alert.firing", "alert.resolved"]
    assert not house.told.book.groups


def test_what_fails_after_an_edit_joins_the_group_that_it_belongs_to(house):
    house.edit(replace(GROUPED, condition=Condition()), when=at(10))
    house.happens(failed("4", at(11)))
    (chat,) = house.told.through(at(20), at(11))
    assert chat.details["title"] == "3 exports failed in prod"
    assert house.streams("chat") == [chat.stream]


def test_a_channel_that_is_added_is_told_once_of_what_is_open(house):
    house.edit(replace(GROUPED, channels=("chat", "late")), when=at(10))
    house.edit(replace(GROUPED, channels=("chat", "late"), condition=Condition()), when=at(20))
    house.told.through(at(25), at(10))
    assert house.got("late") == [("alert.firing", "2 exports failed in prod")]
    assert house.got("chat", at(10)) == []
    house.happens(succeeded("1", at(30)), succeeded("2", at(30)))
    house.told.through(at(40), at(30))
    assert house.got("late", at(30)) == [("alert.resolved", "Resolved: 2 exports failed in prod")]


def test_a_channel_that_is_added_at_once_is_told_the_last_event_and_its_end(house):
    later = replace(failed("1"), at=at(5))
    house.happens(later)
    second = next(one.event_id for one in house.told.book.open.values() if one.jobs == ("2",))
    at_once = Route(channels=("direct",), condition=Condition(match={"type": "job.failed"}))
    assert set(house.edit(GROUPED, at_once, when=at(10))) == {("direct", later.id), ("direct", second)}
    assert house.edit(GROUPED, at_once, when=at(11)) == ()
    house.happens(succeeded("1", at(12)))
    assert house.got("direct", at(11)) == [("job.succeeded", "")]


def test_what_a_silence_covers_is_kept_from_a_channel_that_is_added(house):
    house.told.silenced = lambda labels, now: True
    assert house.edit(GROUPED, Route(channels=("direct",)), when=at(10)) == ()
    assert all(one.withheld == ("direct",) for one in house.told.book.open.values())


def test_what_no_route_takes_any_more_is_only_closed(house):
    house.happens(OVERDUE)
    house.told.through(at(10), at(1))
    house.edit(replace(GROUPED, condition=Condition(match={"type": "job.overdue"})), when=at(11))
    house.told.through(at(300), at(11))
    assert set(house.got("chat", at(11))) == {("alert.firing", "Still: Export 3 overdue")}
    assert house.got("pager", at(11)) == []
    house.happens(succeeded("1", at(301)))
    house.told.through(at(310), at(301))
    assert [one.details["resolved"] for name, one in house.told.messages if name == "chat"][-1] == 1
    assert house.got("pager", at(11)) == [], "the incident is about the others too"
    house.happens(succeeded("2", at(311)), succeeded("3", at(311)))
    house.told.through(at(330), at(311))
    assert [type_ for type_, _ in house.got("pager")] == ["alert.firing", "alert.resolved"]
    assert not house.told.book.groups


def test_what_a_route_takes_again_goes_on_without_being_told_anew(house):
    house.edit(replace(GROUPED, condition=Condition(match={"type": "job.overdue"})), when=at(10))
    house.edit(GROUPED, when=at(20))
    house.told.through(at(62), at(20))
    assert house.got("chat", at(10)) == [("alert.firing", "Still: 2 exports failed in prod")]
    assert house.got("pager", at(10)) == []


def test_what_gets_worse_that_no_route_took_any_more_goes_on_in_its_own_group(house):
    house.edit(replace(GROUPED, condition=Condition(match={"type": "export.retry_exhausted"})), when=at(10))
    house.happens(event(EventType.RETRY_EXHAUSTED, "1", when=at(11)))
    house.told.through(at(20), at(11))
    assert [type_ for type_, _ in house.got("chat", at(10))] == ["alert.firing"]
    assert (len(house.streams("chat")), len(house.streams("pager"))) == (1, 1)


def test_what_nobody_was_told_of_waits_on_where_it_belongs_now():
    house = House(routes=(GROUPED,))
    house.happens(failed("1"))
    house.edit(replace(GROUPED, condition=Condition(), group_by=("alert",)), when=at(second=20))
    messages = house.told.through(at(second=30))
    assert [one.details["labels"] for one in messages] == [{"alert": "work/prod/export_job/1"}] * 2
    house.edit(replace(GROUPED, condition=Condition(match={"type": "job.overdue"})), when=at(1))
    house.happens(failed("9", at(1)))
    assert house.told.through(at(5), at(1)) == []


def test_a_pager_has_one_incident_for_an_alert_that_two_routes_lead_there():
    routes = [
        Route(channels=("pager",), stateful=STATEFUL, condition=Condition(match={"type": type_}))
        for type_ in ("job.failed", "export.retry_exhausted")
    ]
    house = House(routes=tuple(routes))
    house.happens(failed("1"))
    house.told.through(at(1))
    house.happens(event(EventType.RETRY_EXHAUSTED, "1", when=at(2)), succeeded("1", at(3)))
    house.told.through(at(10), at(2))
    assert [type_ for type_, _ in house.got("pager")] == ["alert.firing", "alert.resolved"]
