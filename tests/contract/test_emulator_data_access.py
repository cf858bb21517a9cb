"""Data Access: pages of files, their content whole and in ranges, what failed batches leave, and nothing else."""

import asyncio
import io
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from emulator_fixtures import DATASET
from exported import ACCESS, AT_MS, BATCH, OTHER_BATCH, exporting
from lake_population import NOW

from segwatch.emulator.lake import exports, previews, queries
from segwatch.emulator.lake.batch_files import Entry

FILE = f"{ACCESS}/files/{BATCH}-1"
PART = "part-00000.snappy.parquet"


@pytest.fixture
async def exported(monkeypatch):
    async with exporting(monkeypatch) as exported:
        yield exported


@pytest.fixture
def many_parts(monkeypatch):
    monkeypatch.setattr(exports, "_PART_ROWS_LEAST", 3)


async def pages(platform, path):
    """Follow the links, and return the pages."""
    found = []
    while path:
        found.append(await platform.get(path))
        href = found[-1].get("_links", {}).get("next", {}).get("href", "")
        assert href.startswith(platform.base_url) or not href
        path = href.removeprefix(platform.base_url)
    return found


async def test_a_batch_is_read_from_its_id_to_its_rows(exported, many_parts):
    written = exported.export()
    platform = exported.platform
    found = [one for page in await pages(platform, f"{ACCESS}/batches/{BATCH}/files?limit=2") for one in page["data"]]
    assert [one["dataSetFileId"] for one in found] == [f"{BATCH}-{n}" for n in range(1, len(written.parts) + 1)]
    assert {one["dataSetViewId"] for one in found} == {"65a1b2c3d4e5f60718293a4c"}
    assert {(one["created"], one["updated"]) for one in found} == {(str(AT_MS), str(AT_MS + 200_000))}
    rows = 0
    for one, part in zip(found, written.parts, strict=True):
        listed = await platform.get(one["_links"]["self"]["href"].removeprefix(platform.base_url))
        (entry,) = listed["data"]
        assert (entry["name"], entry["length"]) == (part.name, str(part.length_bytes))
        assert listed["_page"] == {"limit": 100, "count": 1}
        assert "_links" not in listed
        reply = await platform.call("GET", entry["_links"]["self"]["href"].removeprefix(platform.base_url))
        assert reply.status == 200
        assert reply.headers["Content-Length"] == entry["length"] == str(len(reply.raw))
        rows += pq.read_table(io.BytesIO(reply.raw)).num_rows
    assert rows == written.records > 0


