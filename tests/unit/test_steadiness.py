"""How far the clock is believed when it jumps, stays wrong, or was right all along."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from segwatch.daemon.steadiness import STEADY, STEP, Steadiness

T0 = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
LOOK_S = 2.0


def began(*, behind: timedelta = timedelta()) -> Steadiness:
    return Steadiness(believed=T0 - behind, now=T0, ran_s=100.0)


def pass_by(steadiness: Steadiness, span: timedelta) -> list[timedelta]:
    """Let time pass on both clocks, and return the jumps that were seen."""
    seen = [
        steadiness.look(steadiness.now + timedelta(seconds=LOOK_S), steadiness.ran_s + LOOK_S)
        for _ in range(int(span.total_seconds() / LOOK_S))
    ]
    return [jump for jump in seen if jump]


def test_a_clock_that_goes_on_evenly_is_believed_after_a_while():
    steadiness = began()
    assert pass_by(steadiness, STEADY / 2) == []
    assert not steadiness.is_steady
    pass_by(steadiness, STEADY)
    assert steadiness.is_steady
    assert steadiness.settled() == steadiness.now


def test_a_jump_and_back_is_seen_twice_and_believed_never():
    steadiness = began()
    pass_by(steadiness, STEADY)
    days = timedelta(days=100)
    assert steadiness.look(steadiness.now + days + timedelta(seconds=2), steadiness.ran_s + 2) == days
    assert not steadiness.is_steady
    pass_by(steadiness, timedelta(seconds=8))
    assert steadiness.look(steadiness.now - days + timedelta(seconds=2), steadiness.ran_s + 2) == -days
    pass_by(steadiness, STEADY)
    assert steadiness.settled() == steadiness.now
    assert steadiness.now - T0 < timedelta(hours=1)


def test_a_clock_that_stays_ahead_is_believed_a_day_more_each_round():
    steadiness = began(behind=timedelta(days=100))
    told = []
    for _ in range(3):
        pass_by(steadiness, timedelta(hours=1))
        told.append(steadiness.settled())
    assert [later - earlier for earlier, later in pairwise(told)] == [STEP + timedelta(hours=1)] * 2
    assert told[-1] < T0 - timedelta(days=96)


def test_a_clock_that_was_set_back_is_believed_at_once():
    steadiness = began()
    steadiness.look(T0 - timedelta(days=3), steadiness.ran_s + LOOK_S)
    assert steadiness.settled() == T0 - timedelta(days=3)


@given(st.lists(st.tuples(st.floats(-1e7, 1e7), st.floats(0, 3600), st.booleans()), max_size=30))
def test_the_belief_is_never_further_than_what_ran_and_a_day_for_each_round(looks):
    steadiness, rounds = began(behind=timedelta(days=5)), 0
    start = steadiness.believed
    for jump_s, passed_s, asked in looks:
        now = steadiness.now + timedelta(seconds=jump_s + passed_s)
        steadiness.look(now, steadiness.ran_s + passed_s)
        if asked:
            rounds += 1
            assert steadiness.settled() <= now
        ran = timedelta(seconds=steadiness.ran_s - 100.0 + 1)
        assert steadiness.believed <= start + ran + rounds * STEP
