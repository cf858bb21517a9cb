"""Exports: records in forms that the tutorials do not show, and the filter that the platform half has."""

import pytest
from answering import Answering

from segwatch.jobs.model import Status
from segwatch.upstream import export_jobs
from segwatch.upstream.errors import NotSendable
from segwatch.upstream.export_jobs import ExportBatch, read

FULL = {"batchId": "b1", "segmentId": "s1", "segmentNs": "UPS", "status": "exited"}
BATCH = ExportBatch(batch_id="b1", segment_id="s1", namespace="UPS", statuses=("exited",))


@pytest.mark.parametrize(
    ("destination", "batches"),
    [
        pytest.param({"batchId": ""}, (), id="failed"),
        pytest.param({}, (), id="new"),
        pytest.param({"batches": None, "batchId": None}, (), id="nulls"),
        pytest.param({"batches": FULL}, (BATCH,), id="an-object"),
        pytest.param({"batches": [FULL, FULL, {"batchId": ""}, "b9"]}, (BATCH,), id="an-array"),
        pytest.param({"batches": [FULL], "batchId": "b1"}, (BATCH,), id="both-of-one"),
        pytest.param({"batches": FULL, "batchId": "b2"}, (BATCH, ExportBatch(batch_id="b2")), id="both-of-two"),
    ],
)
def test_batches_are_read_in_all_their_forms(destination, batches):
    assert read({"id": 1, "destination": {"dataSetId": "@/dataSets/d"} | destination}).batches == batches
    assert read({"id": 1, "destination": {"dataSetId": "@/dataSets/d"}}).dataset == "d"


def test_counters_of_the_current_platform_are_read():
    metrics = {"totalExportedProfileCounter": 4195.0, "exportedProfileByNamespaceCounter": {"email": 4195}}
    found = read({"id": 1, "metrics": metrics, "fields": "a,b", "additionalFields": {"eventList": {"fields": "x"}}})
    assert (found.metrics.exported, found.metrics.exported_by_namespace) == (4195, {"email": 4195})
    assert (found.fields, found.additional_fields) == ("a,b", {"eventList": {"fields": "x"}})


@pytest.mark.parametrize(
    "record", [{"id": 7}, {"id": "7", "destination": [], "filter": "all", "metrics": 3, "schema": None, "errors": {}}]
)
def test_a_record_is_read_whatever_else_it_holds(record):
    found = read(record)
    assert (found.id, found.status, found.dataset, found.batches, found.filter) == ("7", Status.UNKNOWN, "", (), {})


async def listed(client, **rest):
    return [one.id async for one in export_jobs.list_(client, **rest)]


def rows(*pairs, offset=""):
    records = [{"id": id_, "status": status} for id_, status in pairs]
    return {"records": records, "link": {"next": f"/export/jobs/?limit=2&offset={offset}" if offset else ""}}


@pytest.mark.parametrize("status", [Status.NEW, Status.SUCCEEDED, Status.FAILED])
async def test_a_documented_filter_is_the_platforms_work(status):
    client = Answering(rows((1, status.value)))
    assert await listed(client, status=status) == ["1"]
    assert client.asked[0].params == (("status", status.value), ("limit", "100"))


async def test_a_filter_that_is_not_documented_is_ours():
    client = Answering(rows((4, "PROCESSING"), (3, "SUCCEEDED"), offset="a_3"), rows((2, "PROCESSING"), (1, "FAILED")))
    assert await listed(client, status=Status.PROCESSING, limit=2) == ["4", "2"]
    assert client.asked[0].params == (("limit", "2"),)


@pytest.mark.parametrize(("most", "calls"), [(0, 0), (1, 1), (2, 1), (3, 2)])
async def test_no_more_is_asked_for_than_is_wanted(most, calls):
    client = Answering(rows((4, "NEW"), (3, "NEW"), offset="a_3"), rows((2, "NEW"), (1, "NEW")))
    assert await listed(client, most=most) == ["4", "3", "2"][:most]
    assert len(client.asked) == calls


async def test_an_export_is_cancelled_by_its_id_whatever_is_answered():
    client = Answering({"status": True, "message": "marked"}, b"")
    await export_jobs.cancel(client, "24115")
    await export_jobs.cancel(client, "24115")
    assert [(one.method, one.path) for one in client.asked] == [("DELETE", "/data/core/ups/export/jobs/24115")] * 2
    with pytest.raises(NotSendable):
        await export_jobs.cancel(client, "")
