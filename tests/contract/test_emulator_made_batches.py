"""Batches that a script orders to be downloaded, and connections that break while one is."""

import asyncio
import os
import threading

import aiohttp
import pytest
from emulator_fixtures import DATASET, DATASETS, emulating

from segwatch.emulator.lake import made_batches

EXPORT = "/data/foundation/export"
BATCHES = "/data/foundation/catalog/batches"
RUN = {"files": 3, "bytes": 100_000, "seed": 7}


async def contents(platform, batch):
    """Return the content of each part of a batch by its name."""
    found = {}
    for one in (await platform.get(f"{EXPORT}/batches/{batch}/files"))["data"]:
        file = f"{EXPORT}/files/{one['dataSetFileId']}"
        for part in (await platform.get(file))["data"]:
            found[part["name"]] = (await platform.call("GET", f"{file}?path={part['name']}")).raw
    return found


async def test_a_batch_that_was_ordered_has_the_files_that_were_ordered(platform):
    batch = (await platform.control("batches", RUN))["batch_id"]
    found = await contents(platform, batch)
    assert sorted(found) == [f"part-0000{n}.snappy.parquet" for n in range(3)]
    assert {len(one) for one in found.values()} == {100_000}
    assert len(set(found.values())) == 3
    assert all(one.startswith(b"PAR1") and one.endswith(b"PAR1") for one in found.values())
    record = (await platform.get(f"{BATCHES}/{batch}"))[batch]
    assert record["status"] == "success"
    assert record["metrics"]["outputFileCount"] == 3
    assert record["metrics"]["outputByteSize"] == 300_000
    assert {"type": "dataSet", "id": DATASET} in record["relatedObjects"]
    assert (await platform.get(f"{DATASETS}/{DATASET}"))[DATASET]["lastSuccessfulBatch"] == batch


async def test_equal_seeds_make_equal_files(platform):
    one, other = [await contents(platform, (await platform.control("batches", RUN))["batch_id"]) for _ in range(2)]
    third = await contents(platform, (await platform.control("batches", RUN | {"seed": 8}))["batch_id"])
    assert one == other != third


async def test_a_batch_that_was_ordered_outlives_the_process_and_is_in_no_table(tmp_path):
    async with emulating(data=tmp_path, speed=100) as platform:
        batch = (await platform.control("batches", RUN))["batch_id"]
        before = await contents(platform, batch)
        query = {"sql": "SELECT count(*) FROM segment_export", "dbName": "prod:all"}
        reply = await platform.call("POST", "/data/foundation/query/queries", json=query)
        assert reply.status == 202
    async with emulating(data=tmp_path, speed=100) as platform:
        assert await contents(platform, batch) == before
        assert (await platform.get(f"{EXPORT}/datasets/{DATASET}/preview"))["data"] == []


@pytest.mark.parametrize(
    ("order", "hint"),
    [
        ({"files": 0}, "1 to 10000"),
        ({"bytes": 7}, "8 to"),
        ({"files": 10_000, "bytes": 4 * 1024**3}, "Write fewer"),
        ({"size": 8}, "Known names: files, bytes, dataset, sandbox, seed"),
    ],
)
async def test_an_order_that_cannot_be_carried_out_says_what_to_write(platform, order, hint):
    reply = await platform.call("POST", "/_emulator/batches", json=order)
    assert reply.status == 400
    assert hint in reply.raw.decode()


async def test_a_batch_for_an_unknown_dataset_is_refused(platform):
    assert (await platform.call("POST", "/_emulator/batches", json={"dataset": "0" * 24})).status == 404


