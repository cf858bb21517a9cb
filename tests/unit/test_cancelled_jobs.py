"""Which failures were ended on purpose, and why: as told by the platform, as asked for, and as a rule sees it."""

import pytest
from builders import ABORTED, CANCELLED, at, failed, job, policy, retry_policy, seen, watch

from segwatch.decision import decide
from segwatch.jobs import cancellation, retry
from segwatch.jobs.events import Severity
from segwatch.jobs.model import JobError, Status
from segwatch.jobs.resubmission import Refusal, Step
from segwatch.jobs.retry import Action, Rule
from segwatch.jobs.tracker import observe

SPARK = "Job 12 cancelled because SparkContext was shut down"


def errors(*texts):
    return tuple(JobError(code="unknown", text=text) for text in texts)


def types(events):
    return [event.type.value for event in events]


@pytest.mark.parametrize(
    "texts",
    [
        ["Job cancelled by user request."],
        ["Job was Cancelled by user"],
        ["Export job 24115 was canceled by an administrator"],
        ["Canceled at the request of the operator"],
        ["Cancelled by sam@example.org"],
        ["Cancelled (user request)"],
        ["The user cancelled the job"],
        ["Cancellation requested"],
        ["Export job has been marked for cancelling"],
        ["Storage quota of dataset exceeded", "The export was cancelled by the user"],
        ["cancelled"],
        ["Job cancelled."],
        ["This export job has been canceled!"],
        ["Export 24115 was cancelled", "Job aborted."],
    ],
)
def test_an_error_that_names_somebody_or_says_nothing_else_says_that_it_was_cancelled(texts):
    assert cancellation.said_by(errors(*texts))


@pytest.mark.parametrize(
    "texts",
    [
        [SPARK],
        ["Job 12 cancelled part of cancelled job group 7"],
        ["Job aborted due to stage cancellation"],
        ["Job cancelled due to a timeout"],
        ["Task cancelled by the scheduler: preempted"],
        ["Job cancelled: cluster is shutting down"],
        ["Cancelled by request timeout"],
        ["Export cancelled by user quota"],
        ["It was not cancelled by a user"],
        ["could not cancel the upload"],
        ["Storage quota of dataset exceeded", "Job cancelled."],
        ["Job aborted."],
        [],
    ],
)
def test_what_was_cancelled_because_of_something_else_has_failed(texts):
    assert cancellation.said_by(errors(*texts)) is None


def test_a_failure_with_the_word_in_its_text_is_told_as_a_failure_and_submitted_again():
    made = decide(job(), seen(Status.FAILED, minute=1, errors=errors(SPARK)), at(1), policy())
    assert types(made.events) == ["job.failed", "export.retry_scheduled"]


def test_one_that_counts_as_cancelled_says_why_in_all_that_is_told():
    made = decide(job(), seen(Status.FAILED, minute=1, errors=(ABORTED, CANCELLED)), at(1), policy())
    assert types(made.events) == ["job.cancelled", "export.retry_refused"]
    assert {event.details["why"] for event in made.events} == {
        'its error says that somebody cancelled it: "Job was Cancelled by user"'
    }


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        pytest.param(Rule(text="cancelled by user", action=Action.RETRY), "job.failed", id="its-text-is-a-failure"),
        pytest.param(Rule(code=CANCELLED.code, action=Action.RETRY), "job.cancelled", id="a-code-says-nothing"),
        pytest.param(Rule(text="cancelled", action=Action.NEVER), "job.cancelled", id="never"),
        pytest.param(Rule(text="aborted", action=Action.RETRY), "job.cancelled", id="another-entry"),
    ],
)
def test_a_rule_for_its_text_makes_such_an_error_a_failure(rule, told):
    rules = policy(rules=(rule,))
    made = decide(job(), seen(Status.FAILED, minute=1, errors=(ABORTED, CANCELLED)), at(1), rules)
    assert types(made.events)[0] == told
    assert made.answer.step is (Step.SCHEDULED if told == "job.failed" else Step.REFUSED)


def test_no_rule_undoes_what_somebody_asked_for():
    rules = (Rule(text="aborted", action=Action.RETRY), Rule(text="cancelled", action=Action.RETRY))
    state = failed(**AGREED, errors=(ABORTED, CANCELLED))
    assert retry.judge(state, retry_policy(rules=rules), at(1)).reason == Refusal.CANCELLED


