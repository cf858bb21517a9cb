"""The figures of a day, against counting them one by one."""

from collections import Counter
from datetime import timedelta
from statistics import median

from builders import at, job
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs import summary
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.jobs.model import Facts, JobKey, Status
from segwatch.jobs.summary import ENDS, LISTED_MAX, Past, Tally

KINDS = ("export_job", "segment_job")


def event(type_=EventType.JOB_SUCCEEDED, job_id="1", *, sandbox="prod", kind="export_job", reason="", **details):
    return Event(
        type=type_, stream=f"{sandbox}/{kind}/{job_id}", sequence=1, at=at(0), severity=Severity.INFO, sandbox=sandbox,
        kind=kind, job_id=job_id, reason=reason, details=details,
    )  # fmt: skip


def failure(job_id="1", code="", message="", **fields):
    return event(EventType.JOB_FAILED, job_id, errors=[{"code": code, "message": message}], **fields)


def before(took_s, *, kind="export_job", job_id="b", sandbox="prod", **facts):
    key = JobKey(sandbox=sandbox, kind=kind, id=job_id)
    ended = at(0) + timedelta(seconds=took_s)
    return job(Status.SUCCEEDED, key=key, created_at=at(0), ended_at=ended, facts=Facts(**facts))


def figures(*events, past=()):
    known = Past()
    known.take(past)
    tally = Tally(known)
    tally.take(events)
    return tally.figures()


def test_runs_of_pipelines_are_counted_by_pipeline():
    def ended(type_, pipeline, sandbox="prod"):
        return event(type_, "", kind="", sandbox=sandbox, pipeline=pipeline)

    counted = figures(
        ended(EventType.PIPELINE_SUCCEEDED, "nightly"), ended(EventType.PIPELINE_FAILED, "nightly"),
        ended(EventType.PIPELINE_STEP_DONE, "nightly"), ended(EventType.PIPELINE_SUCCEEDED, "nightly", "dev"),
    )  # fmt: skip
    assert counted["pipelines"] == [
        {"sandbox": "dev", "pipeline": "nightly", "runs": 1, "succeeded": 1, "failed": 0},
        {"sandbox": "prod", "pipeline": "nightly", "runs": 2, "succeeded": 1, "failed": 1},
    ]
    assert (counted["runs"], counted["failed"]) == (0, 0), "these are jobs"


_seconds = st.floats(0, 1e5).map(lambda s: round(s, 3))
ended = st.builds(
    lambda type_, sandbox, kind, took_s, code, number: event(
        type_, str(number), sandbox=sandbox, kind=kind,
        **({"duration_s": took_s} if took_s is not None else {}),
        **({"errors": [{"code": code, "message": f"job {number} broke"}]} if code is not None else {}),
    ),
    st.sampled_from([*ENDS, EventType.RECOVERED, EventType.RETRY_EXHAUSTED, EventType.JOB_QUEUED]),
    st.sampled_from(["prod", "dev"]), st.sampled_from(KINDS), st.none() | _seconds,
    st.none() | st.sampled_from(["", "a", "b"]), st.integers(0, 10**6),
)  # fmt: skip


@given(st.lists(ended, max_size=60), st.integers(1, 7))
def test_figures_are_those_of_a_direct_count(events, page):
    tally = Tally(Past())
    for start in range(0, len(events), page):
        tally.take(events[start : start + page])
    counted = tally.figures()
    types = Counter(one.type for one in events)
    for type_, end in ENDS.items():
        assert counted[end] == types[type_]
    assert counted["runs"] == sum(types[type_] for type_ in ENDS)
    assert (counted["saved"], counted["given_up"]) == (types[EventType.RECOVERED], types[EventType.RETRY_EXHAUSTED])
    failures = [one for one in events if one.type is EventType.JOB_FAILED]
    assert sum(row["count"] for row in counted["failures"]) + counted["other_failures"] == len(failures)
    for row in counted["work"]:
        own = [one for one in events if (one.sandbox, one.kind) == (row["sandbox"], row["kind"])]
        assert row["runs"] == sum(one.type in ENDS for one in own)
        spans = [one.details.get("duration_s") for one in own if one.type is EventType.JOB_SUCCEEDED]
        known = [span for span in spans if span is not None]
        assert row.get("median_s") == (round(median(known), 3) if known else None)
    spans = [
        one.details["duration_s"]
        for one in events
        if one.type is EventType.JOB_SUCCEEDED and "duration_s" in one.details
    ]
    assert [row["took_s"] for row in counted["slowest"]] == sorted(spans, reverse=True)[:LISTED_MAX]


