"""From a real outbox to real receivers, some of which misbehave."""

import asyncio
import base64
import random
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from fakes import FakeClock
from receiver import HANG, RESET, Answer, Receiver
from standardwebhooks import Webhook as Verifier
from structlog.testing import capture_logs

from segwatch.alerts.matching import Condition
from segwatch.backoff import Backoff
from segwatch.daemon.dispatcher import Channel, ChannelWorker
from segwatch.daemon.timeline import Timeline
from segwatch.deliveries.model import Accepted, Stage
from segwatch.deliveries.routing import Route, promises
from segwatch.deliveries.settle import DeliveryPolicy
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.notifiers.base import NotifierContext
from segwatch.notifiers.webhook import Webhook, WebhookOptions
from segwatch.store.base import Change, StoreUnavailable
from segwatch.store.factory import store_of
from segwatch.store.filters import EventFilter

SECRET = "whsec_" + base64.b64encode(b"a key of twenty-four byte").decode()
MS = timedelta(milliseconds=1)
POLICY = DeliveryPolicy(backoff=Backoff(first=10 * MS, cap=30 * MS), max_age=timedelta(minutes=1))


JOBS, EVERYTHING = {"kind": "export_job"}, {}


def event(job, sequence=1):
    return Event(
        type=EventType.JOB_FAILED, stream=f"prod/export_job/{job}", sequence=sequence, at=datetime.now(UTC),
        severity=Severity.CRITICAL, sandbox="prod", kind="export_job", job_id=str(job), status="FAILED",
    )  # fmt: skip


class Counts:
    """A DeliveryObserver that remembers."""

    def __init__(self):
        self.ok, self.bad = Counter(), Counter()

    def delivered(self, channel, seconds):
        assert seconds >= 0
        self.ok[channel] += 1

    def failed(self, channel, reason):
        self.bad[channel, reason] += 1


class Flaky:
    """A store whose named calls can be made to fail; everything else is the real one."""

    def __init__(self, store):
        self._store = store
        self.failing = set()
        self.calls = Counter()

    def __getattr__(self, name):
        real = getattr(self._store, name)

        async def call(*args, **kwargs):
            self.calls[name] += 1
            if name in self.failing:
                raise StoreUnavailable("the disk is full")
            return await real(*args, **kwargs)

        return call


class House:
    """A store, workers and what they tell; `running()` runs them."""

    def __init__(self, store, session):
        self.store, self.session = Flaky(store), session
        self.counts, self.beats, self.told = Counts(), Counter(), []
        self.routes, self.workers, self.clock = [], {}, FakeClock(datetime.now(UTC), runs=True)
        self.timeline = Timeline(self.clock.now(), self.clock.ran_s())

    def add(self, name, target, *, policy=POLICY, timeout_s=5.0, routed=True, match=JOBS, **more):
        if isinstance(target, Receiver):
            context = NotifierContext(
                channel=name, session=self.session, now=lambda: datetime.now(UTC), timeout_s=timeout_s
            )
            target = Webhook(WebhookOptions.model_validate({"url": target.url, "secret": SECRET}), context)
        if routed:
            self.routes.append(Route(condition=Condition(match=match), channels=(name,)))
        self.workers[name] = ChannelWorker(
            Channel(name=name, notifier=target, policy=policy, timeout_s=timeout_s),
            store=self.store, promise=lambda events, now: promises(events, self.routes, now), clock=self.clock,
            timeline=self.timeline, random=random.random, observer=self.counts, told=self._hear, **more,
        )  # fmt: skip

    def wake(self):
        for worker in self.workers.values():
            worker.wake()

    async def run(self):
        async with asyncio.TaskGroup() as house:
            for name, worker in self.workers.items():
                house.create_task(worker.run(lambda name=name: self.beats.update([name])))

    def _hear(self, events):
        self.told.extend(events)
        self.wake()

    async def tell(self, *events):
        await self.store.commit([Change(events=events, deliveries=promises(events, self.routes, self.clock.now()))])
        self.wake()

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task.exception()

    async def stages(self, channel="ops"):
        return Counter(d.stage for d in await self.store.deliveries(channel=channel))


