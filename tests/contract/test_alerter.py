"""The worker of alerts on a real store: what it promises to whom, and that a restart repeats and loses nothing."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alert_builders import event
from alerting import Faulty, House
from fakes import FakeClock, at
from store_builders import answer

from segwatch.alerts.matching import Condition
from segwatch.cli.closings import notices_about, told_the_opening
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.message import ending, message_of
from segwatch.deliveries.names import NameKey, Resource
from segwatch.deliveries.presentation import footer_of
from segwatch.deliveries.routing import Route
from segwatch.jobs.events import EventType, rfc3339
from segwatch.store.base import Change
from segwatch.store.filters import AlertFilter

ALL: tuple[str, ...] = ()
CRITICAL = Condition(match={"severity": "critical"})


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = Faulty(tmp_path / "segwatch.db")
    await store.open()
    try:
        yield House(store, FakeClock(at(), leaps=True))
        assert await store.check() == []
    finally:
        await store.close()


async def test_a_grouped_route_tells_one_message_and_its_end_and_no_single_event(house):
    house.routes = (Route(condition=CRITICAL, channels=("ops",), group_by=ALL),)
    for job in range(20):
        await house.happens(EventType.JOB_FAILED, str(job))
    assert await house.told("ops") == []
    await house.passes(minutes=2)
    for job in range(20):
        await house.happens(EventType.JOB_SUCCEEDED, str(job))
    await house.passes(minutes=10)
    firing, resolved = await house.notices()
    assert (firing.details["firing"], resolved.details["resolved"]) == (20, 20)
    assert await house.told("ops") == ["alert.firing", "alert.resolved"]
    assert [one.id for one in house.heard] == [firing.id, resolved.id]
    assert await house.store.alert_groups() == []


async def test_immediate_and_grouped_routes_stand_side_by_side_and_the_first_one_to_a_channel_counts(house):
    house.routes = (
        Route(condition=CRITICAL, channels=("ops",)),
        Route(channels=("ops", "chat"), group_by=ALL),
    )
    await house.happens(EventType.JOB_FAILED)
    await house.passes(minutes=2)
    assert await house.told("ops") == ["job.failed"]
    assert await house.told("chat") == ["alert.firing"]


async def test_whoever_was_told_at_once_is_told_of_the_end_whatever_his_route_takes(house):
    house.routes = (Route(condition=CRITICAL, channels=("ops",)), Route(channels=("log",)))
    await house.happens(EventType.JOB_FAILED)
    await house.passes(seconds=3)
    await house.happens(EventType.JOB_SUCCEEDED)
    await house.passes(seconds=3)
    await house.happens(EventType.JOB_SUCCEEDED)
    await house.passes(seconds=3)
    assert await house.told("ops") == ["job.failed", "job.succeeded"]
    assert await house.told("log") == ["job.failed", "job.succeeded", "job.succeeded"]


@pytest.mark.parametrize("taken_in", [True, False])
async def test_a_success_that_ends_an_alert_says_which_and_any_other_says_nothing(house, taken_in):
    house.routes = (Route(channels=("log",)),)
    await house.happens(EventType.JOB_FAILED, "1", details={"fingerprint": "f"})
    await house.passes(seconds=3)
    house.clock.set(house.clock.now() + timedelta(minutes=5))
    await house.happens(EventType.JOB_SUCCEEDED, "2", details={"fingerprint": "f"})
    if taken_in:
        await house.passes(seconds=3)
    await house.happens(EventType.JOB_SUCCEEDED, "3")
    await house.happens(EventType.EXPORT_IMPLAUSIBLE, "4", details={"fingerprint": "g"})
    await house.happens(EventType.JOB_SUCCEEDED, "5", details={"fingerprint": "g"})
    if taken_in:
        await house.passes(seconds=3)
    later = house.clock.now() + timedelta(hours=1)
    due = await house.store.due_deliveries("log", now=later, limit=19)
    shown = {one.event.job_id: ending(message_of(one.event), one.ends) for one in due}
    assert shown["2"].action == "This ends: Export 1 failed in prod, since 03:00:00 UTC."
    assert footer_of(shown["2"])[0] == "resolved"
    assert (shown["3"].action, footer_of(shown["3"])[0]) == ("", "info")
    assert shown["5"].action == "", "it is looked at before it ends anything"


async def test_who_is_told_at_once_hears_of_an_overdue_job_when_its_sandbox_answers_also_behind_a_restart(house):
    house.routes = (Route(condition=Condition(match={"severity": ["critical", "warning"]}), channels=("ops",)),)
    sandbox = {"stream": "sandbox/prod", "kind": "", "job": ""}
    await house.happens(EventType.JOB_OVERDUE, "before")
    await house.happens(EventType.SANDBOX_UNREACHABLE, **sandbox)
    await house.happens(EventType.JOB_OVERDUE, "goes-on")
    await house.happens(EventType.JOB_OVERDUE, "ends")
    await house.passes(seconds=5)
    assert sorted(await house.told("ops")) == ["job.overdue", "sandbox.unreachable"]
    await house.happens(EventType.JOB_SUCCEEDED, "ends")
    await house.happens(EventType.SANDBOX_RECOVERED, **sandbox)
    await house.passes(seconds=5)
    await house.passes(seconds=5)
    told = [one.event for one in await house.store.deliveries(channel="ops")]
    assert Counter(one.type.value for one in told) == {
        "sandbox.unreachable": 1, "sandbox.recovered": 1, "job.overdue": 2,
    }  # fmt: skip
    assert {one.job_id for one in told} == {"", "before", "goes-on"}


async def test_of_a_job_it_can_be_told_who_heard_of_it_in_groups_and_who_as_the_end_of_what_he_heard(house):
    house.routes = (
        Route(condition=CRITICAL, channels=("ops",)),
        Route(condition=CRITICAL, channels=("chat",), group_by=ALL),
    )
    failure = await house.happens(EventType.JOB_FAILED)
    await house.happens(EventType.JOB_FAILED, "2")
    await house.passes(minutes=1)
    end = await house.happens(EventType.JOB_SUCCEEDED)
    other = await house.happens(EventType.JOB_QUEUED, "3")
    await house.passes(minutes=10)
    assert await told_the_opening(house.store, end) == ("ops",)
    assert await told_the_opening(house.store, failure) == ()
    told = await notices_about(house.store, [failure, end])
    assert [one.details["channel"] for one in told] == ["chat", "chat"]
    assert await notices_about(house.store, [other]) == []


async def test_a_channel_with_incidents_of_its_own_has_one_for_each_alert(house):
    house.routes = (Route(condition=CRITICAL, channels=("pager",), stateful=frozenset({"pager"})),)
    for job in "12":
        await house.happens(EventType.JOB_FAILED, job)
    await house.passes(seconds=3)
    await house.happens(EventType.JOB_SUCCEEDED, "1")
    await house.passes(seconds=3)
    notices = await house.notices()
    assert [one.type.value for one in notices] == ["alert.firing", "alert.firing", "alert.resolved"]
    assert notices[0].stream != notices[1].stream
    assert notices[2].stream in {notices[0].stream, notices[1].stream}


async def test_what_was_logged_while_nobody_looked_is_taken_in_at_the_next_start(house):
    house.routes = (Route(condition=CRITICAL, channels=("ops",), group_by=ALL),)
    await house.happens(EventType.JOB_FAILED)
    await house.passes(minutes=1)
    await house.happens(EventType.JOB_SUCCEEDED)
    house.clock.set(house.clock.now() + timedelta(hours=3))
    await house.passes(minutes=6)
    assert await house.told("ops") == ["alert.firing", "alert.resolved"]


@pytest.mark.parametrize("fault", ["fail", "kill_after"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_commit_that_is_lost_or_not_heard_of_changes_nothing_of_what_is_told(house, fault, number):
    house.routes = (
        Route(condition=CRITICAL, channels=("ops",), group_by=ALL),
        Route(condition=Condition(match={"type": "job.failed"}), channels=("log",)),
    )
    for type_ in (EventType.JOB_FAILED, EventType.JOB_SUCCEEDED):
        await house.happens(type_)
        setattr(house.store, fault, number)
        for _ in range(number + 1):
            await house.passes(minutes=7)
    assert await house.told("ops") == ["alert.firing", "alert.resolved"]
    assert await house.told("log") == ["job.failed", "job.succeeded"]


async def test_a_long_log_is_taken_in_page_by_page(house):
    house.routes = (Route(condition=CRITICAL, channels=("ops",), group_by=ALL),)
    await house.happens(EventType.JOB_QUEUED)
    await house.passes(seconds=40)
    events = [event(EventType.JOB_FAILED, str(number), when=at(2), sequence=1) for number in range(2, 1300)]
    await house.store.commit([Change(events=tuple(events))])
    await house.passes(minutes=2)
    (told,) = await house.notices()
    assert told.details["firing"] == len(events)
    assert len(await house.store.alerts(AlertFilter(open_only=True))) == len(events)


async def test_a_silence_keeps_alerts_back_and_its_end_tells_what_is_still_wrong(house):
    house.routes = (Route(condition=CRITICAL, channels=("ops",)), Route(channels=("chat",), group_by=ALL))
    ends = house.clock.now() + timedelta(minutes=30)

    def silenced(labels: object, now: datetime) -> bool:
        return now < ends

    house.silenced = silenced
    for job in "12":
        await house.happens(EventType.JOB_FAILED, job)
    await house.happens(EventType.JOB_SUCCEEDED, "2")
    await house.passes(minutes=20)
    assert (await house.told("ops"), await house.told("chat")) == ([], [])
    await house.passes(minutes=15)
    assert await house.told("ops") == [], "the event of the silence's end tells it"
    (told,) = await house.notices()
    assert [row["job_id"] for row in told.details["alerts"]] == ["1"]


async def test_settings_that_change_close_what_the_old_ones_opened(house):
    house.routes = (Route(condition=CRITICAL, channels=("ops",), group_by=ALL),)
    await house.happens(EventType.JOB_FAILED)
    await house.passes(minutes=1)
    house.routes = (Route(condition=CRITICAL, channels=("chat",), group_by=("sandbox",)),)
    await house.happens(EventType.JOB_FAILED, "2")
    await house.passes(minutes=1)
    for job in "12":
        await house.happens(EventType.JOB_SUCCEEDED, job)
    await house.passes(minutes=10)
    assert await house.told("ops") == ["alert.firing", "alert.resolved"]
    assert await house.told("chat") == ["alert.firing", "alert.resolved"]


async def test_an_edit_of_a_route_forgets_no_alert_and_a_new_channel_is_told_of_what_is_open(house):
    grouped = Route(
        condition=Condition(match={"severity": ["critical", "warning"]}), channels=("ops", "pager"), group_by=ALL,
        repeat_interval=timedelta(minutes=10), stateful=frozenset({"pager"}),
    )  # fmt: skip
    house.routes = (grouped,)
    failure = await house.happens(EventType.JOB_FAILED)
    await house.passes(minutes=1)
    house.routes = (
        replace(grouped, condition=CRITICAL, channels=("ops", "pager", "late")),
        Route(channels=("direct",)),
    )
    await house.passes(minutes=5)
    assert await house.told("late") == ["alert.firing"]
    assert await house.told("direct") == ["job.failed"]
    assert (await house.store.deliveries(channel="direct"))[0].event.id == failure.id
    await house.passes(minutes=6)
    await house.happens(EventType.JOB_SUCCEEDED)
    await house.passes(minutes=10)
    assert await house.told("ops") == ["alert.firing", "alert.firing", "alert.resolved"]
    assert await house.told("pager") == ["alert.firing", "alert.resolved"]
    assert await house.told("direct") == ["job.failed", "job.succeeded"]
    for channel in ("ops", "pager"):
        assert len({one.event.stream for one in await house.store.deliveries(channel=channel)}) == 1


async def test_what_was_logged_before_an_edit_and_not_taken_in_is_told_to_a_new_channel_too(house):
    house.routes = (Route(condition=CRITICAL, channels=("ops",)),)
    await house.happens(EventType.JOB_FAILED)
    house.routes = (*house.routes, Route(condition=CRITICAL, channels=("direct",)))
    await house.passes(minutes=1)
    assert await house.told("direct") == ["job.failed"]
    assert await house.told("ops") == ["job.failed"]


async def test_what_is_told_again_says_what_is_so_by_then(house):
    house.routes = (Route(channels=("ops",), group_by=ALL, repeat_interval=timedelta(minutes=5)),)
    due = house.clock.now() + timedelta(minutes=3)
    await house.happens(EventType.JOB_FAILED, details={"segments": ["g-1"]})
    await house.happens(EventType.RETRY_SCHEDULED, details={"attempt": 2, "due_at": rfc3339(due)})
    scheduled = answer("1", due_at=due)
    await house.store.commit([Change(resubmission=scheduled)])
    await house.passes(minutes=1)
    key = NameKey(sandbox="prod", resource=Resource.SEGMENT, id="g-1")
    house.knowledge = Knowledge(names={key: "Gold members"})
    waits = replace(scheduled, waits_for="24116 asks for the same, and is not settled yet")
    await house.store.commit([Change(resubmission=waits, resubmission_before=scheduled)])
    await house.passes(minutes=5)
    first, again = await house.notices()
    assert first.details["action"] == "Resubmitting at 03:03:00 UTC."
    assert again.details["action"] == "Attempt 2 waits: 24116 asks for the same, and is not settled yet."
    assert first.details["title"] == "Export 1 failed in prod"
    assert again.details["title"] == 'Still: Export 1 of "Gold members" failed in prod'
    assert [row["title"] for row in again.details["alerts"]] == ['Export 1 of "Gold members" failed in prod']


async def test_a_message_about_one_alert_has_the_parts_of_its_event_and_a_new_failure_is_told_on_every_channel(house):
    house.routes = (
        Route(condition=CRITICAL, channels=("chat",), group_by=("sandbox",)),
        Route(condition=CRITICAL, channels=("pager",), stateful=frozenset({"pager"})),
    )
    work = {"fingerprint": "f", "duration_s": 240.0}
    for job in "12":
        await house.happens(EventType.JOB_FAILED, job, status="FAILED", details=work)
        await house.passes(minutes=7)
    assert await house.told("chat") == await house.told("pager") == ["alert.firing", "alert.firing"]
    assert len({one.event.stream for one in await house.store.deliveries(channel="pager")}) == 1
    first, again = [one for one in await house.notices() if one.details["channel"] == "chat"]
    assert (first.details["job"], again.details["job"]) == ("1", "2")
    assert (again.details["title"], again.status) == ("Again: Export 2 failed in prod", "FAILED")
    assert dict(message_of(again).fields)["Took"] == "4 m"
