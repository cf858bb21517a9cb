"""Receivers that forget are told again what fires, at once and then in time; a failure is made up for soon."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import pytest
from fakes import FakeClock, at
from structlog.testing import capture_logs

from segwatch.daemon.first_looks import FirstLooks
from segwatch.daemon.refresher import Refresher
from segwatch.deliveries.model import Accepted, Rejected, Retryable
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.store.base import StoreUnavailable


class Forgetful:
    """A receiver that answers a refresh as it is told, and notes when each came, and with which streams."""

    refresh_every = timedelta(minutes=1)

    def __init__(self, clock, *outcomes):
        self.clock = clock
        self.outcomes = list(outcomes)
        self.came = []

    async def send(self, delivery):
        raise AssertionError("a refresh is no delivery")

    async def refresh(self, firing):
        self.came.append((self.clock.now(), [event.stream for event in await firing()]))
        return self.outcomes.pop(0) if self.outcomes else Accepted()

    @property
    def times(self):
        return [when for when, _ in self.came]


class Book:
    """What fires, by channel."""

    def __init__(self, *streams, available=True):
        self.streams = list(streams)
        self.available = available

    async def firing(self):
        if not self.available:
            raise StoreUnavailable("the disk is full")
        return [
            Event(type=EventType.ALERT_FIRING, stream=stream, sequence=1, at=at(0), severity=Severity.CRITICAL)
            for stream in self.streams
        ]


@asynccontextmanager
async def refreshing(clock, receiver, book, beats=None, has_looked=lambda: True):
    refresher = Refresher("am", receiver, book.firing, clock, has_looked=has_looked)
    worker = asyncio.create_task(refresher.run(lambda: beats.append(clock.now()) if beats is not None else None))
    await clock.advance(seconds=0)
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.wait({worker})


async def test_what_fires_is_told_at_once_and_then_each_minute():
    clock, book = FakeClock(), Book("alerts/1")
    receiver = Forgetful(clock)
    beats = []
    async with refreshing(clock, receiver, book, beats):
        book.streams.append("alerts/2")
        await clock.advance(minutes=1)
        book.streams.clear()
        await clock.advance(minutes=1)
    assert receiver.came == [(at(0), ["alerts/1"]), (at(1), ["alerts/1", "alerts/2"]), (at(2), [])]
    assert max(later - earlier for earlier, later in pairwise(beats)) <= timedelta(seconds=10)


@pytest.mark.parametrize(
    ("looks_after_s", "told_after_s"),
    [pytest.param(0, 0, id="a-reload"), pytest.param(7, 9, id="soon"), pytest.param(99, 32, id="it-cannot")],
)
async def test_what_fired_before_the_start_is_told_again_when_a_look_had_the_time_to_find_it_over(
    looks_after_s, told_after_s
):
    clock, book = FakeClock(), Book("alerts/1")
    receiver = Forgetful(clock)
    began = clock.now()
    looked = FirstLooks([("prod", "segment_job"), ("prod", "export_job")])
    looked.took("prod", "export_job")

    def has_looked() -> bool:
        if clock.now() >= began + timedelta(seconds=looks_after_s):
            looked.took("prod", "segment_job")
        return looked.are_over()

    async with refreshing(clock, receiver, book, has_looked=has_looked):
        await clock.advance(seconds=40)
    assert receiver.times[0] == began + timedelta(seconds=told_after_s)


async def test_a_failure_is_made_up_for_soon_and_said_once():
    clock, book = FakeClock(), Book("alerts/1")
    receiver = Forgetful(clock, Retryable(reason="connect"), Rejected(reason="http_401"), Retryable(reason="connect"))
    with capture_logs() as lines:
        async with refreshing(clock, receiver, book):
            await clock.advance(seconds=40)
            await clock.advance(minutes=1)
    waits = [later - earlier for earlier, later in pairwise(receiver.times)]
    ceilings = [timedelta(seconds=s) for s in (5, 10, 20, 60)]
    assert len(waits) == len(ceilings)
    assert all(ceiling / 2 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=True))
    told = [(line["event"], line["channel"]) for line in lines]
    assert told == [("alerts_not_refreshed", "am"), ("alerts_refreshed_again", "am")]
    assert lines[0]["reason"] == "connect"
    assert lines[1]["after_failures"] == 3


async def test_a_store_that_cannot_be_read_ends_nothing():
    clock, book = FakeClock(), Book("alerts/1", available=False)
    receiver = Forgetful(clock)
    with capture_logs() as lines:
        async with refreshing(clock, receiver, book):
            assert receiver.came == []
            book.available = True
            await clock.advance(seconds=5)
    assert [streams for _, streams in receiver.came] == [["alerts/1"]]
    assert [line["event"] for line in lines] == ["alerts_not_refreshed", "alerts_refreshed_again"]
    assert lines[0]["reason"] == "store_unavailable: the disk is full"
