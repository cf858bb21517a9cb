"""When a channel is said to fail, and to work again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from segwatch.deliveries.health import FAILURES_MAX, ChannelCondition, ChannelHealth, counted, judged
from segwatch.deliveries.model import Accepted, Rejected, Retryable
from segwatch.jobs.events import EventType
from segwatch.jobs.subject import SubjectState

NOW = datetime(2026, 1, 5, 3, 12, tzinfo=UTC)
TOOK = timedelta(seconds=30)
OK, BUSY, GONE = Accepted(), Retryable(reason="http_503"), Rejected(reason="http_410")


def replay(outcomes, health=None):
    health, told = health or ChannelHealth(channel="ops"), []
    for second, outcome in enumerate(outcomes):
        at = NOW + timedelta(seconds=second)
        health, events = judged(counted(health, outcome, at - TOOK), at)
        told.extend(events)
    return health, told


def test_a_channel_fails_at_the_fifth_failure_in_a_row_and_says_so_once():
    assert replay([BUSY] * (FAILURES_MAX - 1))[1] == []
    health, (event,) = replay([BUSY] * 20)
    assert (event.type, event.stream, event.sequence) == (EventType.CHANNEL_FAILING, "channel/ops", 1)
    began = "2026-01-05T03:11:30.000Z"
    assert event.details == {"channel": "ops", "why": "http_503", "failures": FAILURES_MAX, "since": began}
    assert health.said == SubjectState(
        stream="channel/ops", condition=ChannelCondition.FAILING, since=NOW - TOOK, sequence=1
    )


def test_one_rejection_is_enough():
    assert [event.type for event in replay([GONE, GONE])[1]] == [EventType.CHANNEL_FAILING]


def test_an_acceptance_between_starts_the_count_anew():
    assert replay(([BUSY] * 4 + [OK]) * 3)[1] == []


def test_the_trouble_that_is_told_lasts_since_its_own_first_failed_attempt():
    _, told = replay([BUSY, OK, *[BUSY] * 5, GONE, OK, OK, GONE])
    seconds = [(event.at - TOOK - datetime.fromisoformat(event.details["since"])).total_seconds() for event in told]
    assert seconds == [4, 6, 0]


def test_recovery_is_told_once_with_the_next_sequence():
    _, told = replay([GONE, OK, OK, OK])
    assert [(e.type, e.sequence, e.previous) for e in told] == [
        (EventType.CHANNEL_FAILING, 1, ""),
        (EventType.CHANNEL_RECOVERED, 2, "failing"),
    ]


def test_after_a_restart_a_failing_channel_is_not_told_again_and_recovers_only_by_accepting():
    said = SubjectState(stream="channel/ops", condition="failing", since=NOW, sequence=7)
    fresh = ChannelHealth(channel="ops", said=said)
    assert judged(fresh, NOW)[1] == ()
    assert replay([BUSY] * 9, fresh)[1] == []
    assert [(e.type, e.sequence) for e in replay([OK], fresh)[1]] == [(EventType.CHANNEL_RECOVERED, 8)]


def test_what_could_not_be_recorded_is_said_again_until_it_is():
    unrecorded = counted(counted(ChannelHealth(channel="ops"), GONE, NOW), BUSY, NOW)
    assert judged(unrecorded, NOW) == judged(unrecorded, NOW)
    assert judged(unrecorded, NOW)[1] != ()


@given(st.lists(st.sampled_from([OK, BUSY, GONE])))
def test_failing_and_recovered_take_turns(history):
    _, told = replay(history)
    assert [e.sequence for e in told] == list(range(1, len(told) + 1))
    for place, event in enumerate(told):
        assert event.type is (EventType.CHANNEL_RECOVERED if place % 2 else EventType.CHANNEL_FAILING)