def test_a_quiet_day_has_figures_too():
    counted = figures()
    assert {name for name, value in counted.items() if value} == set()
    assert counted["runs"] == 0


def test_failures_of_one_cause_are_one_line():
    counted = figures(
        failure("1", message="Batch 17 of job 1 timed out"), failure("2", code="9", message="No space"),
        failure("3", message="Batch 4 of job 3 timed out"), failure("4", code="9", message="No space on disk"),
        failure("5", message="Batch 5 of job 5 timed out"), event(EventType.JOB_FAILED, "6", errors="odd"),
    )  # fmt: skip
    told = [(row["count"], row["job_id"], row.get("message")) for row in counted["failures"]]
    assert told == [(3, "1", "Batch 17 of job 1 timed out"), (2, "2", "No space"), (1, "6", None)]


def test_what_is_usual_is_what_each_run_s_own_event_says():
    counted = figures(
        event(job_id="1", usual_s=60, duration_s=120), event(job_id="2", usual_s=6000.0, duration_s=6000),
        event(job_id="3", duration_s=10), event(job_id="4", usual_s="odd", duration_s=5),
    )  # fmt: skip
    told = [(row["job_id"], row.get("usual_s")) for row in counted["slowest"]]
    assert told == [("2", 6000), ("1", 60), ("3", None), ("4", None)]
    assert counted["work"][0]["usual_s"] == 3030


def counting(**members):
    return event(kind="segment_job", profiles=members)


def test_audiences_that_moved_are_told_with_the_size_before():
    past = [before(60, kind="segment_job", profiles={"a": 1000, "b": 1000, "c": 1000, "tiny": 3, "gone": 500})]
    past.append(before(60, kind="segment_job", profiles={"a": 1}))  # older: the newest counts
    counted = figures(counting(a=1, b=1099, c=2000, tiny=9, gone=0, new=50), counting(a=1200), past=past)
    rows = [(row["segment"], row["before"], row["members"]) for row in counted["moved"]]
    assert rows == [("gone", 500, 0), ("c", 1000, 2000), ("a", 1000, 1200)]
    assert counted["more_moved"] == 0


def test_audiences_that_are_told_as_odd_come_first_until_they_are_well():
    def odd(type_, segment, members, reason=""):
        return event(type_, sandbox="prod", kind="segment_job", reason=reason, segment=segment, members=members)

    past = [before(60, kind="segment_job", profiles={"a": 1000, "b": 1000, "c": 1000})]
    counted = figures(
        counting(a=5000, b=1200, c=1000), odd(EventType.AUDIENCE_ANOMALY, "b", 1200, "grown"),
        odd(EventType.AUDIENCE_ANOMALY, "c", 10, "shrunk"), odd(EventType.AUDIENCE_RECOVERED, "c", 1000),
        counting(c=1000), past=past,
    )  # fmt: skip
    assert [(row["segment"], row.get("odd")) for row in counted["moved"]] == [("b", "grown"), ("a", None)]


def test_what_is_held_is_bounded(monkeypatch):
    for name in ("_SPANS_MAX", "_CAUSES_MAX", "_AUDIENCES_MAX"):
        monkeypatch.setattr(summary, name, 3)
    events = [failure(str(n), code=f"c{n}") for n in range(9)]
    events += [event(job_id=str(n), duration_s=n, kind="segment_job", profiles={f"s{n}": n}) for n in range(9)]
    counted = figures(*events)
    assert counted["failed"] == 9 == len(counted["failures"]) + counted["other_failures"]
    assert counted["work"][1]["median_s"] == 1, "of the first three"
    assert [row["took_s"] for row in counted["slowest"]] == [8, 7, 6, 5, 4]
