"""How old a promise is when the clock leaps, comes back, or goes on as it should."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from segwatch.daemon.steadiness import TOLERANCE
from segwatch.daemon.timeline import Timeline

T0 = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
S, HOUR = timedelta(seconds=1), timedelta(hours=1)
LOOK_S = 2.0


class Clocks:
    """A clock that is set and one that never is, looked at every two seconds."""

    def __init__(self):
        self.now, self.ran_s = T0, 100.0
        self.timeline = Timeline(self.now, self.ran_s)

    def run(self, seconds):
        for _ in range(int(seconds / LOOK_S)):
            self.now += timedelta(seconds=LOOK_S)
            self.ran_s += LOOK_S
            self.timeline.look(self.now, self.ran_s)

    def jump(self, by):
        self.now += by
        self.run(LOOK_S)

    def age(self, moment):
        return self.timeline.age(moment)


def test_without_a_jump_an_age_is_what_the_clock_says():
    clocks = Clocks()
    clocks.run(600)
    assert clocks.age(T0 - 30 * HOUR) == 30 * HOUR + 600 * S
    assert clocks.age(clocks.now) == timedelta()
    assert clocks.age(clocks.now + S) == timedelta(), "stamped after the last look"
    assert not clocks.timeline.repeats


def test_a_leap_ages_nothing_and_neither_does_the_way_back():
    clocks = Clocks()
    clocks.run(60)
    before = clocks.now
    clocks.jump(5 * HOUR)
    assert clocks.age(before) == 2 * S
    assert clocks.age(T0 - HOUR) == HOUR + 62 * S
    assert clocks.age(before + HOUR) == timedelta(), "nobody here saw that hour"
    amid = clocks.now
    clocks.run(60)
    assert clocks.age(amid) == 60 * S
    clocks.jump(-5 * HOUR)
    assert clocks.timeline.repeats
    assert [clocks.age(one) for one in (before, amid)] == [64 * S, 62 * S]
    clocks.run(60)
    assert [clocks.age(one) for one in (before, amid)] == [124 * S, 122 * S]
    clocks.run(5 * 3600)
    assert not clocks.timeline.repeats


def test_a_clock_that_was_wrong_since_the_start_lets_things_grow_old_once_it_is_right():
    clocks = Clocks()
    stamped = clocks.now
    clocks.jump(50 * 365 * 24 * HOUR)
    clocks.run(7200)
    assert clocks.age(stamped) == 2 * HOUR + 2 * S
    assert clocks.age(clocks.now - HOUR) == HOUR


def test_a_time_that_the_clock_has_shown_twice_is_the_later_one():
    clocks = Clocks()
    clocks.run(3600)
    stamped = clocks.now
    clocks.jump(-HOUR)
    assert clocks.age(stamped) == 2 * S
    clocks.run(3600)
    assert clocks.age(stamped) <= 4 * S


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 40)), max_size=10), st.data())
def test_whatever_the_clock_does_nothing_is_taken_for_older_than_it_is(jumps, data):
    clocks, made = Clocks(), []
    for jump_s, looks in jumps:
        clocks.jump(timedelta(seconds=jump_s))
        for _ in range(looks):
            clocks.run(LOOK_S)
            made.append((clocks.now, clocks.ran_s))
    # a step so small may be the clock's own drift, and is believed
    believed = sum(
        (step for jump_s, _ in jumps if timedelta() < (step := timedelta(seconds=jump_s)) <= TOLERANCE),
        start=timedelta(),
    )
    for stamped, at_s in made:
        most = timedelta(seconds=clocks.ran_s - at_s) + 2 * TOLERANCE + believed
        assert timedelta() <= clocks.age(stamped) <= most


def test_of_what_was_before_this_process_only_its_own_time_is_sure():
    clocks = Clocks()  # whatever was done to the clock before it began
    clocks.run(60)
    for moment in (T0 - HOUR, T0 + 5 * HOUR):  # seen by another process; once while the clock was ahead
        assert clocks.timeline.surely(moment) == 60 * S
    assert clocks.timeline.surely(T0 + 30 * S) == 30 * S
    clocks.jump(HOUR)
    assert clocks.timeline.surely(T0 + 30 * S) == 32 * S
