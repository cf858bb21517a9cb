"""What becomes of a delivery after an attempt."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from segwatch.backoff import Backoff
from segwatch.deliveries.model import Accepted, Delivery, Rejected, Retryable, Stage
from segwatch.deliveries.settle import DeliveryPolicy, reason_code, settle
from segwatch.jobs.events import Event, EventType, Severity

NOW = datetime(2026, 1, 5, 3, 12, tzinfo=UTC)
S = timedelta(seconds=1)
POLICY = DeliveryPolicy(backoff=Backoff(first=2 * S, cap=60 * S), max_age=600 * S)
EVENT = Event(type=EventType.JOB_FAILED, stream="prod/export_job/1", sequence=1, at=NOW, severity=Severity.CRITICAL)


def delivery(**fields):
    return Delivery(**({"event": EVENT, "channel": "ops", "promised_at": NOW, "due_at": NOW} | fields))


def settled(held, outcome, now, u, *, policy=POLICY, **known):
    return settle(held, outcome, now, policy, u, **({"age": now - held.promised_at} | known))


def test_accepted_is_delivered_and_forgets_why_earlier_attempts_failed():
    after = settled(delivery(attempts=2, reason="http_500"), Accepted(), NOW, 0.5)
    assert (after.stage, after.attempts, after.reason) == (Stage.DELIVERED, 3, "")


def test_rejected_is_dead_at_once():
    after = settled(delivery(), Rejected(reason="http_410"), NOW, 0.5)
    assert (after.stage, after.attempts, after.reason) == (Stage.DEAD, 1, "http_410")


def test_a_failure_waits_by_backoff():
    assert settled(delivery(), Retryable(reason="timeout"), NOW, 0.0).due_at == NOW + S
    assert settled(delivery(attempts=3), Retryable(reason="timeout"), NOW, 0.5).due_at == NOW + 12 * S


def test_the_receivers_wait_counts_when_it_is_the_longer_one():
    asked = Retryable(reason="http_429", retry_after=90 * S)
    assert settled(delivery(), asked, NOW, 0.9).due_at == NOW + 90 * S
    hasty = Retryable(reason="http_429", retry_after=timedelta(0))
    assert settled(delivery(), hasty, NOW, 0.0).due_at == NOW + S


def test_a_receiver_that_asks_for_a_year_gets_one_last_attempt_at_the_maximum_age():
    asked = Retryable(reason="http_503", retry_after=timedelta(days=365))
    last = settled(delivery(), asked, NOW + 10 * S, 0.5)
    assert (last.stage, last.due_at) == (Stage.PENDING, NOW + 600 * S)
    assert settled(last, asked, last.due_at, 0.5).stage is Stage.DEAD


def test_dead_by_age_keeps_the_reason():
    after = settled(delivery(), Retryable(reason="http_503: busy"), NOW + 600 * S, 0.5)
    assert (after.stage, after.reason) == (Stage.DEAD, "http_503: busy")


def test_an_age_that_the_clock_does_not_tell_counts():
    busy, leapt = Retryable(reason="http_503"), NOW + timedelta(hours=5)
    after = settled(delivery(), busy, leapt, 0.0, age=3 * S)
    assert (after.stage, after.due_at) == (Stage.PENDING, leapt + S)
    assert settled(delivery(), busy, NOW - timedelta(hours=5), 0.0, age=600 * S).stage is Stage.DEAD


def test_a_reason_has_a_part_for_labels():
    assert [reason_code(r) for r in ("http_404: no_service", "timeout", "")] == ["http_404", "timeout", ""]


spans = st.integers(0, 10**6).map(lambda s: timedelta(seconds=s))
outcomes = st.one_of(
    st.just(Accepted()),
    st.builds(Rejected, reason=st.text(max_size=5)),
    st.builds(Retryable, reason=st.text(max_size=5), retry_after=st.none() | spans),
)
unit = st.floats(0, 1, exclude_max=True)


@given(st.lists(st.tuples(outcomes, unit, st.integers(0, 30)), min_size=1, max_size=40), spans)
def test_whatever_happens_a_delivery_ends_in_time_and_stays_itself(history, age):
    policy = replace(POLICY, max_age=age)
    now, held = NOW, delivery()
    for attempts, (outcome, u, took_s) in enumerate(history, start=1):
        began, now = now, now + timedelta(seconds=took_s)
        after = settled(held, outcome, now, u, policy=policy)
        assert (after.id, after.event, after.promised_at) == (held.id, held.event, held.promised_at)
        assert after.attempts == attempts
        if after.stage is not Stage.PENDING:
            return
        assert began < NOW + age, "an attempt that begins past the maximum age is the last"
        asked = outcome.retry_after or timedelta(0)
        assert timedelta(0) < after.due_at - now <= max(policy.backoff.cap, asked)
        assert after.due_at <= NOW + age
        held, now = after, after.due_at
