"""Every wait between attempts."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.backoff import Backoff, spread

firsts = st.timedeltas(timedelta(milliseconds=1), timedelta(days=1))
caps = st.timedeltas(timedelta(milliseconds=1), timedelta(days=30))
attempts = st.integers(1, 10_000)
backoffs = st.builds(lambda first, cap: Backoff(first=first, cap=cap), firsts, caps)


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [
        pytest.param(1, 2, id="first"),
        pytest.param(2, 4, id="doubled"),
        pytest.param(5, 32, id="doubled-four-times"),
        pytest.param(6, 60, id="capped"),
        pytest.param(10_000, 60, id="without-overflow"),
    ],
)
def test_the_ceiling_doubles_up_to_the_cap(attempt, seconds):
    backoff = Backoff(first=timedelta(seconds=2), cap=timedelta(seconds=60))
    assert backoff.ceiling(attempt) == timedelta(seconds=seconds)


@given(backoffs, attempts, st.floats(0, 1, exclude_max=True))
def test_a_wait_never_exceeds_its_cap_and_is_never_near_zero(backoff, attempt, u):
    wait, ceiling = backoff.delay(attempt, u), backoff.ceiling(attempt)
    assert ceiling / 2 <= wait <= ceiling <= backoff.cap


@given(backoffs, attempts)
def test_a_later_attempt_never_has_a_lower_ceiling(backoff, attempt):
    assert backoff.ceiling(attempt) <= backoff.ceiling(attempt + 1)


@given(st.text(st.characters(codec="utf-8")))
def test_a_spread_is_a_fixed_number_from_zero_to_below_one(text):
    assert 0 <= spread(text) < 1
    assert spread(text) == spread(text)


def test_similar_names_are_spread_evenly():
    tenths = Counter(int(spread(f"prod/export_job/{number}") * 10) for number in range(24_000, 25_000))
    assert len(tenths) == 10
    assert all(50 <= names <= 150 for names in tenths.values())
