"""Which failures were ended on purpose, and why: as told by the platform, as asked for, and as a rule sees it."""

import time
from dataclasses import replace

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
QUOTA = "Storage quota of dataset exceeded"


def errors(*texts):
    return tuple(JobError(code="unknown", text=text) for text in texts)


def types(events):
    return [event.type.value for event in events]


BY_PERSONS = [
    "Job cancelled by user request.",
    "Job was Cancelled by user",
    "Export job 24115 was canceled by an administrator",
    "Cancelled by sam@example.org",
    "Cancelled (user request)",
    "The user cancelled the job",
    "Cancellation requested",
    "Export job has been marked for cancelling",
    "cancelled",
    "Job cancelled.",
    "This export job has been canceled!",
    "Aborted by user",
    "Terminated by administrator jdoe@example.com",
    "Killed by user request",
    "Canceling job per user request",
    "Job aborted by the user at 2026-01-05T02:20:00Z",
    "Cancelled by user via UI",
    "Cancelled by user 'jdoe'",
    "Cancelled by user j.doe",
    "org.apache.spark.SparkException: Job 12 cancelled by user",
    "java.util.concurrent.CancellationException: Job was cancelled by user",
    "Job cancelled by user. Job aborted.",
    "Query interrupted by user",
    "Export manually cancelled",
    "Run stopped manually via the UI",
    "Cancellation of export 24115 was requested by jane.roe@example.com",
    "Termination requested by an admin",
    "Stopped at the user's request",
    "Execution ended by another user on 2026-01-05 at 10:42 UTC",
    "Administrator jdoe@example.com terminated the job",
    "Somebody requested the cancellation of this job",
    "Error: job cancelled by user",
    "Killing task 7 as requested by user",
    "Batch deleted by user through the console",
    "Somebody has cancelled export 24115",
    "Cancelled by the system administrator",
]
BY_MACHINES = [
    "Stage cancelled by the sort operator: out of memory",
    "Export pod cancelled by Kubernetes operator (node drained)",
    "Query cancelled by user-defined timeout of 3600 s",
    "Task cancelled by spark@ip-10-0-3-17:7077 (executor lost)",
    "Task cancelled by spark@ip-10-0-3-17.ec2.internal",
    "Task killed by jdoe@worker-3.compute.amazonaws.com",
    "Task killed by jdoe@worker.example.com:7077",
    "Call cancelled at request deadline",
    "Job cancelled by user session expiry",
    "Cancellation was requested by YARN resource manager (preemption)",
    "Write request cancelled by admin server shutdown",
    "Container marked for cancellation by scheduler: node lost",
    "Job marked for cancellation by scheduler",
    "Aborted by YARN",
    "Killed by the OOM killer",
    "terminated by signal 9",
    "Killed by user quota",
    "Aborted by user code",
    "Aborted by user-defined function",
    "Terminated by admin policy",
    "Cancelled by user: out of memory",
    "Cancelled by user (storage quota exceeded)",
    "Cancelled by user because the disk is full",
    "Cancelled by user due to a timeout",
    "Cancelled by user. Executor 7 ran out of memory.",
    "Out of memory; job cancelled by user",
    "Cannot read the output of job 12 cancelled by user",
    "Job aborted due to stage failure: Task 3 in stage 1.0 failed 4 times",
    "Job stopped by user inactivity",
    "Job stopped by user inactivity at 10:42",
    "Killed by user yarn",
    "Killed by user spark at 10.0.0.5",
    "Cancelled by user idle.timeout",
    "Cancelled By User Session Timeout",
    "Cancelled By User Preference",
    "Cancelled by administrator Maintenance Window",
    "Cancelled by noreply@example.com",
    "Cancelled by airflow-scheduler@example.com",
    "Cancelled by x@project.iam.gserviceaccount.com",
    "Cancelled by request",
    "Cancelled by request timeout",
    "Canceled at the request of the operator",
    "Cancelled by support",
    "Killed by team Blue",
    "It was not cancelled by a user",
    "Job was not cancelled by user",
    "Killed by system process",
    "Interrupted by user interrupt handler",
    "Cancelling job because the user quota was exceeded",
    "User quota cancelled the job",
    "User session ended",
    "Error in user function: aborted by user code",
    "Terminated",
    "Job group was cancelled by the user's spending limit",
    "The administrator server has stopped",
    "No user cancelled the job",
    "Job aborted by user at 3600 s of inactivity",
    "Aborted by user at stage 7",
    "Job stopped by user at 3600 s",
    "Stage cancelled",
    "Task 3 was cancelled.",
    "Cancelled by the system user",
    "Container killed on request. Exit code is 137",
    "Killed by user jdoe at 10.0.0.5",
    "Cancelled by user Quota Guard",
    "cancelled " * 100 + "by user",
    "job " * 57 + "cancelled by user, out of memory",
]


