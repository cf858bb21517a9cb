"""How long the list has been silent about a POST."""

from datetime import timedelta

from builders import answer
from fakes import FakeClock, at

from segwatch.daemon.silence import Silences

WINDOW = timedelta(minutes=1)
POSTED = answer("1", posted_at=at(0))


async def test_a_silence_lasts_while_lists_are_seen_whatever_the_clock_is_set_to():
    clock = FakeClock()
    silences = Silences(clock, window=WINDOW)
    assert silences.of(POSTED) == timedelta()
    for _ in range(5):
        await clock.advance(seconds=50)
        silences.looked(POSTED)
    clock.set(at(600))
    assert silences.of(POSTED) == timedelta(seconds=250)


async def test_a_silence_begins_anew_after_an_outage_and_after_another_post():
    clock = FakeClock()
    silences = Silences(clock, window=WINDOW)
    silences.of(POSTED)
    await clock.advance(seconds=61)
    assert silences.of(POSTED) == timedelta()
    await clock.advance(seconds=50)
    assert silences.of(answer("1", posted_at=at(2))) == timedelta()


async def test_a_silence_that_nobody_keeps_is_forgotten():
    clock = FakeClock()
    silences = Silences(clock, window=WINDOW)
    silences.of(POSTED)
    await clock.advance(seconds=50)
    silences.keep({POSTED.failed})
    assert silences.of(POSTED) == timedelta(seconds=50)
    silences.keep(set())
    assert silences.of(POSTED) == timedelta()
