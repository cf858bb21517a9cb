"""Several streams on one call budget."""

from datetime import timedelta

import pytest

from segwatch.daemon.demand import Demand

FIVE_S = timedelta(seconds=5)


def test_a_budget_that_suffices_stretches_nothing():
    demand = Demand()
    demand.note("segments", 4, FIVE_S)
    demand.note("exports", 4, FIVE_S)
    assert demand.stretch(2.0) == 1.0


def test_streams_that_fit_one_by_one_but_not_together_are_stretched_together():
    demand = Demand()
    demand.note("segments", 9, FIVE_S)
    assert demand.stretch(2.0) == 1.0
    demand.note("exports", 9, FIVE_S)
    assert demand.stretch(2.0) == pytest.approx(2.0)


def test_a_stream_at_rest_hardly_counts():
    demand = Demand()
    demand.note("segments", 9, FIVE_S)
    demand.note("exports", 9, timedelta(hours=1))
    assert demand.stretch(2.0) == pytest.approx(1.0, abs=0.01)


def test_what_was_noted_last_counts():
    demand = Demand()
    demand.note("segments", 100, FIVE_S)
    demand.note("segments", 1, FIVE_S)
    assert demand.stretch(2.0) == 1.0
