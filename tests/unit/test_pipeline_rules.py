"""Which job begins a run, where an export is, what serves in its place, and whether its batches are plausible."""

import json
from dataclasses import replace

import pytest
from builders import answer
from fakes import at
from pipeline_builders import DATASET, SEGMENT, evaluation, export, plan

from segwatch.jobs.model import Facts, JobError, Status
from segwatch.jobs.resubmission import Step
from segwatch.pipelines.adoption import serves
from segwatch.pipelines.chain import Arrived, Goes, Led, Lost, where
from segwatch.pipelines.plausibility import BatchSeen, BatchState, fault, unfinished
from segwatch.pipelines.trigger import begins, covers

OTHER = "a1b2c3d4-0002-4000-8000-000000000002"

# which job begins a run


def scheduled(**fields):
    facts = {"source": "scheduler", "schedule_id": "s1"} | fields.pop("facts", {})
    return evaluation(facts=facts, **fields)


@pytest.mark.parametrize(
    ("after", "schedule", "job", "does"),
    [
        pytest.param("schedule", "", scheduled(), True, id="a-scheduled-one"),
        pytest.param("schedule", "", scheduled(status=Status.PROCESSING), True, id="while-it-runs"),
        pytest.param("schedule", "s1", scheduled(), True, id="of-this-schedule"),
        pytest.param("schedule", "s2", scheduled(), False, id="of-another-schedule"),
        pytest.param("schedule", "", evaluation(), False, id="on-demand"),
        pytest.param("segment_job", "", evaluation(), True, id="any"),
        pytest.param("manual", "", scheduled(), False, id="only-by-hand"),
        pytest.param("schedule", "", scheduled(status=Status.FAILED), False, id="failed"),
        pytest.param("schedule", "", scheduled(minute=-3), False, id="ended-before-it-was-followed"),
        pytest.param("schedule", "", scheduled(facts={"segments": (OTHER,)}), False, id="other-segments"),
        pytest.param("schedule", "", scheduled(facts={"segments": ("*",)}), True, id="all-segments"),
    ],
)
def test_a_segment_job_begins_a_run(after, schedule, job, does):
    assert (begins(plan(after=after, schedule=schedule), [job], set(), at(0)) is job) is does


def test_history_begins_no_run():
    assert begins(plan(after="schedule"), [scheduled()], set(), at(0)) is not None
    assert begins(plan(after="schedule"), [scheduled(sequence=0)], set(), at(0)) is None


def test_one_job_begins_one_run_and_the_oldest_comes_first():
    jobs = [scheduled(job_id="b", minute=9), scheduled(job_id="a", minute=5)]
    meant = plan(after="schedule")
    assert begins(meant, jobs, set(), at(0)).key.id == "a"
    assert begins(meant, jobs, {"a"}, at(0)).key.id == "b"
    assert begins(meant, jobs, {"a", "b"}, at(0)) is None


def test_an_evaluation_covers_what_it_holds():
    assert covers(("*",), (SEGMENT,))
    assert covers((SEGMENT, OTHER), (SEGMENT,))
    assert covers((OTHER,), ())
    assert not covers((), (SEGMENT,))


# where an export is


@pytest.mark.parametrize(
    ("step", "place"),
    [(Step.SUBMITTED, Led), (Step.ADOPTED, Led), (Step.SCHEDULED, Goes), (Step.POSTING, Goes), (Step.PROPOSED, Goes),
     (Step.REFUSED, Lost)],
)  # fmt: skip
def test_what_is_done_about_a_failed_export_decides_where_it_is(step, place):
    at_ = where(export(Status.FAILED), answer(step, new_id="2", reason="attempts" if step is Step.REFUSED else ""))
    assert isinstance(at_, place)
    if isinstance(at_, Led):
        assert at_.job_id == "2"


def test_an_export_arrives_by_itself_or_not_at_all():
    assert where(export(), None) == Arrived(job=export())
    assert isinstance(where(export(Status.PROCESSING), None), Goes)
    assert where(export(Status.VANISHED), None) == Lost(why="the platform does not know export 1 any more")
    failed = export(Status.FAILED, errors=(JobError(code="", text="No space."),))
    assert where(failed, None) == Lost(why="export 1 FAILED: No space; it is not submitted again")


# what serves in place of an export of ours


def an_order(**changes):
    segment = {"segmentId": SEGMENT, "segmentNs": "ups", "status": ["realized"]}
    usual = {"filter": {"segments": [segment]}, "schema": {"name": "_xdm.context.profile"}} | {
        "destination": {"datasetId": DATASET}
    }
    return json.dumps({name: value for name, value in (usual | changes).items() if value is not None})


def theirs(**changes):
    """The platform's own export: every status, and the default merge policy by its name."""
    usual = {"filter": {"segments": [{"segmentId": SEGMENT}]}, "mergePolicy": {"id": "m1", "version": 1}}
    return Facts(request=an_order(**(usual | changes)))