@pytest.mark.parametrize("text", BY_PERSONS)
def test_an_error_that_names_a_person_or_says_nothing_else_says_that_it_was_cancelled(text):
    assert cancellation.said_by(errors(text))


@pytest.mark.parametrize("text", BY_MACHINES)
def test_what_a_machine_ended_or_may_have_ended_has_failed(text):
    assert cancellation.said_by(errors(text)) is None


@pytest.mark.parametrize(
    ("texts", "is_said"),
    [
        (["Storage quota of dataset exceeded", "The export was cancelled by the user"], True),
        (["Export 24115 was cancelled", "Job aborted."], True),
        (["Storage quota of dataset exceeded", "Job cancelled."], False),
        (["Job cancelled.", "Task 3 failed"], False),
        ([SPARK], False),
        (["Job aborted."], False),
        ([], False),
    ],
)
def test_what_says_no_more_than_that_is_believed_where_no_other_entry_names_a_cause(texts, is_said):
    assert bool(cancellation.said_by(errors(*texts))) is is_said


@pytest.mark.parametrize(
    "text",
    ["1" * 2000, "job " * 500, "a1" * 1000, "cancelled by user " + "a." * 990, "a@" * 1000, "x.spark" * 280,
     "cancelled by " + "a.b" * 600 + "@" + "a." * 100, "cancelled by user at " + "1" * 1900, "job cancelled " * 140],
    ids=lambda text: text[:14],
)  # fmt: skip
def test_no_text_takes_long_to_judge(text):
    began = time.process_time()
    cancellation.said_by(errors(text))
    assert time.process_time() - began < 0.2, "a millisecond or two, unless it backtracks"


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
    made = decide(state, seen(Status.FAILED, minute=1, errors=errors(QUOTA)), at(1), policy())
    assert types(made.events) == ["job.failed", "export.retry_refused"]
    refused = made.events[1]
    assert (refused.reason, refused.severity) == ("undecided", Severity.CRITICAL)
    assert refused.details["why"].startswith("segwatch asked to cancel it at ")


def test_one_whose_error_says_so_is_no_doubt():
    made = decide(job(cancel_asked_at=at(0)), seen(Status.FAILED, minute=1, errors=(CANCELLED,)), at(1), policy())
    assert types(made.events) == ["job.cancelled", "export.retry_refused"]
    assert made.answer.reason == Refusal.CANCELLED


@pytest.mark.parametrize(
    ("before", "text", "only_said"),
    [
        (job(), CANCELLED, True),
        (job(cancel_asked_at=at(0)), CANCELLED, False),
        (job(cancel_at=at(0)), CANCELLED, False),
        (job(Status.CANCELLING, cancelling_at=at(0)), ABORTED, False),
    ],
)
def test_what_is_known_by_the_words_of_an_error_alone_says_so(before, text, only_said):
    _, events = observe(before, seen(Status.FAILED, minute=1, errors=(text,)), at(1), watch())
    assert types(events) == ["job.cancelled"]
    assert events[0].details.get("only_said", False) is only_said


@pytest.mark.parametrize("texts", [["Storage quota of dataset exceeded"], ["Job aborted."], [SPARK], []])
def test_one_that_was_being_cancelled_was_cancelled_whatever_its_error_says(texts):
    being, _ = observe(job(), seen(Status.CANCELLING, minute=1), at(1), watch())
    state, (event,) = observe(being, seen(Status.FAILED, minute=2, errors=errors(*texts)), at(2), watch())
    assert (event.type.value, state.was_cancelled) == ("job.cancelled", True)
    assert event.details["why"].startswith("it was being cancelled since ")


AGREED = {"cancel_asked_at": at(0), "cancel_at": at(0.1)}


@pytest.mark.parametrize("texts", [["Job aborted."], ["Cancelled by user"], ["Job failed.", "Job cancelled."], []])
def test_one_to_whose_cancellation_the_platform_agreed_was_cancelled_unless_its_error_tells_something_else(texts):
    state, events = observe(job(**AGREED), seen(Status.FAILED, minute=1, errors=errors(*texts)), at(1), watch())
    assert types(events) == ["job.cancelled"]
    assert state.was_cancelled
    assert events[0].details["why"].startswith("segwatch asked to cancel it, and the platform agreed at ")


@pytest.mark.parametrize("asked", [AGREED, {"cancel_at": at(0.1)}])
@pytest.mark.parametrize("texts", [[QUOTA], [SPARK], [QUOTA, "Job cancelled."]])
def test_one_of_another_cause_after_the_platform_agreed_and_did_nothing_is_a_failure_and_left_to_a_person(asked, texts):
    """A 2xx proves nothing: it is also the answer about a job that has ended. And machines cancel, too."""
    made = decide(job(**asked), seen(Status.FAILED, minute=1, errors=errors(*texts)), at(1), policy())
    assert types(made.events) == ["job.failed", "export.retry_refused"]
    refused = made.events[1]
    assert (refused.reason, refused.severity) == ("undecided", Severity.CRITICAL)
    assert refused.details["why"].endswith("its error names another cause")


