"""Digests in a daemon: each channel is told once a day, whatever happens to the daemon, the settings and the clock."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from fakes import FakeClock
from store_builders import key

from segwatch.alerts.alerting import Alerting
from segwatch.alerts.matching import Condition, parse
from segwatch.alerts.model import Alert
from segwatch.alerts.silences import Silence
from segwatch.daemon import digest_reading
from segwatch.daemon.digester import Digester, Plan
from segwatch.deliveries.digest_times import Daily
from segwatch.deliveries.message import message_of
from segwatch.deliveries.model import Delivery, Stage
from segwatch.deliveries.routing import Route
from segwatch.deliveries.scope import scope_of
from segwatch.jobs.events import Event, EventType, Severity, about_job
from segwatch.jobs.model import Facts, JobState, Status
from segwatch.jobs.reading import Position
from segwatch.jobs.telling import job_details
from segwatch.store.base import Change, Conflict, Store, StoreUnavailable
from segwatch.store.factory import store_of
from segwatch.store.filters import EventFilter

SANDBOXES, KINDS = ("prod", "dev"), ("export_job", "segment_job")
PIPELINES = (("prod", "nightly"), ("prod", "trial"))
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
BEGAN = MONDAY - timedelta(days=3)
ENDS = {
    Status.SUCCEEDED: EventType.JOB_SUCCEEDED, Status.FAILED: EventType.JOB_FAILED,
    Status.CANCELLED: EventType.JOB_CANCELLED,
}  # fmt: skip


def plan(channel="team", at="08:00", routes=(), **fields):
    daily = Daily(at=time.fromisoformat(at), zone="UTC", **fields)
    return Plan(
        channel=channel,
        daily=daily,
        scope=scope_of(channel, routes, watched=SANDBOXES, kinds=KINDS, pipelines=PIPELINES),
    )


def alert(subject, type_, now, *, title="", sandbox=""):
    return Alert(
        subject=subject, event_id=subject, since=now, changed_at=now, loud_at=now, loud_id=subject, types=(type_,),
        severity=Severity.CRITICAL, title=title or subject, sandbox=sandbox,
        labels={"sandbox": (sandbox,)} if sandbox else {},
    )  # fmt: skip


class Here:
    """A store, a digester on it, and what it told."""

    def __init__(self, store: Store):
        self.store, self.clock, self.told = store, FakeClock(MONDAY + timedelta(hours=7)), []
        self.digester = self.restarted(plan())

    def restarted(self, *plans: Plan) -> Digester:
        self.digester = Digester(self.store, self.clock, plans, self.told.extend)
        return self.digester

    async def swept(self) -> None:
        """Let both sandboxes be wholly read now."""
        for sandbox in SANDBOXES:
            for kind in KINDS:
                at = Position(
                    sandbox=sandbox, kind=kind, began_at=MONDAY - timedelta(days=3), swept_at=self.clock.now()
                )
                await self.store.commit([Change(position=at)])

    async def ends(
        self, id_: str, status=Status.SUCCEEDED, *, took_s=60.0, sandbox="prod", kind="export_job", usual_s=None,
        **facts,
    ):  # fmt: skip
        """Record a job that ended now. usual_s: what its event says of such jobs."""
        now = self.clock.now()
        job = JobState(
            key=key(id_, kind=kind, sandbox=sandbox), status=status, word=status.value, asked_at=now, discovered_at=now,
            since=now, created_at=now - timedelta(seconds=took_s), ended_at=now, sequence=1, facts=Facts(**facts),
        )  # fmt: skip
        event = about_job(job, ENDS[status], now, details=job_details(job) | ({"usual_s": usual_s} if usual_s else {}))
        await self.store.commit([Change(job=job, events=(event,))])

    async def at(self, clock: str, *, day: int = 0, swept: bool = True) -> list[Event]:
        """Let it be that time, and return what was told at it."""
        hours, minutes = clock.split(":")
        self.clock.set(MONDAY + timedelta(days=day, hours=int(hours), minutes=int(minutes)))
        if swept:
            await self.swept()
        before = len(self.told)
        await self.digester.turn()
        return self.told[before:]

    async def digests(self) -> list[Event]:
        return [one.event for one in await self.store.events(EventFilter(types=("digest.daily",)))]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    store = store_of(f"sqlite://{tmp_path}/segwatch.db")
    await store.open()
    there = Here(store)
    await there.swept()
    yield there
    assert await store.check() == []
    await store.close()


async def test_a_day_is_told_to_its_channel_in_figures(here):
    assert await here.at("07:30") == []
    await here.ends("1", took_s=90)
    await here.ends("2", Status.FAILED)
    assert await here.at("07:59") == []
    (event,) = await here.at("08:00")
    assert (event.type, event.stream, event.sequence) == (EventType.DIGEST_DAILY, "digests/team", 1)
    assert (event.details["runs"], event.details["failed"], event.details["silent"]) == (2, 1, ["dev"])
    assert (event.details["from"], event.details["to"]) == ("2026-01-04T08:00:00.000Z", "2026-01-05T08:00:00.000Z")
    assert await here.digests() == [event]
    (delivery,) = await here.store.deliveries()
    assert (delivery.channel, delivery.event, delivery.stage) == ("team", event, Stage.PENDING)
    assert await here.at("08:01") == []


async def test_each_run_is_in_one_digest_also_one_that_is_recorded_while_it_is_written(here, monkeypatch):
    await here.at("07:30")
    read = digest_reading.stretch_behind

    async def slowly(store, since, position):
        stretch = await read(store, since, position)
        await here.ends("between")  # with a time before the digest's end, in the log behind what it read
        return stretch

    monkeypatch.setattr("segwatch.daemon.digester.stretch_behind", slowly)
    (first,) = await here.at("08:00")
    monkeypatch.undo()
    (second,) = await here.at("08:00", day=1)
    assert (first.details["runs"], second.details["runs"]) == (0, 1)
    assert second.details["from"] == first.details["to"]


async def test_a_restart_over_the_hour_tells_it_late_and_once_when_all_was_looked_at(here):
    await here.at("07:30")
    await here.at("08:00")
    here.clock.set(MONDAY + timedelta(days=3, hours=13))
    here.restarted(plan())
    assert await here.at("13:00", day=3, swept=False) == [], "what happened meanwhile is not known yet"
    await here.ends("while-down", took_s=10)
    (event,) = await here.at("13:01", day=3)
    assert (event.details["runs"], event.details["due_at"]) == (1, "2026-01-08T08:00:00.000Z")
    assert event.details["from"] == "2026-01-05T08:00:00.000Z"
    assert "This digest was due at Thu 8 Jan 08:00." in message_of(event).summary
    here.restarted(plan())
    assert await here.at("13:02", day=3) == []
    (event,) = await here.at("08:00", day=4)
    assert "due_at" not in event.details


async def test_a_sandbox_that_does_not_answer_is_not_waited_for_for_long(here):
    await here.at("07:30")
    here.clock.set(MONDAY + timedelta(hours=9))
    here.restarted(plan())
    assert await here.at("09:01", swept=False) == []
    assert len(await here.at("09:02", swept=False)) == 1


async def test_a_digest_that_is_new_waits_for_its_time(here):
    assert await here.at("08:00") == [], "it was new at eight"
    assert len(await here.at("08:00", day=1)) == 1


async def test_another_time_of_day_tells_the_day_no_second_time(here):
    await here.at("07:30")
    assert len(await here.at("08:00")) == 1
    here.restarted(plan(at="09:00"))
    assert await here.at("09:30") == []
    assert len(await here.at("09:00", day=1)) == 1


async def test_a_digest_that_was_taken_out_is_new_when_it_comes_back(here):
    await here.at("07:30")
    await here.at("08:00")
    here.restarted()
    assert await here.at("08:00", day=1) == []
    here.restarted(plan())
    assert await here.at("12:00", day=2) == []
    (event,) = await here.at("08:00", day=3)
    assert event.details["from"] == "2026-01-07T08:00:00.000Z"


async def test_channels_have_their_own_hours_and_see_what_their_routes_show(here):
    routes = (Route(channels=("dev",), condition=Condition(match={"sandbox": "dev"})), Route(channels=("team",)))
    here.restarted(plan(routes=routes), plan("dev", at="08:30", routes=routes))
    await here.at("07:30")
    await here.ends("1")
    await here.ends("2", sandbox="dev")
    (team,) = await here.at("08:00")
    (dev,) = await here.at("08:30")
    assert [one.details["runs"] for one in (team, dev)] == [2, 1]
    assert (dev.sandbox, dev.details["sandboxes"]) == ("dev", ["dev"])
    assert [(one.channel, one.event.stream) for one in await here.store.deliveries()] == [
        ("dev", "digests/dev"), ("team", "digests/team"),
    ]  # fmt: skip


async def test_what_another_route_takes_for_itself_is_neither_told_nor_named(here):
    taken = Route(channels=("chat",), condition=Condition(match={"sandbox": "prod"}), continues=False)
    here.restarted(plan(routes=(taken, Route(channels=("team",)))))
    await here.at("07:30")
    await here.ends("1", Status.FAILED)
    (event,) = await here.at("08:00")
    assert message_of(event).title == "Daily digest: nothing ran in dev"
    assert (event.details["runs"], event.details["sandboxes"]) == (0, ["dev"])


async def test_a_channel_that_is_told_of_no_job_is_told_what_else_is_open(here):
    channels = Condition(match={"type": "channel.failing"})
    here.restarted(plan(routes=(Route(channels=("team",), condition=channels),)))
    await here.at("07:30")
    await here.ends("1", Status.FAILED)
    failed = alert("work/prod/export_job/1", "job.failed", here.clock.now(), sandbox="prod")
    failing = alert("channel/ops", "channel.failing", here.clock.now())
    cursor = await here.store.alert_cursor()
    taken_in = Alerting(cursor_before=cursor, cursor=cursor, alerts=(failed, failing))
    await here.store.commit([Change(alerting=taken_in)])
    (event,) = await here.at("08:00")
    message = message_of(event)
    assert message.title == "Daily digest: no route tells this channel of a job"
    assert message.fields == (("Open alerts", "1"),)
    assert message.items == ("Open since 07:30:00 UTC: channel/ops",)


async def test_runs_of_pipelines_are_counted_for_who_is_told_of_them(here):
    nightly = Condition(match={"pipeline": "nightly"})
    routes = (Route(channels=("team",), condition=nightly), Route(channels=("all",)))
    here.restarted(plan(routes=routes), plan("all", routes=routes))
    await here.at("07:30")
    for number, (name, type_) in enumerate([
        ("nightly", EventType.PIPELINE_SUCCEEDED), ("nightly", EventType.PIPELINE_FAILED),
        ("trial", EventType.PIPELINE_SUCCEEDED), ("nightly", EventType.PIPELINE_STARTED),
    ]):  # fmt: skip
        ended = Event(
            type=type_, stream=f"pipeline/prod/{number}", sequence=1, at=here.clock.now(), severity=Severity.INFO,
            sandbox="prod", details={"pipeline": name},
        )  # fmt: skip
        await here.store.commit([Change(events=(ended,))])
    team, everybody = await here.at("08:00")
    count = {"sandbox": "prod", "pipeline": "nightly", "runs": 2, "succeeded": 1, "failed": 1}
    assert team.details["pipelines"] == [count]
    assert (team.details["sandboxes"], team.details["kinds"], team.details["silent"]) == (["prod"], [], [])
    assert everybody.details["pipelines"] == [count, count | {"pipeline": "trial", "runs": 1, "failed": 0}]
    assert everybody.details["silent"] == ["dev"]


async def test_sizes_are_compared_with_the_weeks_before(here):
    for n in range(4):
        here.clock.set(MONDAY - timedelta(days=2, minutes=-n))
        await here.ends(f"b{n}", took_s=60, kind="segment_job", segments=("nl",), profiles={"nl": 1000 + n})
    await here.at("07:30")
    await here.ends("1", took_s=150, usual_s=60.0, kind="segment_job", segments=("nl",), profiles={"nl": 1500})
    (event,) = await here.at("08:00")
    assert event.details["work"] == [{
        "sandbox": "prod", "kind": "segment_job", "runs": 1, "succeeded": 1, "failed": 0, "cancelled": 0, "vanished": 0,
        "median_s": 150.0, "usual_s": 60.0,
    }]  # fmt: skip
    assert event.details["moved"] == [{"sandbox": "prod", "segment": "nl", "members": 1500, "before": 1003}]


async def test_how_things_stand_is_a_line_each(here):
    await here.at("07:30")
    now = here.clock.now()
    active = JobState(
        key=key("9"), status=Status.PROCESSING, word="PROCESSING", asked_at=now, discovered_at=now, since=now,
        overdue_at=now,
    )  # fmt: skip
    failed = alert("work/prod/export_job/1", "job.failed", now, sandbox="prod", title="Export 1 failed in prod")
    silence = Silence(id="s1", matchers=parse("sandbox=dev"), starts_at=now, ends_at=None, created_at=now)
    event = Event(type=EventType.JOB_QUEUED, stream="x", sequence=1, at=now, severity=Severity.INFO)
    dead = Delivery(event=event, channel="team", promised_at=now, due_at=now, stage=Stage.DEAD)
    cursor = await here.store.alert_cursor()
    await here.store.commit([
        Change(job=active), Change(alerting=Alerting(cursor_before=cursor, cursor=cursor, alerts=(failed,))),
        Change(silence=silence), Change(events=(event,), deliveries=(dead, replace(dead, channel="other"))),
    ])  # fmt: skip
    (event,) = await here.at("08:00")
    message = message_of(event)
    assert message.title == "Daily digest: nothing ended in prod and dev"
    assert dict(message.fields) | {"Runs": "0", "Active now": "1, 1 of them overdue"} == dict(message.fields)
    assert message.items == (
        "Nothing ran in dev",
        "Open since 07:30:00 UTC: Export 1 failed in prod",
        "Silenced until resolved: sandbox=dev",
        "1 message to this channel was given up: segwatch notify dead --channel team",
    )


async def test_a_silent_day_is_said_in_one_line(here):
    await here.at("07:30")
    (event,) = await here.at("08:00")
    message = message_of(event)
    assert (message.title, message.items) == ("Daily digest: nothing ran in prod and dev", ())


async def test_it_goes_no_further_back_than_somebody_watched(here):
    for sandbox in SANDBOXES:
        for kind in KINDS:
            position = await here.store.position(sandbox, kind)
            await here.store.commit([Change(position=replace(position, began_at=MONDAY + timedelta(hours=6)))])
    here.swept = lambda: asyncio.sleep(0)
    await here.at("07:30")
    (event,) = await here.at("08:00")
    assert event.details["from"] == "2026-01-05T06:00:00.000Z"


async def test_a_busy_day_is_read_page_by_page(here, monkeypatch):
    monkeypatch.setattr(digest_reading, "_PAGE", 3)
    await here.at("07:30")
    for n in range(10):
        await here.ends(f"{n}", Status.FAILED if n % 2 else Status.SUCCEEDED)
    pages = []
    log = here.store.log

    async def counted(*args, **options):
        pages.append(await log(*args, **options))
        return pages[-1]

    monkeypatch.setattr(here.store, "log", counted)
    (event,) = await here.at("08:00")
    assert (event.details["runs"], event.details["failed"]) == (10, 5)
    assert [len(page) for page in pages] == [3, 3, 3, 1, 0]


async def test_a_store_that_fails_or_has_moved_on_is_tried_again(here, monkeypatch):
    await here.at("07:30")
    commit, errors = here.store.commit, [StoreUnavailable("disk full"), Conflict("moved on")]

    async def failing(changes):
        if errors:
            raise errors.pop(0)
        await commit(changes)

    here.clock.set(MONDAY + timedelta(hours=8))
    await here.swept()
    monkeypatch.setattr(here.store, "commit", failing)
    done, told = asyncio.Event(), here.digester._told
    here.digester._told = lambda events: (told(events), done.set())
    task = asyncio.create_task(here.digester.run(lambda: None))
    for _ in range(2):
        await here.clock.wake_next()
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    assert len(await here.digests()) == 1


async def test_an_odd_mark_in_the_store_keeps_no_digest_away(here):
    await here.at("08:00", day=-1)
    await here.at("08:00")
    (mark,) = await here.store.subjects("digests/")
    odd = replace(mark, memory=mark.memory | {"to": "2026-01-05 8 o'clock", "day": "Monday", "slot": ""})
    await here.store.commit([Change(subject=odd, subject_before=mark)])
    (event,) = await here.at("08:00", day=1)
    assert event.details["from"] == "2026-01-02T00:00:00.000Z"  # all that was watched: up to where is not known
    (mended,) = await here.store.subjects("digests/")
    assert mended.memory["day"] == "2026-01-06"


async def test_the_mark_and_the_promise_are_written_together(here, monkeypatch):
    await here.at("07:30")
    second = Digester(here.store, here.clock, (plan(),), here.told.extend)
    here.clock.set(MONDAY + timedelta(hours=8))
    await here.swept()
    results = await asyncio.gather(here.digester.turn(), second.turn(), return_exceptions=True)
    failed = [one for one in results if isinstance(one, BaseException)]
    assert [type(one) for one in failed] in ([], [Conflict])
    (event,), (mark,) = await here.digests(), await here.store.subjects("digests/")
    (promise,) = await here.store.deliveries(event_id=event.id)
    assert (promise.channel, mark.sequence, event.sequence, here.told) == ("team", 1, 1, [event])
