"""How many evaluations are left, and who may use them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.quota import Admitted, Allowance, LastOne, NoneLeft, Spend, Used, admit, left, said

TWO = Allowance(per_day=2, per_year=50)


@pytest.mark.parametrize(
    ("used", "admitted"),
    [
        (Used(today=0, this_year=0), Admitted(left=1)),
        (Used(today=1, this_year=1), LastOne()),
        (Used(today=2, this_year=2), NoneLeft()),
        (Used(today=3, this_year=3), NoneLeft()),
        (Used(today=0, this_year=49), LastOne()),
        (Used(today=0, this_year=50), NoneLeft()),
    ],
)
def test_the_last_one_is_kept_for_whoever_insists(used, admitted):
    assert admit(used, TWO) == admitted
    assert admit(used, TWO, force=True) == Admitted(left=max(0, left(used, TWO) - 1))


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (Used(today=0, this_year=0), "2 of 2 evaluations are left today (resets at 00:00 UTC)"),
        (Used(today=1, this_year=9), "1 of 2 evaluations is left today (resets at 00:00 UTC)"),
        (Used(today=2, this_year=9), "none of 2 evaluations is left today (resets at 00:00 UTC)"),
        (Used(today=0, this_year=49), "1 of 50 evaluations is left this year (resets on January 1st, 00:00 UTC)"),
        (Used(today=9, this_year=90), "none of 50 evaluations is left this year (resets on January 1st, 00:00 UTC)"),
    ],
)
def test_what_is_left_is_said_of_the_bound_that_comes_first(used, words):
    assert said(used, TWO) == words


counts = st.integers(0, 60)


@given(today=counts, this_year=counts, per_day=counts, per_year=counts)
def test_nobody_who_does_not_insist_uses_more_than_all_but_one(today, this_year, per_day, per_year):
    used, allowance = Used(today=today, this_year=this_year), Allowance(per_day=per_day, per_year=per_year)
    admitted = isinstance(admit(used, allowance), Admitted)
    assert admitted == (per_day - today >= 2 and per_year - this_year >= 2)
    assert 0 <= left(used, allowance) <= min(per_day, per_year)


def test_day_and_year_are_those_of_utc():
    late = datetime(2025, 12, 31, 20, 0, tzinfo=timezone(timedelta(hours=-5)))
    spend = Spend.at(late, TWO)
    assert (spend.day, spend.year) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