@pytest.mark.parametrize("said", [[], ["Job aborted."], ["Export failed"], [QUOTA], [SPARK], ["Cancelled by user"]])
@pytest.mark.parametrize("reply", [AGREED, {"cancel_asked_at": at(0)}], ids=["agreed", "lost"])
@pytest.mark.parametrize("skew", [None, -30, 0, 30], ids=["no-date", "behind", "right", "ahead"])
@pytest.mark.parametrize("end", [None, -600, -1, 3])
@pytest.mark.parametrize("end_is_told", [True, False], ids=["end", "last-change"])
@pytest.mark.parametrize("was_active", [True, False], ids=["seen-active", "noted-by-the-command"])
def test_what_failed_after_we_asked_for_its_end_is_never_answered_by_itself(
    was_active, end_is_told, end, skew, reply, said
):
    """Whatever the platform's clocks tell: its replicas may show two times, and a last change is no end."""
    before = job(**reply) if was_active else job(Status.NEW, looks=0, unlisted=True, sequence=0, **reply)
    before = replace(before, cancel_there=None if skew is None else at(skew / 60))
    ended_at = None if end is None else at(end / 60)
    failure = seen(Status.FAILED, minute=1, errors=errors(*said), ended_at=ended_at, end_is_told=end_is_told)
    made = decide(before, failure, at(1), policy())
    assert made.answer.step is Step.REFUSED
    assert made.answer.reason in (Refusal.CANCELLED, Refusal.UNDECIDED)
    assert ("job.failed" in types(made.events)) == (made.answer.reason == Refusal.UNDECIDED)


@pytest.mark.parametrize(
    ("there", "ended", "end_is_told", "told"),
    [
        pytest.param(at(20), at(19.9), True, "job.failed", id="ended-before"),
        pytest.param(at(20), at(19.9), False, "job.cancelled", id="its-last-change-is-no-end"),
        pytest.param(at(20), at(19.99), True, "job.cancelled", id="within-what-clocks-tell"),
        pytest.param(at(20), at(20.1), True, "job.cancelled", id="ended-after"),
        pytest.param(None, at(-1), True, "job.cancelled", id="the-platform-tells-no-dates"),
        pytest.param(at(20), None, False, "job.cancelled", id="it-tells-no-end"),
    ],
)
def test_an_end_before_anybody_asked_raises_a_doubt(there, ended, end_is_told, told):
    failure = seen(Status.FAILED, minute=1, ended_at=ended, end_is_told=end_is_told)
    made = decide(job(cancel_there=there, **AGREED), failure, at(1), policy())
    assert types(made.events) == [told, "export.retry_refused"]
    doubt = "; but by the platform's own times it had ended before, unless its clocks differ"
    assert made.events[1].details["why"].endswith(doubt) == (told == "job.failed")


@pytest.mark.parametrize(
    ("then", "texts", "told"),
    [
        ([Status.PROCESSING], [QUOTA], "undecided"),
        ([Status.UNKNOWN], [QUOTA], "undecided"),
        ([Status.PROCESSING], [SPARK], "undecided"),
        ([Status.PROCESSING], [], "cancelled"),
        ([Status.PROCESSING], ["Cancelled by user"], "cancelled"),
        ([Status.PROCESSING, Status.CANCELLING], [QUOTA], "cancelled"),
        ([], [QUOTA], "cancelled"),
    ],
)
@pytest.mark.parametrize("asked", [{}, AGREED], ids=["by-others", "by-us"])
def test_one_that_went_on_though_it_was_being_cancelled_and_failed_of_another_cause_is_in_doubt(
    then, texts, told, asked
):
    state, minute = job(**asked), 1
    for status in (Status.CANCELLING, *then):
        state, _ = observe(state, seen(status, minute=minute), at(minute), watch())
        minute += 1
    made = decide(state, seen(Status.FAILED, minute=minute, errors=errors(*texts)), at(minute), policy())
    assert types(made.events) == ["job.failed" if told == "undecided" else "job.cancelled", "export.retry_refused"]
    assert made.events[1].reason == told
    assert told == "cancelled" or "; but it went on at " in made.events[1].details["why"]


def test_one_that_somebody_else_had_cancelled_before_we_asked_was_cancelled():
    late = seen(Status.FAILED, minute=1, ended_at=at(-1), errors=(CANCELLED,))
    made = decide(job(cancel_there=at(0), **AGREED), late, at(1), policy())
    assert types(made.events) == ["job.cancelled", "export.retry_refused"]
