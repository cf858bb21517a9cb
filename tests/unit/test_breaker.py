"""When many different exports fail at once it is the platform."""

from datetime import timedelta

import pytest
from builders import CANCELLED, answer, at, facts, failed, job

from segwatch.jobs.breaker import BreakerCondition, Failing, failing, on_trial, turned
from segwatch.jobs.events import rfc3339
from segwatch.jobs.model import Status
from segwatch.jobs.resubmission import Step

SINCE = at(-15)


def fails(order, minute=0, **fields):
    return failed(job_id=f"{order}-{minute}", minute=minute, facts=facts(order), **fields)


def works(minute, **fields):
    return job(Status.SUCCEEDED, job_id="ok", ended_at=at(minute), facts=facts("ok"), **fields)


@pytest.mark.parametrize(
    ("jobs", "exports", "last_at"),
    [
        pytest.param([], 0, None, id="none"),
        pytest.param([fails("a", -9), fails("b", -2)], 2, at(-2), id="two-exports"),
        pytest.param([fails("a", -9), fails("a", -2)], 1, at(-2), id="one-export-twice"),
        pytest.param([fails("", -9), fails("", -2)], 2, at(-2), id="unknown-exports-are-all-different"),
        pytest.param([fails("a", -15), fails("b", -14)], 1, at(-14), id="before-the-window"),
        pytest.param([fails("a", -1, errors=(CANCELLED,))], 0, None, id="cancelled-is-no-failure"),
        pytest.param([job(Status.CANCELLED), job(Status.VANISHED), job()], 0, None, id="nor-is-anything-but-failed"),
        pytest.param([fails("a", -9), works(-5, attempt=2), fails("b", -2)], 1, at(-2), id="since-one-worked-again"),
        pytest.param([fails("a", -9), works(-5), fails("b", -2)], 2, at(-2), id="a-first-attempt-proves-nothing"),
        pytest.param([fails("a", -3, ended_at=None)], 1, at(-3), id="without-its-end-since-we-saw-it"),
    ],
)
def test_different_exports_that_failed_of_late_are_counted(jobs, exports, last_at):
    assert failing(jobs, SINCE) == Failing(exports=exports, last_at=last_at)


def test_holding_and_releasing_are_told_once_each_and_in_order():
    state, told = None, []
    for minute, held in enumerate([False, True, True, False, False, True]):
        if turn := turned(
            state,
            "prod",
            "export_job",
            held=held,
            failing=Failing(exports=5, last_at=None),
            window=timedelta(minutes=15),
            now=at(minute),
        ):
            state, event = turn
            told.append((event.type.value, event.sequence, event.stream, event.severity.value))
            assert event.details["since"] == rfc3339(at(5 if minute == 5 else 1))
            assert (state.condition, state.since) == (
                BreakerCondition.HELD if held else BreakerCondition.FLOWING,
                at(minute),
            )
    assert told == [
        ("export.retries_held", 1, "retries/prod", "critical"),
        ("export.retries_released", 2, "retries/prod", "info"),
        ("export.retries_held", 3, "retries/prod", "critical"),
    ]


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        pytest.param(answer(job_id="1"), False, id="nothing-was-posted"),
        pytest.param(answer(Step.POSTING, job_id="1", posted_at=at(1)), True, id="a-post-without-a-reply"),
        pytest.param(answer(job_id="1", posted_at=at(1)), False, id="a-post-that-was-declined-and-waits-for-its-next"),
        pytest.param(answer(Step.SUBMITTED, job_id="1", new_id="7"), True, id="its-job-runs"),
        pytest.param(answer(Step.ADOPTED, job_id="1", new_id="8"), False, id="its-job-has-ended"),
        pytest.param(answer(Step.REFUSED, job_id="1", posted_at=at(1)), False, id="given-up"),
    ],
)
def test_one_answer_is_tried_until_its_end_is_known(other, waits):
    assert on_trial([other], {"7"}) is waits
