"""How long the list has been silent about a POST."""

from datetime import timedelta

from fakes import FakeClock, at

from segwatch.daemon.silence import Silences

WINDOW = timedelta(minutes=1)


async def test_a_silence_lasts_while_lists_are_seen_whatever_the_clock_is_set_to():
    clock = FakeClock()
    silences = Silences(clock, window=WINDOW)
    for _ in range(6):
        silences.of("1", at(0))
        silences.looked("1")
        await clock.advance(seconds=50)
    clock.set(at(600))
    assert silences.of("1", at(0)) == timedelta(seconds=300)


async def test_a_silence_begins_anew_after_an_outage_and_after_another_post():
    clock = FakeClock()
    silences = Silences(clock, window=WINDOW)
    silences.of("1", at(0))
    silences.looked("1")
    await clock.advance(seconds=61)
    assert silences.of("1", at(0)) == timedelta()
    silences.looked("1")
    await clock.advance(seconds=50)
    assert silences.of("1", at(2)) == timedelta()


async def test_it_begins_with_a_list_that_was_seen():
    clock = FakeClock()
    silences = Silences(clock, window=WINDOW)
    for _ in range(5):
        assert silences.of("1", at(0)) == timedelta()
        await clock.advance(seconds=50)  # the look failed
    silences.of("1", at(0))
    silences.looked("1")
    await clock.advance(seconds=50)
    assert silences.of("1", at(0)) == timedelta(seconds=50)


async def test_looks_that_take_long_one_after_the_other_make_no_outages_of_each_other():
    clock, lasted = FakeClock(), []
    silences = Silences(clock, window=WINDOW)
    for whose in ("1", "2") * 3:
        lasted.append(silences.of(whose, at(0)).total_seconds())
        await clock.advance(seconds=50)
        silences.looked(whose)
    assert lasted == [0, 0, 100, 100, 200, 200]


async def test_a_list_that_was_asked_for_before_a_post_tells_nothing_of_it():
    clock = FakeClock()
    silences = Silences(clock, window=WINDOW)
    silences.of("1", at(0))
    await clock.advance(seconds=10)
    silences.of("2", at(1))  # its look fails
    await clock.advance(seconds=10)
    silences.looked("1")
    await clock.advance(seconds=50)
    assert silences.of("2", at(1)) == timedelta()


async def test_a_silence_that_nobody_keeps_is_forgotten():
    clock = FakeClock()
    silences = Silences(clock, window=WINDOW)
    for whose in ("1", "2"):
        silences.of(whose, at(0))
        silences.looked(whose)
    await clock.advance(seconds=50)
    silences.keep({"1", "2"})
    silences.forget("2")
    assert [silences.of(whose, at(0)) for whose in ("1", "2")] == [timedelta(seconds=50), timedelta()]
    silences.keep(set())
    assert silences.of("1", at(0)) == timedelta()


async def test_a_look_that_ends_when_another_task_has_settled_the_post_changes_nothing():
    clock = FakeClock()
    silences = Silences(clock, window=timedelta(minutes=1))
    silences.of("order", clock.now())
    silences.forget("order")
    silences.looked("order")
    assert silences.of("order", clock.now()) == timedelta()