def test_an_export_that_the_platform_started_serves():
    assert serves(theirs(), an_order())
    assert serves(theirs(mergePolicy={"id": "m1", "version": 2}), an_order(mergePolicy={"id": "m1"}))


def test_those_who_left_are_taken_where_they_are_wanted():
    segment = {"segmentId": SEGMENT, "status": ["realized", "existing", "exited"]}
    wanted = {"filter": {"segments": [segment | {"status": ["realized", "exited"]}]}}
    assert serves(theirs(filter={"segments": [segment]}), an_order(**wanted))


@pytest.mark.parametrize(
    ("told", "ordered"),
    [
        pytest.param({"destination": {"datasetId": "other"}}, {}, id="another-dataset"),
        pytest.param({"filter": {"segments": [{"segmentId": OTHER}]}}, {}, id="another-segment"),
        pytest.param({"filter": {"segments": [{"segmentId": SEGMENT}, {"segmentId": OTHER}]}}, {}, id="more-segments"),
        pytest.param({"filter": {"segments": [{"segmentId": SEGMENT, "status": ["exited"]}]}}, {}, id="other-statuses"),
        pytest.param(
            {"filter": {"segments": [{"segmentId": SEGMENT, "status": ["realized", "existing", "exited"]}]}},
            {}, id="those-who-left-too",
        ),
        pytest.param({"filter": None}, {}, id="everybody"),
        pytest.param({"fields": "person.name"}, {}, id="fewer-fields"),
        pytest.param({}, {"fields": "person.name"}, id="not-our-fields"),
        pytest.param({}, {"mergePolicy": {"id": "m2"}}, id="another-merge-policy"),
        pytest.param({}, {"additionalFields": {"eventList": {"fields": "a"}}}, id="no-events"),
        pytest.param({"destination": {"datasetId": DATASET, "segmentPerBatch": True}}, {}, id="other-batches"),
        pytest.param(
            {"filter": {"segments": [{"segmentId": SEGMENT}], "fromIngestTimestamp": "2026-01-01T00:00:00Z"}},
            {}, id="only-new-ones",
        ),
    ],
)  # fmt: skip
def test_an_export_that_holds_something_else_does_not_serve(told, ordered):
    assert not serves(theirs(**told), an_order(**ordered))


def test_what_a_record_does_not_tell_is_not_believed():
    assert not serves(Facts(), an_order())
    assert not serves(Facts(request="{"), an_order())


def test_the_dataset_may_be_another_where_that_is_asked_for():
    elsewhere = theirs(destination={"datasetId": "other"})
    assert serves(elsewhere, an_order(), elsewhere=True)
    assert serves(elsewhere, an_order(destination=None), elsewhere=True)


# whether batches are plausible


def batch(**fields):
    return replace(BatchSeen(id="b1", state=BatchState.READY, word="success", records_written=100), **fields)


def test_a_batch_that_is_still_written_is_waited_for():
    assert unfinished([batch()]) == ""
    assert unfinished([batch(), batch(id="b2", state=BatchState.PENDING, word="staged")]) == "batch b2 is staged"


@pytest.mark.parametrize(
    ("batches", "rest", "why"),
    [
        ([], {}, "the export names no batch"),
        ([batch(state=BatchState.FAILED, word="aborted")], {}, "batch b1 is aborted"),
        ([batch(records_failed=2)], {}, "batch b1 has 2 records that could not be written"),
        ([batch(records_written=99)], {}, "the export counts 100 profiles, its batches hold 99 records"),
        ([batch()], {"min_profiles": 101}, "100 profiles were exported, fewer than min_profiles = 101"),
        ([batch()], {"members": {SEGMENT: 50}}, "100 profiles were exported, but the evaluation counted only 50 mem"),
        ([batch(records_written=None)], {"min_profiles": 1, "exported": None}, "no count was told, and min_profiles"),
    ],
)
def test_what_cannot_be_right_is_said(batches, rest, why):
    told = {"exported": 100, "members": {SEGMENT: 100}, "min_profiles": 0} | rest
    found = fault(
        batches, plan(min_profiles=told["min_profiles"]), exported=told["exported"], members=told["members"]
    )  # fmt: skip
    assert found.startswith(why)


@pytest.mark.parametrize(
    ("batches", "fields", "members"),
    [
        ([batch()], {}, {SEGMENT: 100}),
        ([batch()], {}, {SEGMENT: 95}),
        ([batch(records_written=None)], {}, {}),
        ([batch(records_written=60), batch(id="b2", records_written=40)], {}, {SEGMENT: 100}),
        ([batch()], {"statuses": ("realized", "exited")}, {SEGMENT: 1}),
        ([batch()], {"segments": (SEGMENT, OTHER)}, {SEGMENT: 1}),
    ],
    ids=["as-counted", "some-came-in-since", "nothing-told", "two-batches", "who-left-too", "one-not-counted"],
)
def test_what_nobody_told_is_no_fault(batches, fields, members):
    assert fault(batches, plan(**fields), exported=100, members=members) == ""