def test_a_failure_after_a_cancellation_of_which_nobody_heard_is_a_failure_and_left_to_a_person():
    """The command was killed, or its call was answered with an error: it may have had an effect, or none."""
    state = job(cancel_asked_at=at(0))
    quota = errors("Storage quota of dataset exceeded")
    made = decide(state, seen(Status.FAILED, minute=1, errors=quota), at(1), policy())
    assert types(made.events) == ["job.failed", "export.retry_refused"]
    refused = made.events[1]
    assert (refused.reason, refused.severity) == ("undecided", Severity.CRITICAL)
    assert refused.details["why"].startswith("segwatch asked to cancel it at ")


def test_one_whose_error_says_so_is_no_doubt():
    made = decide(job(cancel_asked_at=at(0)), seen(Status.FAILED, minute=1, errors=(CANCELLED,)), at(1), policy())
    assert types(made.events) == ["job.cancelled", "export.retry_refused"]
    assert made.answer.reason == Refusal.CANCELLED


@pytest.mark.parametrize("texts", [["Storage quota of dataset exceeded"], ["Job aborted."], [SPARK], []])
def test_one_that_was_being_cancelled_was_cancelled_whatever_its_error_says(texts):
    being, _ = observe(job(), seen(Status.CANCELLING, minute=1), at(1), watch())
    state, (event,) = observe(being, seen(Status.FAILED, minute=2, errors=errors(*texts)), at(2), watch())
    assert (event.type.value, state.was_cancelled) == ("job.cancelled", True)
    assert event.details["why"].startswith("it was being cancelled since ")


AGREED = {"cancel_asked_at": at(0), "cancel_at": at(0.1)}


@pytest.mark.parametrize("texts", [["Job aborted."], [SPARK], ["Storage quota exceeded", "Job cancelled."], []])
def test_one_to_whose_cancellation_the_platform_agreed_was_cancelled_unless_its_error_tells_something_else(texts):
    state, events = observe(job(**AGREED), seen(Status.FAILED, minute=1, errors=errors(*texts)), at(1), watch())
    assert types(events) == ["job.cancelled"]
    assert state.was_cancelled
    assert events[0].details["why"].startswith("segwatch asked to cancel it, and the platform agreed at ")


@pytest.mark.parametrize("asked", [AGREED, {"cancel_at": at(0.1)}])
def test_one_of_another_cause_after_the_platform_agreed_and_did_nothing_is_a_failure_and_left_to_a_person(asked):
    """A 2xx proves nothing: it is also the answer about a job that has ended."""
    quota = errors("Storage quota of dataset exceeded")
    made = decide(job(**asked), seen(Status.FAILED, minute=1, errors=quota), at(1), policy())
    assert types(made.events) == ["job.failed", "export.retry_refused"]
    refused = made.events[1]
    assert (refused.reason, refused.severity) == ("undecided", Severity.CRITICAL)
    assert refused.details["why"].endswith("its error names another cause")


@pytest.mark.parametrize("asked", [AGREED, {"cancel_asked_at": at(0)}], ids=["agreed", "never-heard"])
@pytest.mark.parametrize(
    ("there", "ended", "told"),
    [
        pytest.param(at(20), at(19.9), "export.retry_scheduled", id="ended-before"),
        pytest.param(at(20), at(19.99), "export.retry_refused", id="within-what-clocks-tell"),
        pytest.param(at(20), at(20.1), "export.retry_refused", id="ended-after"),
        pytest.param(None, at(-1), "export.retry_refused", id="the-platform-tells-no-dates"),
        pytest.param(at(20), None, "export.retry_refused", id="it-tells-no-end"),
    ],
)
def test_one_that_had_ended_before_anybody_asked_has_failed_by_the_platforms_clock(asked, there, ended, told):
    failure = seen(Status.FAILED, minute=1, ended_at=ended, errors=errors("Storage quota of dataset exceeded"))
    made = decide(job(cancel_there=there, **asked), failure, at(1), policy())
    assert types(made.events) == ["job.failed", told]


def test_one_that_somebody_else_had_cancelled_before_we_asked_was_cancelled():
    late = seen(Status.FAILED, minute=1, ended_at=at(-1), errors=(CANCELLED,))
    made = decide(job(cancel_there=at(0), **AGREED), late, at(1), policy())
    assert types(made.events) == ["job.cancelled", "export.retry_refused"]
