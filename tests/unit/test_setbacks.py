"""How long an answer waits for what stands in its way."""

from datetime import timedelta

import pytest
from fakes import FakeClock, at

from segwatch.daemon.setbacks import Setbacks
from segwatch.jobs.model import JobKey

JOB = JobKey(sandbox="prod", kind="export_job", id="1")
WINDOW, SECOND = timedelta(minutes=1), timedelta(seconds=1)


async def test_looks_that_allow_no_conclusion_for_a_while_are_too_many():
    clock = FakeClock()
    setbacks = Setbacks(clock)
    assert not setbacks.unclear(JOB, WINDOW)
    await clock.advance(seconds=59)
    assert not setbacks.unclear(JOB, WINDOW)
    await clock.advance(seconds=1)
    assert setbacks.unclear(JOB, WINDOW)


async def test_an_outage_between_two_bad_pages_makes_no_long_time_of_them():
    clock = FakeClock()
    setbacks = Setbacks(clock)
    setbacks.unclear(JOB, WINDOW)
    setbacks.outage(JOB, SECOND)
    await clock.advance(hours=3)
    assert not setbacks.unclear(JOB, WINDOW)
    await clock.advance(minutes=1)
    assert setbacks.unclear(JOB, WINDOW)


async def test_what_stands_in_the_way_for_long_is_told_once_until_a_step_is_taken_or_a_person_asks():
    clock = FakeClock()
    setbacks = Setbacks(clock)

    async def told(minutes=1) -> list[bool]:
        heard = []
        for _ in range(minutes):
            setbacks.outage(JOB, SECOND)
            heard.append(setbacks.lasts(JOB, 2 * WINDOW))
            await clock.advance(minutes=1)
        return heard

    assert await told(5) == [False, False, True, False, False]
    setbacks.went_on(JOB)
    assert not setbacks.lasts(JOB, 2 * WINDOW)
    assert await told(4) == [False, False, True, False]
    setbacks.heed({JOB: at(0)})
    assert await told(4) == [False, False, True, False]


async def test_who_gives_way_looks_again_less_and_less_soon_and_knows_how_often():
    clock = FakeClock()
    setbacks = Setbacks(clock)
    waits = []
    for count in range(1, 12):
        assert setbacks.conflict(JOB) == count
        waits.append(0)
        while JOB in setbacks.paused():
            await clock.advance(seconds=1)
            waits[-1] += 1
    assert 1 <= waits[0] <= 2
    assert waits == sorted(waits)
    assert waits[-1] <= 60
    setbacks.went_on(JOB)
    assert setbacks.conflict(JOB) == 1


@pytest.mark.parametrize("minute", [-3000, -120, -1, 120], ids="{}".format)
async def test_a_pause_lasts_as_long_as_it_was_meant_to_whatever_the_clock_is_set_to(minute):
    clock = FakeClock()
    setbacks = Setbacks(clock)
    setbacks.outage(JOB, 10 * SECOND)
    clock.set(at(minute))
    await clock.advance(seconds=9)
    assert setbacks.paused() == {JOB}
    await clock.advance(seconds=1)
    assert not setbacks.paused()


async def test_a_person_who_asks_waits_for_no_pause_of_before_but_for_one_since():
    setbacks = Setbacks(FakeClock())
    setbacks.heed({})
    setbacks.pause(JOB)
    setbacks.heed({JOB: at(1)})
    assert not setbacks.paused()
    setbacks.pause(JOB)
    setbacks.heed({JOB: at(1)})
    assert setbacks.paused() == {JOB}
    setbacks.heed({JOB: at(2)})
    assert not setbacks.paused()
