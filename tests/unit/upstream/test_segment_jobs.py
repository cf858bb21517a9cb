"""Evaluations: bodies, filters, and records in forms that the tutorials do not show."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from answering import Answering

from segwatch.jobs.model import JobError, Status
from segwatch.upstream import segment_jobs
from segwatch.upstream.errors import NotSendable
from segwatch.upstream.records import SandboxInfo
from segwatch.upstream.segment_jobs import create_request, list_request, read


def test_all_segments_are_evaluated_by_the_form_that_is_documented_for_them():
    assert create_request(("*",)).body == {"schema": {"name": "_xdm.context.profile"}, "segments": [{"segmentId": "*"}]}


def test_a_segment_that_is_named_twice_is_evaluated_once():
    assert create_request(["a", "b", "a"]).body == [{"segmentId": "a"}, {"segmentId": "b"}]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([], "No segment"),
        (["a", ""], "has the id ''"),
        (["*", "a"], "write no ids beside it"),
        ([str(number) for number in range(21)], "20 segments at most, not 21"),
    ],
)
def test_what_the_platform_would_refuse_is_not_sent(ids, words):
    with pytest.raises(NotSendable, match=words):
        create_request(ids)


def test_every_filter_of_the_list_is_sent():
    request = list_request(
        status=Status.FAILED, sort="updateTime:asc", segment="s1", properties={"batchId": "b"},
        snapshot_name="Canadian1", limit=7,
    )  # fmt: skip
    assert request.params == (
        ("status", "FAILED"), ("sort", "updateTime:asc"), ("property", "segments~segmentId==s1"),
        ("property", "batchId==b"), ("snapshot.name", "Canadian1"), ("limit", "7"),
    )  # fmt: skip
    assert list_request().params == (("sort", "creationTime:desc"), ("limit", "100"))


def test_a_scheduled_job_tells_its_schedule_and_all_counters():
    metrics = {
        "totalProfiles": 120034,
        "totalProfilesByMergePolicy": {"m": 1.20034e5},
        "segmentedProfileByStatusCounter": {"s": {"realized": 4195, "exited": 61}},
    }
    job = read({
        "id": "x", "status": "SUCCEEDED", "source": "scheduler", "batchId": "b", "metrics": metrics,
        "properties": {"scheduleId": "s1", "runId": "r1"}, "schema": {"name": "_xdm.context.profile"},
        "sandbox": {"sandboxId": "i", "sandboxName": "prod", "type": "production", "default": True},
        "segments": [{"segmentId": "s", "segment": {"id": "s", "mergePolicyId": "m"}}], "updateEpoch": 1765000778,
    })  # fmt: skip
    assert (job.source, job.batch_id, job.schedule_id, job.run_id) == ("scheduler", "b", "s1", "r1")
    assert (job.schema, job.sandbox) == (
        "_xdm.context.profile",
        SandboxInfo(id="i", name="prod", type="production", is_default=True),
    )
    assert (job.metrics.profiles, job.metrics.profiles_by_merge_policy) == (120034, {"m": 120034})
    assert job.metrics.members_by_status == {"s": {"realized": 4195, "exited": 61}}
    assert job.definitions[0].merge_policy_id == "m"
    assert job.updated_at == job.ended_at == datetime.fromtimestamp(1765000778, UTC)


@pytest.mark.parametrize(
    "record",
    [
        {"id": 7},
        {"id": "7", "status": None, "segments": None, "metrics": [], "errors": None, "properties": "", "_links": 3},
        {"id": 7.0, "segments": {}, "computeGatewayJobId": {}, "schema": "x", "sandbox": [], "snapshot": 1},
    ],
)
def test_a_record_is_read_whatever_else_it_holds(record):
    job = read(record)
    assert (job.id, job.status, job.segments, job.errors, job.ended_at) == ("7", Status.UNKNOWN, (), (), None)
    assert job.raw is record


def test_a_job_over_all_segments_shows_no_definitions():
    job = read({"id": "x", "status": "paused", "segments": [{"segmentId": "*"}], "errors": ["no"]})
    assert (job.segments, job.definitions) == (("*",), ())
    assert (job.status, job.word, job.errors) == (Status.UNKNOWN, "paused", (JobError(code="", text="no"),))


async def test_ids_are_percent_encoded_and_checked_before_a_call():
    client = Answering({"id": "a/b"}, b"")
    await segment_jobs.get(client, "a/b")
    await segment_jobs.cancel(client, "a/b")
    assert [(one.method, one.path) for one in client.asked] == [
        ("GET", "/data/core/ups/segment/jobs/a%2Fb"),
        ("DELETE", "/data/core/ups/segment/jobs/a%2Fb"),
    ]
    with pytest.raises(NotSendable):
        await segment_jobs.get(client, "..")


def test_our_own_code_orders_jobs_by_the_orderer_alone():
    """The calls that send at once are for programs of others: they keep no intent that would outlive a crash."""
    sources = Path(segment_jobs.__file__).parents[1].rglob("*.py")
    calls = ("segment_jobs.create(", "export_jobs.create(")
    assert [path.name for path in sources if any(call in path.read_text(encoding="utf-8") for call in calls)] == []
