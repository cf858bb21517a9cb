"""The catalog's batches, and what becomes of datasets: lists, filters, changes."""

import asyncio

import pytest
from emulator_fixtures import DATASET, DATASETS
from exported import AT_MS, BATCH, CATALOG, OTHER_BATCH, exporting

from segwatch.emulator.lake import batches
from segwatch.emulator.lake.model import Extract

BATCHES = f"{CATALOG}/batches"
UNION = {"id": "https://ns.adobe.com/xdm/context/profile__union"}


@pytest.fixture
async def exported(monkeypatch):
    async with exporting(monkeypatch) as exported:
        yield exported


async def test_a_finished_batch_says_what_it_holds(exported):
    written = exported.export()
    document = (await exported.platform.get(f"{BATCHES}/{BATCH}"))[BATCH]
    assert document["status"] == "success"
    assert {"type": "dataSet", "id": DATASET} in document["relatedObjects"]
    assert document["metrics"]["recordsWritten"] == written.records
    assert document["metrics"]["startTime"] == AT_MS
    assert document["metrics"]["endTime"] == AT_MS + 200_000
    assert not [name for name in document if name.startswith("_")]
    assert await exported.platform.get(BATCHES) == {BATCH: document}


async def test_a_dataset_names_its_last_batches(exported):
    exported.export()
    exported.fail(OTHER_BATCH)
    dataset = (await exported.platform.get(f"{DATASETS}/{DATASET}"))[DATASET]
    assert dataset["lastBatchId"] == OTHER_BATCH
    assert dataset["lastBatchStatus"] == "failure"
    assert dataset["lastSuccessfulBatch"] == BATCH


async def test_a_batch_that_is_written_is_processing_and_an_aborted_one_stays_so(exported):
    exported.begin(Extract(sandbox="prod", batch_id=BATCH, segments=None, fields=None))
    assert (await exported.platform.get(f"{BATCHES}/{BATCH}"))[BATCH]["status"] == "processing"
    box = exported.world.sandbox("prod")
    batches.abort(box.batches, box.datasets, BATCH, folder=exported.world.batch_folder.path, at_ms=AT_MS)
    batches.fail(box.batches, box.datasets, BATCH, [], folder=exported.world.batch_folder.path, at_ms=AT_MS)
    assert (await exported.platform.get(f"{BATCHES}/{BATCH}"))[BATCH]["status"] == "aborted"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=success", [0, 2]),
        ("status=failure", [1]),
        ("status=success,failure&orderBy=desc:created", [2, 1, 0]),
        ("sort=created:desc&limit=1&start=1", [1]),
        (f"dataSet={DATASET}&limit=2", [0, 1]),
        ("dataSet=elsewhere", []),
        (f"createdAfter={AT_MS}", [1, 2]),
        (f"createdBefore={AT_MS + 5}", [0, 1]),
        ("start=3", []),
        ("status=&limit=&unheard-of=1", [0, 1, 2]),
    ],
)
async def test_lists_are_filtered_cut_and_ordered(exported, query, found):
    ids = [f"{number}" * 32 for number in range(3)]
    exported.export(ids[0])
    exported.fail(ids[1])
    exported.export(ids[2], at_ms=AT_MS + 5)
    assert list(await exported.platform.get(f"{BATCHES}?{query}")) == [ids[number] for number in found]
    assert list(await exported.platform.get(f"{BATCHES}/?batch={ids[1]}&properties=status")) == [ids[1]]
    assert (await exported.platform.get(f"{BATCHES}?batch={ids[1]}&properties=status,id"))[ids[1]] == {
        "status": "failure"
    }


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=many", "start=-1", "orderBy=up:created", "createdAfter=x"]
)
@pytest.mark.parametrize("path", [BATCHES, DATASETS])
async def test_a_wrong_parameter_is_refused(exported, path, query):
    reply = await exported.platform.call("GET", f"{path}?{query}")
    assert reply.status == 400
    assert reply.body["title"] == "BadRequestError"


async def test_an_unknown_batch_is_a_404_also_from_another_sandbox(exported):
    exported.export()
    assert (await exported.platform.call("GET", f"{BATCHES}/{OTHER_BATCH}")).status == 404
    reply = await exported.platform.call("GET", f"{BATCHES}/{BATCH}", headers={"x-sandbox-name": "dev"})
    assert reply.status == 404


async def test_a_dataset_can_be_changed_by_a_part_of_it_or_by_json_patch(exported):
    platform = exported.platform
    reply = await platform.call(
        "PATCH", f"{DATASETS}/{DATASET}", json={"description": "new", "tags": {"team": ["crm"]}}
    )
    assert (reply.status, reply.body) == (200, [f"@/dataSets/{DATASET}"])
    operations = [
        {"op": "replace", "path": "/name", "value": "Other"},
        {"op": "add", "path": "/tags/a~1b", "value": ["c"]},
    ]
    reply = await platform.call(
        "PATCH", f"{DATASETS}/{DATASET}", json=operations, headers={"Content-Type": "application/json-patch+json"}
    )
    assert reply.status == 200
    dataset = (await platform.get(f"{DATASETS}/{DATASET}"))[DATASET]
    assert (dataset["name"], dataset["description"], dataset["version"]) == ("Other", "new", "1.0.2")
    assert dataset["tags"]["adobe/pqs/table"] == ["segment_export"]
    assert (dataset["tags"]["team"], dataset["tags"]["a/b"]) == (["crm"], ["c"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"imsOrg": "another"}, 400),
        ({"name": None}, 400),
        ({"tags": {"team": "crm"}}, 400),
        ("text", 400),
        ([{"op": "replace", "path": "/nothing", "value": 1}], 400),
        ([{"op": "move", "path": "/name", "from": "/description"}], 400),
        ([{"op": "test", "path": "/name", "value": "Another"}], 409),
    ],
)
async def test_a_change_that_cannot_be_made_changes_nothing(exported, body, status):
    before = await exported.platform.get(f"{DATASETS}/{DATASET}")
    reply = await exported.platform.call("PATCH", f"{DATASETS}/{DATASET}", json=body)
    assert reply.status == status
    assert await exported.platform.get(f"{DATASETS}/{DATASET}") == before


async def test_a_deleted_dataset_takes_its_batches_and_their_files_along(exported):
    exported.export()
    assert (exported.world.batch_folder.path / BATCH).is_dir()
    reply = await exported.platform.call("DELETE", f"{DATASETS}/{DATASET}")
    assert (reply.status, reply.body) == (200, [f"@/dataSets/{DATASET}"])
    assert (await exported.platform.call("GET", f"{DATASETS}/{DATASET}")).status == 404
    assert await exported.platform.get(BATCHES) == {}
    assert not await asyncio.to_thread((exported.world.batch_folder.path / BATCH).exists)


async def test_a_dataset_is_found_by_its_name(exported):
    await exported.platform.call("POST", DATASETS, json={"name": "Mine", "schemaRef": UNION})
    mine = await exported.platform.get(f"{DATASETS}?name=Mine&properties=tags")
    assert [one["tags"]["adobe/pqs/table"] for one in mine.values()] == [["mine"]]


async def test_a_reset_takes_the_batches_along(exported):
    exported.export()
    await exported.platform.control("reset")
    assert await exported.platform.get(BATCHES) == {}
    assert not await asyncio.to_thread(exported.world.batch_folder.path.exists)