async def until(true, within_s=10.0):
    """Return once `true()` holds; it is a coroutine function."""
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110 - the truth lies on disk, where nobody signals
            await asyncio.sleep(0.005)


@pytest.fixture
async def house(tmp_path):
    store = store_of(f"sqlite://{tmp_path}/segwatch.db")
    await store.open()
    async with aiohttp.ClientSession() as session:
        yield House(store, session)
    await store.close()


def in_turn(*answers):
    """Answer the first attempts of each message by the list, later ones with 200."""
    attempts = Counter()

    def answer(n, request):
        attempts[request.headers["webhook-id"]] += 1
        place = attempts[request.headers["webhook-id"]] - 1
        return answers[place] if place < len(answers) else Answer()

    return answer


async def test_a_receiver_that_misbehaves_in_every_way_still_gets_each_event_signed_and_in_order(house):
    trouble = in_turn(Answer(500), HANG, RESET, Answer(429, {"Retry-After": "0"}))
    events = [event(job, sequence) for sequence in (1, 2) for job in range(5)]
    async with Receiver(trouble) as receiver:
        house.add("ops", receiver, timeout_s=0.1)
        await house.tell(*events)
        async with house.running():
            await receiver.until(lambda: len(receiver.accepted) == len(events))
            await until(lambda: _settled(house, len(events)))
    by_event = {}
    for got in receiver.got:
        assert Verifier(SECRET).verify(got.body, got.headers)["data"] == got.data
        by_event.setdefault(got.data["event_id"], []).append(got.headers["webhook-id"])
    assert set(by_event) == {e.id for e in events}
    assert all(len(ids) == 5 and len(set(ids)) == 1 for ids in by_event.values())
    for job in range(5):
        first_of = [got.data["sequence"] for got in receiver.got if got.data["job_id"] == str(job)]
        assert first_of == sorted(first_of), "an event waits for the earlier ones of its stream"
    assert {d.attempts for d in await house.store.deliveries(channel="ops")} == {5}
    assert house.counts.ok["ops"] == len(events)
    assert {reason for _, reason in house.counts.bad} == {"http_500", "timeout", "connection_lost", "http_429"}


async def _settled(house, count, stage=Stage.DELIVERED, channel="ops"):
    return (await house.stages(channel))[stage] == count


async def test_who_tells_of_one_stream_only_leaves_the_others_and_says_nothing_of_the_channel(house):
    """Those before it in the outbox are as due, and a receiver that fails is a daemon's to judge."""
    strange, own = event(1), event(2)
    async with Receiver(in_turn(*[Answer(500)] * 8)) as receiver:
        house.add("ops", receiver, only_stream=own.stream)
        await house.tell(strange, own)
        async with house.running():
            await receiver.until(lambda: len(receiver.accepted) == 1)
            await until(lambda: _settled(house, 1))
    assert {got.data["event_id"] for got in receiver.got} == {own.id}
    assert [one.event for one in await house.store.deliveries(stages=(Stage.PENDING,))] == [strange]
    assert house.told == []
    assert house.store.calls["subject"] == 0


async def test_a_dead_channel_does_not_delay_another_and_keeps_its_heart_beating(house, monkeypatch):
    monkeypatch.setattr("segwatch.daemon.dispatcher.LOOK_EVERY", 20 * MS)
    async with Receiver(HANG) as dead, Receiver() as fine:
        house.add("dead", dead, timeout_s=30.0, grace_s=0.0)
        house.add("ops", fine)
        async with house.running():
            await house.tell(*(event(job) for job in range(20)))
            await fine.until(lambda: len(fine.accepted) == 20, within_s=3.0)
            await dead.until(lambda: len(dead.got) == 8)
            before = house.beats["dead"]
            await until(lambda: _true(house.beats["dead"] >= before + 5))
        assert len(dead.got) == 8, "so many at once and no more"
    assert await house.stages("dead") == {Stage.PENDING: 20}


