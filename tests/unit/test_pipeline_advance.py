"""What one look makes of a run."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import types
from fakes import at
from pipeline_builders import DATASET, SEGMENT, evaluation, export, order, run, waiting

from segwatch.jobs.model import JobError, Status
from segwatch.jobs.order import OrderRefusal, OrderStep
from segwatch.pipelines import advance
from segwatch.pipelines.chain import Arrived, Goes, Led, Lost
from segwatch.pipelines.model import RunState, Step
from segwatch.pipelines.plausibility import BatchSeen, BatchState
from segwatch.pipelines.seen import (
    BatchesStand,
    CommandEnded,
    DatasetKnown,
    Downloaded,
    EvaluationStands,
    ExportFound,
    ExportStands,
    Impossible,
    OrderStands,
    Pending,
    Trouble,
)

READY = BatchSeen(id="b1", state=BatchState.READY, word="success", records_written=100)


def stands(step, **fields):
    return OrderStands(order=order(step, **fields))


def test_a_wish_begins_as_it_was_wished():
    turn = advance.begun(waiting(), at(1))
    assert (turn.run.state, turn.run.step) == (RunState.RUNNING, Step.EVALUATE)
    assert types(turn.events) == ["pipeline.started"]
    assert turn.events[0].stream == turn.run.stream
    assert turn.events[0].sequence == turn.run.sequence == 1


def test_a_job_begins_a_run_behind_its_evaluation():
    turn = advance.triggered("nightly", "prod", run().plan, evaluation(Status.PROCESSING), at(1))
    assert turn.run.step is Step.EVALUATION
    assert turn.run.segment_job == "seg-1"
    assert turn.run.adopted_evaluation
    assert turn.run.cause == "job/seg-1"
    assert types(turn.events) == ["pipeline.started", "pipeline.step_done"]
    assert [event.sequence for event in turn.events] == [1, 2]


@pytest.mark.parametrize(("step", "adopted"), [(OrderStep.PLACED, False), (OrderStep.ADOPTED, True)])
def test_an_order_that_led_to_a_job_ends_its_step(step, adopted):
    after = advance.advance(run(), stands(step, job_id="seg-7"), at(1)).run
    assert (after.step, after.segment_job, after.adopted_evaluation) == (Step.EVALUATION, "seg-7", adopted)
    after = advance.advance(run(Step.EXPORT), stands(step, job_id="42", kind="export_job"), at(1)).run
    assert (after.step, after.export_job, after.current_export) == (Step.EXPORTING, "42", "42")
    assert after.adopted_export is adopted


@pytest.mark.parametrize("step", [OrderStep.INTENDED, OrderStep.POSTING])
def test_an_open_order_is_asked_again_when_it_is_due(step):
    after = advance.advance(run(), stands(step, due_at=at(0, second=20), why="429"), at(0))
    assert after.run.due_at == at(0, second=20)
    assert after.run.why == "429"
    assert after.events == ()


@pytest.mark.parametrize(
    ("step", "refusal", "reason"),
    [
        (OrderStep.REFUSED, OrderRefusal.QUOTA, "quota"),
        (OrderStep.REFUSED, OrderRefusal.REJECTED, "rejected"),
        (OrderStep.REFUSED, OrderRefusal.UNCLEAR, "undecided"),
        (OrderStep.REFUSED, "a word of another version", "rejected"),
        (OrderStep.UNDECIDED, OrderRefusal.UNDECIDED, "undecided"),
    ],
)
def test_an_order_that_led_to_none_ends_the_run_with_the_reason(step, refusal, reason):
    turn = advance.advance(run(), stands(step, reason=str(refusal), why="so it is"), at(1))
    assert (turn.run.state, turn.run.reason, turn.run.why) == (RunState.FAILED, reason, "so it is")
    assert types(turn.events) == ["pipeline.failed"]
    assert turn.events[0].reason == reason
    assert turn.run.ended_at == at(1)


def test_an_evaluation_is_waited_for_and_its_counts_are_kept():
    before = run(Step.EVALUATION)
    after = advance.advance(before, EvaluationStands(job=evaluation(Status.PROCESSING)), at(1)).run
    assert after.step is Step.EVALUATION
    after = advance.advance(after, EvaluationStands(job=evaluation()), at(5)).run
    assert after.step is Step.DATASET
    assert after.members == {SEGMENT: 100}
    assert after.evaluated_at == at(5)
    assert advance.advance(run(Step.EVALUATION, dataset=""), EvaluationStands(job=evaluation()), at(5)).run.step is (
        Step.EXPORT
    )


def test_an_evaluation_that_did_not_succeed_ends_the_run_with_its_error():
    bad = evaluation(Status.FAILED, errors=(JobError(code="7", text="Out of memory."),))
    after = advance.advance(run(Step.EVALUATION), EvaluationStands(job=bad), at(5)).run
    assert (after.reason, after.why) == ("evaluation", "segment job seg-1 FAILED: Out of memory (7)")


def test_segments_that_the_plan_leaves_open_are_those_of_the_evaluation():
    after = advance.advance(run(Step.EVALUATION, segments=()), EvaluationStands(job=evaluation()), at(5)).run
    assert after.plan.segments == (SEGMENT,)
    every = evaluation(facts={"segments": ("*",), "profiles": {"b": 2, "a": 1}})
    after = advance.advance(run(Step.EVALUATION, segments=()), EvaluationStands(job=every), at(5)).run
    assert (after.plan.segments, after.members) == (("a", "b"), {"a": 1, "b": 2})
    every = evaluation(facts={"segments": ("*",), "profiles": {}})
    after = advance.advance(run(Step.EVALUATION, segments=()), EvaluationStands(job=every), at(5)).run
    assert after.reason == "settings"
    assert "segments = [...]" in after.why


def test_the_steps_of_a_plan_follow_each_other_to_the_end():
    at_end = run(Step.DATASET, download="/data/exports", command=("/bin/true",))
    seen = [
        DatasetKnown(id=DATASET),
        stands(OrderStep.PLACED, job_id="1", kind="export_job"),
        ExportStands(at=Arrived(job=export())),
        BatchesStand(batches=(READY,)),
        Downloaded(files=4, bytes=1000),
        CommandEnded(code=0),
    ]
    told = []
    for minute, one in enumerate(seen):
        turn = advance.advance(at_end, one, at(minute))
        at_end, told = turn.run, [*told, *turn.events]
    assert at_end.state is RunState.SUCCEEDED
    assert (at_end.dataset, at_end.exported, at_end.batches, at_end.files) == (DATASET, 100, ("b1",), 4)
    assert types(told) == ["pipeline.step_done"] * 6 + ["pipeline.succeeded"]
    assert [event.sequence for event in told] == list(range(2, 9))
    assert [one["step"] for one in told[-1].details["steps"]] == [
        "dataset", "export", "exporting", "check", "download", "command",
    ]  # fmt: skip


def test_an_export_is_followed_through_its_resubmissions():
    after = advance.advance(run(Step.EXPORTING), ExportStands(at=Led(job_id="2")), at(1)).run
    assert (after.step, after.export_job, after.current_export, after.due_at) == (Step.EXPORTING, "1", "2", at(1))
    after = advance.advance(after, ExportStands(at=Goes(why="export 2 is NEW")), at(2)).run
    assert after.why == "export 2 is NEW"
    after = advance.advance(after, ExportStands(at=Lost(why="used up")), at(3)).run
    assert (after.reason, after.why) == ("export", "used up")


def test_batches_that_are_told_late_are_waited_for_a_while():
    after, bare = run(Step.EXPORTING), ExportStands(at=Arrived(job=export(facts={"batches": ()})))
    for looks in range(4):
        after = advance.advance(after, bare, at(looks)).run
        assert after.state is RunState.RUNNING
        after = advance.advance(after, Trouble(why="503"), at(looks)).run
    after = advance.advance(after, bare, at(5)).run
    assert (after.reason, after.why) == ("check", "export 1 succeeded and names no batch")


def test_what_is_not_plausible_ends_the_run():
    pending = replace(READY, state=BatchState.PENDING, word="loading")
    after = advance.advance(run(Step.CHECK), BatchesStand(batches=(pending,)), at(1)).run
    assert (after.step, after.why) == (Step.CHECK, "batch b1 is loading")
    after = advance.advance(run(Step.CHECK, min_profiles=1000), BatchesStand(batches=(READY,)), at(1)).run
    assert (after.reason, after.state) == ("check", RunState.FAILED)


def test_an_export_of_the_platforms_own_can_be_the_one():
    after = advance.advance(run(Step.EXPORT, dataset=""), ExportFound(job_id="9"), at(1)).run
    assert (after.step, after.current_export, after.adopted_export) == (Step.EXPORTING, "9", True)


@pytest.mark.parametrize(("step", "most"), [(Step.DOWNLOAD, 5), (Step.COMMAND, 3)])
def test_some_steps_are_tried_a_few_times(step, most):
    after = run(step, download="/data", command=("/bin/true",))
    for tries in range(1, most):
        turn = advance.advance(after, Trouble(why="no space"), at(tries))
        after = turn.run
        assert (after.tries, after.state, turn.events) == (tries, RunState.RUNNING, ())
        assert at(tries) < after.due_at <= at(tries + 1)
    after = advance.advance(after, Trouble(why="no space"), at(most)).run
    assert (after.reason, after.why) == (step.value, f"no space ({most} tries)")


def test_a_command_that_fails_tells_its_last_words():
    after = advance.advance(run(Step.COMMAND), CommandEnded(code=3, tail="no such table"), at(1)).run
    assert after.why == "the command ended with 3: no such table"


def test_calls_that_fail_are_repeated_until_the_deadline_only():
    before = run(step_deadline=timedelta(minutes=10))
    after = advance.advance(before, Trouble(why="503", retry_after=timedelta(minutes=2)), at(1)).run
    assert after.due_at == at(3)
    after = advance.advance(after, Trouble(why="503"), at(11)).run
    assert (after.reason, after.why) == ("deadline", "evaluate took too long: 503")


def test_an_evaluation_that_is_declined_to_the_end_is_one_that_the_quota_does_not_allow():
    declined = stands(OrderStep.INTENDED, reason="http_429", why="429 Too Many Requests")
    after = advance.advance(run(step_deadline=timedelta(minutes=10)), declined, at(11)).run
    assert (after.reason, after.why) == ("quota", "evaluate took too long: 429 Too Many Requests")


def test_only_the_counts_of_its_own_segments_are_kept():
    many = evaluation(facts={"segments": ("*",), "profiles": {SEGMENT: 100, "another": 7}})
    assert advance.advance(run(Step.EVALUATION), EvaluationStands(job=many), at(5)).run.members == {SEGMENT: 100}


def test_what_has_happened_counts_before_the_deadline_does():
    late = advance.advance(run(Step.EVALUATION), EvaluationStands(job=evaluation()), at(60 * 24)).run
    assert late.step is Step.DATASET
    assert late.state is RunState.RUNNING
    late = advance.advance(run(Step.EVALUATION), Pending(why="it runs"), at(60 * 24)).run
    assert (late.reason, late.why) == ("deadline", "evaluation took too long: it runs")


def test_what_cannot_be_ends_the_run_at_once():
    after = advance.advance(run(Step.DATASET), Impossible(reason=advance.Reason.DATASET, why="no such"), at(1)).run
    assert (after.reason, after.why, after.state) == ("dataset", "no such", RunState.FAILED)


def test_a_run_that_a_wrong_clock_put_off_is_due():
    assert run().is_due(at(0))
    assert not replace(run(), due_at=at(30)).is_due(at(0))
    assert replace(run(), due_at=at(120)).is_due(at(0))
    assert not advance.failed(run(), advance.Reason.INTERNAL, "x", at(0)).run.is_due(at(5))


@pytest.mark.parametrize(("kind", "what"), [("segment_job", "evaluation"), ("export_job", "export")])
def test_of_an_order_whose_answer_is_still_out_a_run_says_so_at_its_deadline(kind, what):
    before = run(step_deadline=timedelta(minutes=10))
    out = order(OrderStep.POSTING, kind=kind, why="no answer")
    for turn in (advance.stopped(before, out, at(10)), advance.advance(before, OrderStands(order=out), at(11))):
        after = turn.run
        assert (after.state, after.reason) == (RunState.FAILED, "deadline")
        assert f"Whether the platform took the {what} is not known (order {out.id}): look for it there" in after.why
        assert "goes on without this run, and `segwatch run` watches it as any other" in after.why


@pytest.mark.parametrize("left", [None, OrderStep.INTENDED, OrderStep.REFUSED])
def test_nothing_is_open_where_nothing_was_sent_or_all_was_answered(left):
    stands = left and order(left)
    why = advance.stopped(run(step_deadline=timedelta(minutes=10)), stands, at(10)).run.why
    assert why == "evaluate took too long: it was stopped after 600 s"


def test_an_answer_that_came_while_the_order_was_stopped_counts():
    after = advance.stopped(run(), order(OrderStep.PLACED, job_id="seg-9"), at(10)).run
    assert (after.state, after.step, after.segment_job) == (RunState.RUNNING, Step.EVALUATION, "seg-9")
