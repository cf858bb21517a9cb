"""The simulation of `make bench-detectors`, in small: its promises hold for the first of its histories."""

import importlib.util
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).parents[2] / "benchmarks/detectors.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_detectors", PLACE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("seed", range(1, 9))
def test_every_planted_fault_is_found_with_two_false_alarms_at_most(bench, seed: int):
    outcome = bench.Night(seed).run()
    assert len(outcome.faults) == 20
    assert outcome.missed == []
    assert len(outcome.false) <= 2, bench.table([outcome])


def test_the_table_tells_what_was_found_and_what_was_told_for_nothing(bench):
    outcome = bench.Night(3).run()
    lines = bench.table([outcome]).splitlines()
    assert lines[0].split() == ["fault", "planted", "found"]
    assert any(line.split() == ["audience", "is", "empty", "2", "2"] for line in lines)
    assert sum("false:" in line for line in lines) == len(outcome.false)


def test_nothing_counts_as_found_that_is_told_of_another_thing_or_on_another_day(bench):
    fault = bench.Fault(name="f", thing="a", day=3, told="audience.anomaly")
    near = [bench.Alarm(day=4, told=fault.told, thing="a"), bench.Alarm(day=3, told=fault.told, thing="b")]
    outcome = bench.Outcome(1, [fault], near)
    assert (outcome.missed, outcome.false) == ([fault], near)