async def test_pages_of_files_lead_on_until_the_last(exported, many_parts):
    total = len(exported.export().parts)
    assert total > 2
    first, *_, last = await pages(exported.platform, f"{ACCESS}/batches/{BATCH}/files/?limit=1")
    href = f"{exported.platform.base_url}{ACCESS}/batches/{BATCH}/files?start="
    assert first["_page"] == {"limit": 1, "count": total}
    assert first["_links"] == {
        "next": {"href": f"{href}1&limit=1"},
        "page": {"href": f"{href}0&limit=1", "templated": True},
    }
    assert "next" not in last["_links"]
    assert (await exported.platform.get(f"{ACCESS}/batches/{BATCH}/files?start=99"))["data"] == []


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("Bytes=5-5", 5, 5),
        ("bytes=10-99999999", 10, None),
        (f"bytes=10-{10**30}", 10, None),
        ("bytes=-99999999", 0, None),
    ],
)
async def test_a_range_of_a_file_is_a_206(exported, header, first, last):
    exported.export()
    whole = (await exported.platform.call("GET", f"{FILE}?path={PART}")).raw
    reply = await exported.platform.call("GET", f"{FILE}?path={PART}", headers={"Range": header})
    expected = whole[first:] if last is None else whole[first : last + 1]
    begin = first if first >= 0 else len(whole) + first
    assert (reply.status, reply.raw) == (206, expected)
    assert reply.headers["Content-Range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(whole)}"
    assert reply.headers["Content-Length"] == str(len(expected))


@pytest.mark.parametrize("header", ["bytes=9-5", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=x-y", "bytes=٣-٤", ""])
async def test_what_is_no_single_range_gets_the_whole_file(exported, header):
    exported.export()
    reply = await exported.platform.call("GET", f"{FILE}?path={PART}", headers={"Range": header})
    assert reply.status == 200
    assert "Content-Range" not in reply.headers


@pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=-0", "bytes=999999999999999999-"])
async def test_a_range_beyond_the_end_is_a_416(exported, header):
    length = exported.export().parts[0].length_bytes
    reply = await exported.platform.call("GET", f"{FILE}?path={PART}", headers={"Range": header})
    assert reply.status == 416
    assert reply.headers["Content-Range"] == f"bytes */{length}"
    assert reply.body["status"] == 416


async def test_head_tells_the_length_and_that_ranges_are_served(exported):
    length = exported.export().parts[0].length_bytes
    reply = await exported.platform.call("HEAD", f"{FILE}?path={PART}")
    assert (reply.status, reply.raw) == (200, b"")
    assert reply.headers["Content-Length"] == str(length)
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert (await exported.platform.call("HEAD", f"{FILE}?path=nothing")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        f"{FILE}?path=manifest.json",
        f"{FILE}?path=../{OTHER_BATCH}/{PART}",
        f"{FILE}?path=..%2F..%2Fsecret",
        f"{FILE}?path=%2Fetc%2Fpasswd",
        f"{FILE}?path=./{PART}",
        f"{FILE}?path={PART}%00",
        f"{ACCESS}/files/..%2Fsecret-1?path=secret",
        f"{ACCESS}/files/{BATCH}-1%2F..%2F..?path=secret",
        f"{ACCESS}/files/{BATCH}-0?path={PART}",
        f"{ACCESS}/files/{BATCH}-2?path={PART}",
        f"{ACCESS}/files/{BATCH}-%C2%B2?path={PART}",
        f"{ACCESS}/files/{BATCH}?path={PART}",
        f"{ACCESS}/batches/..%2F..%2Fetc/files",
        f"{ACCESS}/batches/..%2F{BATCH}/meta?path=manifest.json",
        f"{ACCESS}/batches/{BATCH}/meta?path=../manifest.json",
        f"{ACCESS}/batches/{BATCH}/failed?path=..%2F{PART}",
        f"{ACCESS}/batches/{BATCH}/failed?path=%2Fetc%2Fpasswd",
    ],
)
async def test_no_path_leads_out_of_what_is_offered(exported, path):
    exported.export()
    (exported.world.batch_folder.path / "secret").write_text("secret")
    reply = await exported.platform.call("GET", path)
    assert reply.status == 404
    assert b"secret\n" not in reply.raw


async def test_a_failed_batch_has_no_files_but_tells_what_failed(exported):
    exported.fail(records=3)
    platform = exported.platform
    base = f"{ACCESS}/batches/{BATCH}"
    assert (await platform.get(f"{base}/files"))["data"] == []
    (failed,) = (await platform.get(f"{base}/failed"))["data"]
    content = await platform.call("GET", failed["_links"]["self"]["href"].removeprefix(platform.base_url))
    assert len(content.raw.splitlines()) == 3
    assert failed["length"] == str(len(content.raw))
    meta = await platform.get(f"{base}/meta")
    assert [entry["name"] for entry in meta["data"]] == ["input_files", "row_errors", "row_errors_sample.json"]
    for name in ("row_errors_sample.json", "row_error_samples.json"):
        assert b"0090000009" in (await platform.call("GET", f"{base}/meta?path={name}")).raw
    (inside,) = (await platform.get(f"{base}/meta?path=row_errors"))["data"]
    href = inside["_links"]["self"]["href"].removeprefix(platform.base_url)
    assert b"0090000009" in (await platform.call("GET", href)).raw
    document = (await platform.get(f"/data/foundation/catalog/batches/{BATCH}"))[BATCH]
    assert (document["status"], document["metrics"]["recordsFailed"]) == ("failure", 3)
    assert document["errors"][0]["rows"] == ["0-2"]


async def test_a_batch_that_succeeded_has_nothing_that_failed(exported):
    exported.export()
    assert await exported.platform.get(f"{ACCESS}/batches/{BATCH}/failed") == {
        "data": [],
        "_page": {"limit": 100, "count": 0},
    }
    assert (await exported.platform.call("GET", f"{ACCESS}/batches/{OTHER_BATCH}/failed")).status == 404


@pytest.mark.parametrize("dialect", ["current", "seed"])
async def test_a_preview_shows_rows_of_the_newest_export(monkeypatch, dialect):
    async with exporting(monkeypatch, dialect=dialect) as exported:
        assert (await exported.platform.get(f"{ACCESS}/datasets/{DATASET}/preview")) == {"data": []}
        written = exported.export()
        rows = (await exported.platform.get(f"{ACCESS}/datasets/{DATASET}/preview"))["data"]
        assert len(rows) == written.records
        assert set(rows[0]) == {"person", "homeAddress", "interests", "identityMap", "segmentMembership"}
        assert rows[0]["segmentMembership"]["ups"]["s1"]["lastQualificationTime"].startswith(str(NOW.year))
        assert (await exported.platform.call("GET", f"{ACCESS}/datasets/elsewhere/preview")).status == 404


async def test_a_preview_of_rows_that_are_too_heavy_says_so(monkeypatch, exported):
    exported.export()
    monkeypatch.setattr(queries, "MEMORY_LIMIT", "2MB")
    reply = await exported.platform.call("GET", f"{ACCESS}/datasets/{DATASET}/preview")
    assert reply.status == 422
    assert reply.body["detail"].endswith("Ask the Query Service for some of the columns.")


async def test_a_preview_whose_files_go_away_shows_what_is_there_then(monkeypatch, exported):
    exported.export()
    folder, looks = exported.world.batch_folder.path, []

    class Late(queries.Session):
        def __init__(self, tables):
            looks.append(tables)
            if len(looks) == 1:  # between the look at what there is and its reading
                shutil.rmtree(folder / BATCH)
            super().__init__(tables)

    monkeypatch.setattr(previews, "Session", Late)
    assert await exported.platform.get(f"{ACCESS}/datasets/{DATASET}/preview") == {"data": []}
    assert [len(tables["preview"]) for tables in looks] == [1, 0]


async def test_a_preview_that_cannot_be_read_is_refused_in_the_words_of_data_access(monkeypatch, exported):
    exported.export()
    await asyncio.to_thread((exported.world.batch_folder.path / BATCH / PART).write_bytes, b"no Parquet")
    reply = await exported.platform.call("GET", f"{ACCESS}/datasets/{DATASET}/preview")
    assert reply.status == 500
    assert reply.body["detail"].startswith("The files of the dataset cannot be read: ")
    monkeypatch.setattr(previews.batch_files, "parts", lambda *_: [Entry(name=PART, path=Path("gone"), length_bytes=1)])
    reply = await exported.platform.call("GET", f"{ACCESS}/datasets/{DATASET}/preview")
    assert reply.status == 503
    assert reply.body["detail"].endswith("Ask again.")


async def test_links_may_name_adobes_own_host(exported, many_parts):
    exported.export()
    await exported.platform.control("quirks", {"production_links": True})
    page = await exported.platform.get(f"{ACCESS}/batches/{BATCH}/files?limit=1")
    host = "https://platform.adobe.io"
    assert page["data"][0]["_links"]["self"]["href"] == f"{host}:443{ACCESS}/files/{BATCH}-1"
    assert page["_links"]["next"]["href"].startswith(f"{host}{ACCESS}/batches/")


async def test_a_file_entry_may_be_a_directory_of_parts(exported, many_parts):
    written = exported.export()
    await exported.platform.control("quirks", {"directory_files": True})
    (one,) = (await exported.platform.get(f"{ACCESS}/batches/{BATCH}/files"))["data"]
    parts = (await exported.platform.get(f"{ACCESS}/files/{one['dataSetFileId']}"))["data"]
    assert [part["name"] for part in parts] == [part.name for part in written.parts]
    later = await exported.platform.get(f"{FILE}?start={written.parts[1].name}&limit=1")
    assert [part["name"] for part in later["data"]] == [written.parts[1].name]
    reply = await exported.platform.call("GET", f"{FILE}?path={written.parts[1].name}")
    assert len(reply.raw) == written.parts[1].length_bytes


async def test_ranges_may_be_ignored(exported):
    length = exported.export().parts[0].length_bytes
    await exported.platform.control("quirks", {"ignore_range": True})
    reply = await exported.platform.call("GET", f"{FILE}?path={PART}", headers={"Range": "bytes=0-9"})
    assert (reply.status, len(reply.raw)) == (200, length)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ({"truncate": 10}, lambda reply, whole: reply.raw == whole[:10]),
        ({"garbage": True}, lambda reply, whole: reply.raw and not whole.startswith(reply.raw)),
        ({"rewrite": {"name": 1}}, lambda reply, whole: reply.raw == whole),
        ({"slow_bytes_per_s": 1_000_000}, lambda reply, whole: reply.raw == whole),
        ({"status": 503}, lambda reply, whole: reply.status == 503),
        ({"delay_s": 0.01}, lambda reply, whole: reply.raw == whole),
    ],
)
async def test_faults_strike_downloads_too(exported, fault, check):
    exported.export()
    whole = (await exported.platform.call("GET", f"{FILE}?path={PART}")).raw
    await exported.platform.control("faults", {"path": f"{ACCESS}/files/*", "fault": fault, "times": 1})
    assert check(await exported.platform.call("GET", f"{FILE}?path={PART}"), whole)


async def test_a_truncated_range_is_cut_within_the_range(exported):
    exported.export()
    whole = (await exported.platform.call("GET", f"{FILE}?path={PART}")).raw
    await exported.platform.control("faults", {"path": f"{ACCESS}/files/*", "fault": {"truncate": 4}, "times": 1})
    reply = await exported.platform.call("GET", f"{FILE}?path={PART}", headers={"Range": "bytes=8-20"})
    assert (reply.status, reply.raw) == (206, whole[8:12])


async def test_a_slow_download_holds_nobody_up(exported):
    exported.export()
    await exported.platform.control(
        "faults", {"path": f"{ACCESS}/files/*", "fault": {"slow_bytes_per_s": 100}, "times": 1}
    )
    slow = asyncio.create_task(exported.platform.call("GET", f"{FILE}?path={PART}"))
    for _ in range(5):
        async with asyncio.timeout(1):
            await exported.platform.get(f"/data/foundation/catalog/batches/{BATCH}")
    assert not slow.done()
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