async def _true(value):
    return value


async def test_a_commit_wakes_the_worker_and_a_row_from_another_process_is_found(house, monkeypatch):
    async with Receiver() as receiver:
        house.add("ops", receiver)
        async with house.running():
            await until(lambda: _true(house.store.calls["next_delivery_at"] > 0))
            await house.tell(event(1))
            await receiver.until(lambda: len(receiver.got) == 1, within_s=1.0)
            monkeypatch.setattr("segwatch.daemon.dispatcher.LOOK_EVERY", 20 * MS)
            house.wake()
            made = promises([event(2)], house.routes, datetime.now(UTC))
            await house.store.commit([Change(events=(event(2),), deliveries=made)])
            await receiver.until(lambda: len(receiver.got) == 2, within_s=2.0)


async def test_past_its_maximum_age_a_delivery_lies_in_the_dead_letters_with_its_reason(house):
    async with Receiver(Answer(503, body=b"maintenance")) as receiver:
        house.add("ops", receiver)
        await house.tell(event(1), event(2))

        async def all_were_tried():
            return all(d.attempts for d in await house.store.deliveries(channel="ops"))

        with capture_logs() as lines:
            async with house.running():
                await until(all_were_tried)
                await house.clock.advance(minutes=1)
                await until(lambda: _settled(house, 2, Stage.DEAD))
    dead = await house.store.deliveries(channel="ops", stages=[Stage.DEAD])
    assert {d.reason for d in dead} == {"http_503: maintenance"}
    assert all(d.attempts > 1 for d in dead)
    assert [line["log_level"] for line in lines if line["event"] == "delivery_dead"] == ["error"] * 2
    assert "hunter2" not in repr(lines)


async def test_a_rejected_event_is_dead_at_once_and_does_not_hold_up_its_stream(house):
    async with Receiver(lambda n, request: Answer(400 if request.data["sequence"] == 1 else 200)) as receiver:
        house.add("ops", receiver)
        await house.tell(event(1, 1), event(1, 2))
        async with house.running():
            await until(lambda: _settled(house, 1))
    assert await house.stages() == {Stage.DEAD: 1, Stage.DELIVERED: 1}
    assert len(receiver.got) == 2


async def test_a_failing_channel_is_told_elsewhere_once_and_its_recovery_too(house):
    works = []
    async with Receiver(lambda n, request: Answer(200 if works else 500)) as ops, Receiver() as other:
        house.add("ops", ops, match=EVERYTHING)
        house.add("other", other, match=EVERYTHING)
        await house.tell(*(event(job) for job in range(3)))
        async with house.running():
            await other.until(lambda: any(b"channel.failing" in got.body for got in other.got))
            works.append(True)
            await other.until(lambda: any(b"channel.recovered" in got.body for got in other.got))
            await until(lambda: _settled(house, 5, channel="other"))
            await until(lambda: _settled(house, 5, channel="ops"))
    types = [(e.type, e.sequence) for e in house.told]
    assert types == [(EventType.CHANNEL_FAILING, 1), (EventType.CHANNEL_RECOVERED, 2)]
    logged = await house.store.events(EventFilter(stream="channel/ops"))
    assert [one.event for one in logged] == house.told
    assert any(b"channel.failing" in got.body for got in ops.got), "it hears of it when it works again"
    assert (await house.store.subject("channel/ops")).condition == "healthy"


async def test_a_restart_does_not_tell_a_known_failure_again(house):
    async with Receiver(Answer(404)) as receiver:
        house.add("ops", receiver)
        for job in (1, 2):
            await house.tell(event(job))
            async with house.running():
                await until(lambda job=job: _settled(house, job, Stage.DEAD))
                await until(lambda: _true(house.store.calls["commit"] > 1))
            house.workers.clear()
            house.routes.clear()
            house.add("ops", receiver)
    assert len(await house.store.events(EventFilter(stream="channel/ops"))) == 1