async def test_a_reset_gives_up_a_batch_that_is_being_made_and_leaves_nothing_of_it(monkeypatch, tmp_path):
    reached, write = threading.Event(), made_batches._write_noise

    def held(path, length_bytes, chance, halted):
        reached.set()
        assert halted.wait(10)
        write(path, length_bytes, chance, halted)

    monkeypatch.setattr(made_batches, "_write_noise", held)
    async with emulating(data=tmp_path) as platform:
        made = asyncio.create_task(platform.call("POST", "/_emulator/batches", json=RUN))
        await asyncio.to_thread(reached.wait, 10)
        await platform.control("reset", {})
        reply = await made
        assert reply.status == 409
        assert "was reset" in reply.body["error"]
        assert await platform.get(BATCHES) == {}
        assert not await asyncio.to_thread((tmp_path / "batches").exists)
        monkeypatch.undo()
        batch = (await platform.control("batches", RUN))["batch_id"]
        assert list(await platform.get(BATCHES)) == [batch]


async def test_what_is_asked_for_during_a_reset_is_done_after_it(monkeypatch, platform):
    reached, begun, released = threading.Event(), threading.Event(), threading.Event()

    def held(path, length_bytes, chance, halted):
        reached.set()
        assert halted.wait(10)
        begun.set()
        assert released.wait(10)
        raise InterruptedError

    monkeypatch.setattr(made_batches, "_write_noise", held)
    made = asyncio.create_task(platform.call("POST", "/_emulator/batches", json=RUN))
    await asyncio.to_thread(reached.wait, 10)
    reset = asyncio.create_task(platform.control("reset", {}))
    await asyncio.to_thread(begun.wait, 10)
    placed = asyncio.create_task(platform.place("export_job", ["NEW", 3600]))
    assert (await platform.control("state", method="GET"))["jobs"] == []  # reading goes on meanwhile
    released.set()
    _, _, ids = await asyncio.gather(made, reset, placed)
    assert [job["id"] for job in (await platform.control("state", method="GET"))["jobs"]] == ids


async def test_a_batch_whose_dataset_is_deleted_meanwhile_is_not_made(monkeypatch, tmp_path):
    reached, released, write = threading.Event(), threading.Event(), made_batches._write_noise

    def held(*order):
        reached.set()
        assert released.wait(10)
        write(*order)

    monkeypatch.setattr(made_batches, "_write_noise", held)
    async with emulating(data=tmp_path) as platform:
        made = asyncio.create_task(platform.call("POST", "/_emulator/batches", json=RUN))
        await asyncio.to_thread(reached.wait, 10)
        await platform.call("DELETE", f"{DATASETS}/{DATASET}")
        released.set()
        assert (await made).status == 404
        assert await asyncio.to_thread(os.listdir, tmp_path / "batches") == []


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=1000-99999"}])
async def test_a_download_that_is_dropped_brings_its_first_bytes(platform, headers):
    batch = (await platform.control("batches", RUN))["batch_id"]
    path = f"{EXPORT}/files/{batch}-1?path=part-00000.snappy.parquet"
    whole = (await platform.call("GET", path)).raw
    fault = {"path": f"{EXPORT}/files/*?path=*", "fault": {"drop_after": 30_000}, "times": 1}
    await platform.control("faults", fault)
    first = 1000 if headers else 0
    got = await until_dropped(platform, path, headers)
    assert got == whole[first : first + 30_000]
    assert (await platform.call("GET", path)).raw == whole


async def test_a_list_that_is_dropped_is_no_list(platform):
    await platform.control("faults", {"path": f"{DATASETS}*", "fault": {"drop_after": 10}, "times": 1})
    assert await until_dropped(platform, DATASETS, {}) == (await platform.call("GET", DATASETS)).raw[:10]


async def until_dropped(platform, path, headers):
    """Return the bytes that came before the connection broke."""
    got = bytearray()

    async def read(reply):
        async for chunk in reply.content.iter_any():
            got.extend(chunk)

    async with (
        aiohttp.ClientSession() as session,
        session.get(platform.base_url + path, headers=platform.headers | headers) as reply,
    ):
        with pytest.raises(aiohttp.ClientError):
            await read(reply)
    return bytes(got)
