"""Whether a sandbox answers us is told when it changes."""

from itertools import groupby

import pytest
from builders import at
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.reachability import SandboxCondition, turned

TOLD_AS = {
    SandboxCondition.OK: "sandbox.recovered",
    SandboxCondition.UNREACHABLE: "sandbox.unreachable",
    SandboxCondition.UNAUTHORIZED: "sandbox.unauthorized",
}


def replay(conditions):
    state, told = None, []
    for minute, condition in enumerate(conditions):
        if turn := turned(state, "prod", condition, why="http_503", failing_since=at(minute - 2), now=at(minute)):
            state, event = turn
            assert state.sequence == event.sequence
            assert state.condition == condition
            assert state.since <= at(minute)
            told.append(event)
    return told


def test_a_sandbox_that_answers_from_the_start_is_not_told():
    assert turned(None, "prod", SandboxCondition.OK, why="", failing_since=None, now=at(0)) is None


def test_a_recovery_says_since_when_the_sandbox_had_failed():
    down, up = replay([SandboxCondition.UNREACHABLE, SandboxCondition.UNREACHABLE, SandboxCondition.OK])
    began = "2026-01-05T02:58:00.000Z"  # its first failed call, two minutes before we believed it
    assert (down.details, down.severity.value) == ({"why": "http_503", "since": began}, "critical")
    assert (up.details["since"], up.severity.value) == (began, "info")


@pytest.mark.parametrize("trouble", [SandboxCondition.UNREACHABLE, SandboxCondition.UNAUTHORIZED])
def test_a_second_outage_says_since_when_it_lasts_itself(trouble):
    told = replay([SandboxCondition.UNREACHABLE, *[SandboxCondition.OK] * 60, trouble, SandboxCondition.OK])
    assert [event.details["since"] for event in told[2:]] == ["2026-01-05T03:59:00.000Z"] * 2


def test_a_recovery_says_since_when_the_whole_outage_lasted():
    told = replay(
        [SandboxCondition.UNREACHABLE, SandboxCondition.UNAUTHORIZED, SandboxCondition.UNREACHABLE, SandboxCondition.OK]
    )
    assert {event.details["since"] for event in told} == {"2026-01-05T02:58:00.000Z"}


@given(st.lists(st.sampled_from(SandboxCondition), max_size=12))
def test_each_change_is_told_once_and_in_order(conditions):
    told = replay(conditions)
    changes = [condition for condition, _ in groupby([SandboxCondition.OK, *conditions])][1:]
    assert [event.type.value for event in told] == [TOLD_AS[condition] for condition in changes]
    assert [event.sequence for event in told] == list(range(1, len(told) + 1))
    assert {event.stream for event in told} <= {"sandbox/prod"}