async def test_stopping_finishes_what_is_under_way_and_releases_the_rest(house):
    release = asyncio.Event()

    class Slow:
        async def send(self, delivery):
            started.append(delivery)
            if delivery.event.job_id == "1":
                await release.wait()
                return Accepted()
            return await asyncio.Event().wait()

    started = []
    house.add("ops", Slow(), grace_s=0.2)
    await house.tell(event(1), event(2), *(event(job) for job in range(3, 9)))
    task = asyncio.create_task(house.run())
    await until(lambda: _true(len(started) == 8))
    task.cancel()
    release.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await house.stages() == {Stage.DELIVERED: 1, Stage.PENDING: 7}
    pending = await house.store.deliveries(channel="ops", stages=[Stage.PENDING])
    assert {d.attempts for d in pending} == {0}
    assert len(started) == 8


async def test_an_accepted_delivery_that_cannot_be_written_is_written_later_and_not_sent_again(house, monkeypatch):
    monkeypatch.setattr("segwatch.daemon.dispatcher._STORE_BACKOFF", Backoff(first=10 * MS, cap=20 * MS))
    async with Receiver() as receiver:
        house.add("ops", receiver)
        house.store.failing = {"settle"}
        await house.tell(event(1, 1), event(1, 2))
        with capture_logs() as lines:
            async with house.running():
                await until(lambda: _true(house.store.calls["settle"] >= 4))
                assert len(receiver.got) == 1
                house.store.failing = set()
                await until(lambda: _settled(house, 2))
    assert [got.data["sequence"] for got in receiver.got] == [1, 2]
    said = [line["event"] for line in lines if line["event"].startswith("outbox_")]
    assert said == ["outbox_unavailable", "outbox_available_again"]


async def test_a_store_that_is_away_is_asked_seldom_while_the_heart_beats(house, monkeypatch):
    monkeypatch.setattr("segwatch.daemon.dispatcher.LOOK_EVERY", 5 * MS)
    async with Receiver() as receiver:
        house.add("ops", receiver)
        await house.tell(event(1))
        house.store.failing = {"due_deliveries", "settle", "commit", "subject", "next_delivery_at"}
        async with house.running():
            await until(lambda: _true(house.beats["ops"] >= 20))
            house.wake()
            await until(lambda: _true(house.beats["ops"] >= 30))
            assert house.store.calls["subject"] == 1, "the first wait is at least half a second"
        assert receiver.got == []


async def test_a_notifier_that_breaks_is_retried_and_shows_no_secret(house):
    url = "https://hooks.example.test/" + "hunter".upper()  # not as such in a line of source, which a traceback shows

    class Broken:
        calls = 0

        async def send(self, delivery):
            Broken.calls += 1
            if Broken.calls == 1:
                raise RuntimeError(url)
            return Accepted()

    house.add("ops", Broken())
    await house.tell(event(1))
    with capture_logs() as lines:
        async with house.running():
            await until(lambda: _settled(house, 1))
    assert house.counts.bad == {("ops", "internal_error"): 1}
    assert "HUNTER" not in repr(lines)
    (crash,) = [line for line in lines if line["event"] == "delivery_attempt_crashed"]
    assert crash["error"] == "RuntimeError"
    assert "in send" in crash["traceback"]


async def test_retry_after_holds_back_the_whole_channel(house):
    first = Answer(429, {"Retry-After": "1"})
    policy = DeliveryPolicy(backoff=Backoff(first=10 * MS, cap=300 * MS), max_age=timedelta(minutes=1))
    async with Receiver(lambda n, request: first if n == 0 else Answer()) as receiver:
        house.add("ops", receiver, policy=policy)
        async with house.running():
            await house.tell(event(1))
            await receiver.until(lambda: len(receiver.got) == 1)
            await until(lambda: _true(house.counts.bad["ops", "http_429"] == 1))
            await house.tell(event(2))
            await receiver.until(lambda: len(receiver.accepted) == 2)
    other, same = receiver.accepted
    assert other.data["job_id"] == "2"
    assert other.at - receiver.got[0].at >= 0.29, "at most as long as the longest wait of the channel"
    assert same.at - receiver.got[0].at >= 0.99


