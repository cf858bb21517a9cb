"""The call budget: arithmetic with times that the test makes up, and waiting on a clock that jumps."""

import asyncio
from datetime import timedelta

import pytest
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from segwatch.upstream.budget import FLOOR_PER_S, Bucket, Budget
from segwatch.upstream.errors import Fate, Unavailable


def budget(clock, *, rate=2.0, burst=2):
    return Budget(requests_per_second=rate, burst=burst, monotonic=clock.ran_s, sleep=clock.sleep)


def share_of(shared, *, rate=2.0, burst=2):
    return shared.share(requests_per_second=rate, burst=burst)


def drain(bucket, now):
    taken = 0
    while bucket.take(now) == 0.0:
        taken += 1
    return taken


def test_a_burst_is_allowed_and_then_the_rate_rules():
    bucket = Bucket(full_rate=2.0, burst=10, now=0.0)
    assert drain(bucket, 0.0) == 10
    assert bucket.take(0.0) == pytest.approx(0.5)
    assert drain(bucket, 1.0) == 2
    assert drain(bucket, 100.0) == 10


def test_a_429_halves_the_rate_once_for_one_storm():
    bucket = Bucket(full_rate=2.0, burst=10, now=0.0)
    for _ in range(20):
        bucket.throttled(10.0, None)
    assert bucket.rate == 1.0
    bucket.throttled(11.5, None)
    assert bucket.rate == pytest.approx(0.5, abs=0.02)


def test_the_rate_has_a_floor_and_comes_back_slowly():
    bucket = Bucket(full_rate=2.0, burst=10, now=0.0)
    for second in range(1, 60):
        bucket.throttled(second * 1.0, None)
    assert bucket.rate == pytest.approx(FLOOR_PER_S)
    bucket.take(59.0 + 150.0)
    assert bucket.rate == pytest.approx(FLOOR_PER_S + 1.0)
    bucket.take(10_000.0)
    assert bucket.rate == 2.0


def test_a_floor_above_the_configured_rate_does_not_speed_up():
    bucket = Bucket(full_rate=0.05, burst=1, now=0.0)
    bucket.throttled(1.0, None)
    assert bucket.rate == 0.05


def test_retry_after_pauses_and_a_shorter_one_does_not_cut_it():
    bucket = Bucket(full_rate=2.0, burst=10, now=0.0)
    bucket.throttled(0.0, 30.0)
    bucket.throttled(1.0, 2.0)
    assert bucket.take(10.0) == pytest.approx(20.0)
    assert bucket.take(30.0) == 0.0


steps = st.lists(st.tuples(st.floats(0, 50), st.sampled_from(["take", "429", "429+7"])), max_size=80)


@given(steps, st.floats(0.01, 50), st.integers(0, 20))
def test_no_history_exceeds_the_budget_or_leaves_its_bounds(history, rate, burst):
    bucket = Bucket(full_rate=rate, burst=burst, now=0.0)
    now, taken = 0.0, 0
    for elapsed, what in history:
        now += elapsed
        if what == "take":
            wait = bucket.take(now)
            assert wait >= 0.0
            taken += wait == 0.0
        else:
            bucket.throttled(now, 7.0 if what == "429+7" else None)
        assert min(FLOOR_PER_S, rate) <= bucket.rate <= rate
        assert taken <= max(1, burst) + rate * now + 1e-6


@given(steps)
def test_who_waits_as_told_gets_a_call(history):
    bucket = Bucket(full_rate=2.0, burst=3, now=0.0)
    now = 0.0
    for elapsed, what in history:
        now += elapsed
        if what == "429":
            bucket.throttled(now, None)
    for _ in range(5):
        now += bucket.take(now) + 1e-6
    assert bucket.take(now) == 0.0 or bucket.take(now + 10.001) == 0.0


async def test_callers_are_served_in_order():
    clock = FakeClock(leaps=True)
    share = share_of(budget(clock, burst=1), burst=1)
    served = []

    async def one(number):
        await share.acquire(max_wait=timedelta(seconds=60))
        served.append((number, clock.ran_s()))

    await asyncio.gather(*(one(number) for number in range(4)))
    assert [number for number, _ in served] == [0, 1, 2, 3]
    assert [at for _, at in served] == pytest.approx([0, 0.5, 1.0, 1.5])


async def test_a_busy_sandbox_does_not_starve_a_quiet_one():
    clock = FakeClock(leaps=True)
    shared = budget(clock, burst=1)
    busy, quiet = share_of(shared, burst=1), share_of(shared, burst=1)
    served = []

    async def one(share, name):
        await share.acquire(max_wait=timedelta(seconds=600))
        served.append(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(one(busy, "busy"))
        await asyncio.sleep(0)
        group.create_task(one(quiet, "quiet"))
    assert served.index("quiet") <= 3


async def test_a_deadline_that_cannot_be_met_fails_at_once_and_says_not_sent():
    clock = FakeClock(leaps=True)
    shared = budget(clock)
    shared.throttled(timedelta(seconds=30))
    with pytest.raises(
        Unavailable, match=r"no room within 5 s \(the platform answered 429 and wants no call for another 30 s\)"
    ) as caught:
        await share_of(shared).acquire(max_wait=timedelta(seconds=5), what="Sandbox prod: GET /x")
    assert (caught.value.fate, caught.value.reason) == (Fate.NOT_SENT, "budget")
    assert clock.ran_s() == 0.0


async def test_a_cancelled_waiter_loses_nobodys_turn():
    clock = FakeClock(leaps=True)
    gate = asyncio.Event()

    async def held(seconds):
        await gate.wait()
        await clock.advance(seconds=seconds)

    shared = Budget(requests_per_second=1.0, burst=1, monotonic=clock.ran_s, sleep=held)
    share = share_of(shared, rate=1.0, burst=1)
    minute = timedelta(minutes=1)
    await share.acquire(max_wait=minute)
    first, second, third = (asyncio.create_task(share.acquire(max_wait=minute)) for _ in range(3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    third.cancel()
    gate.set()
    await second
    assert first.cancelled() or first.cancelling()
    assert clock.ran_s() == pytest.approx(1.0)


async def test_the_rate_is_there_to_be_shown():
    shared = budget(FakeClock(), rate=4.0)
    small, large = share_of(shared, rate=1.0), share_of(shared, rate=3.0)
    assert (small.rate, large.rate) == (1.0, 3.0)
    small.throttled(None)  # one credential: the platform means both
    assert (small.rate, large.rate) == (0.5, 1.5)


async def test_a_sandbox_takes_no_more_of_a_common_budget_than_its_own_setting_allows():
    clock = FakeClock(leaps=True)
    small = share_of(budget(clock, rate=10.0, burst=20), rate=1.0, burst=2)
    for _ in range(5):
        await small.acquire(max_wait=timedelta(minutes=1))
    assert clock.ran_s() == pytest.approx(3.0)