async def test_a_clock_set_back_by_an_hour_does_not_silence_a_channel_for_an_hour(house):
    first = Answer(429, {"Retry-After": "1"})
    policy = DeliveryPolicy(backoff=Backoff(first=10 * MS, cap=timedelta(seconds=1)), max_age=timedelta(minutes=1))
    async with Receiver(lambda n, request: first if n == 0 else Answer()) as receiver:
        house.add("ops", receiver, policy=policy)
        await house.tell(event(1))
        async with house.running():
            await until(lambda: _true(house.counts.bad["ops", "http_429"] == 1))
            house.clock.set(house.clock.now() - timedelta(hours=1))
            await house.tell(event(2))
            await receiver.until(lambda: len(receiver.accepted) == 2, within_s=3.0)
    told = {letter.data["job_id"] for letter in receiver.accepted}
    assert told == {"1", "2"}, "also what was put off by the clock as it was before"


@pytest.mark.parametrize("hours", [30, 5], ids=["past-the-maximum-age", "within-it"])
async def test_a_clock_that_leaps_for_hours_and_comes_back_kills_nothing_and_delays_nothing(house, hours):
    works = []
    policy = DeliveryPolicy(backoff=Backoff(first=10 * MS, cap=1000 * MS), max_age=timedelta(hours=24))

    async def all_were_tried_again():
        waiting = await house.store.deliveries(channel="ops")
        return all(one.attempts > before[one.id] for one in waiting)

    async def attempts():
        return {one.id: one.attempts for one in await house.store.deliveries(channel="ops")}

    async with Receiver(lambda n, request: Answer(200 if works else 503)) as receiver:
        house.add("ops", receiver, policy=policy)
        await house.tell(event(1), event(2))
        async with house.running():
            before = dict.fromkeys(await attempts(), 0)
            await until(all_were_tried_again)
            for leap in (timedelta(hours=hours), timedelta(hours=-hours)):
                house.clock.set(house.clock.now() + leap)
                house.wake()
                before = await attempts()
                await until(all_were_tried_again)
                await house.tell(event(f"after {leap}"))
                before = await attempts()
                await until(all_were_tried_again)
            assert await house.stages() == {Stage.PENDING: 4}
            works.append(True)
            await until(lambda: _settled(house, 4))


class Threads:
    """A receiver that names the thread of what it takes, and remembers in which each message was to go."""

    def __init__(self):
        self.got = []

    async def send(self, delivery):
        self.got.append((delivery.event.stream, delivery.thread))
        await asyncio.sleep(0)
        return Accepted(thread=delivery.thread or f"thread of {delivery.event.stream}")


async def test_what_is_about_one_alert_goes_one_by_one_into_the_thread_that_the_first_began(house):
    receiver = Threads()
    house.add("ops", receiver)
    same = [replace(event(job), details={"fingerprint": "f1"}) for job in range(4)]
    await house.tell(*same, *(event(job) for job in range(10, 14)))
    async with house.running():
        await until(lambda: _settled(house, 8))
    (first, none), *later = [one for one in receiver.got if one[0] in {e.stream for e in same}]
    assert none == ""
    assert {thread for _, thread in later} == {f"thread of {first}"}
    assert len(later) == 3
    assert {thread for stream, thread in receiver.got if "/1" in stream and len(stream) > len(first)} == {""}


async def test_what_is_told_late_comes_with_what_there_is_to_say_of_that(house):
    told = []

    class Told:
        async def send(self, delivery):
            told.append(delivery.late)
            return Accepted()

    house.add("ops", Told())
    now = house.clock.now()
    await house.tell(replace(event(1), at=now - timedelta(hours=1)), replace(event(2), at=now))
    async with house.running():
        await until(lambda: _settled(house, 2))
    assert sorted(late is not None for late in told) == [False, True]
