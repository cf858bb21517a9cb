"""Bodies that are no good text: refused in the words of their service, and never a danger to what is kept."""

import asyncio
import json
from urllib.parse import urlsplit

import aiohttp
import pytest
from emulator_fixtures import DATASETS, DEFINITIONS, EXPORT_JOBS, SCHEDULES, SEGMENT_JOBS, an_export, emulating, until
from exported import QUERIES

from segwatch.emulator import bodies
from segwatch.emulator.archive import Archive

HALF = "\ud83d"
BODIES = [
    (DEFINITIONS, {"name": HALF}),
    (SEGMENT_JOBS, [{"segmentId": HALF}]),
    (EXPORT_JOBS, an_export(fields=HALF)),
    (SCHEDULES, {HALF: "n"}),
    (DATASETS, {"name": "n", "description": HALF}),
    (QUERIES, {"dbName": "prod:all", "sql": f"SELECT '{HALF}'"}),
    ("/_emulator/jobs", {"kind": HALF}),
]


@pytest.mark.parametrize(("path", "body"), BODIES)
async def test_half_of_a_surrogate_pair_is_a_400_and_all_others_are_kept(tmp_path, path, body):
    async with emulating(data=tmp_path) as platform:
        reply = await platform.call("POST", path, data=json.dumps(body))
        assert reply.status == 400
        assert b"surrogate" in reply.raw
        in_utf_8 = json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")
        assert (await platform.call("POST", path, data=in_utf_8)).status == 400
        made = await platform.call("POST", DEFINITIONS, json=a_definition("\N{GRINNING FACE}"))
        assert made.status == 200, made.raw
    async with emulating(data=tmp_path) as platform:
        assert (await platform.get(f"{DEFINITIONS}/{made.body['id']}"))["name"] == "\N{GRINNING FACE}"


@pytest.mark.parametrize("depth", [102, 900, 100_000])
@pytest.mark.parametrize("path", [DEFINITIONS, EXPORT_JOBS, QUERIES])
async def test_a_body_that_is_nested_too_deeply_is_a_400(platform, path, depth):
    reply = await platform.call("POST", path, data="[" * depth + "]" * depth)
    assert reply.status == 400
    assert b"nested too deeply" in reply.raw


@pytest.mark.parametrize("text", ['{"name": Infinity}', '{"name": -Infinity}', "[NaN]", '{"name": 1e999}'])
@pytest.mark.parametrize("path", [DEFINITIONS, SEGMENT_JOBS, DATASETS, QUERIES, "/_emulator/jobs"])
async def test_what_is_no_number_in_json_is_a_400_that_names_it(platform, path, text):
    reply = await platform.call("POST", path, data=text)
    assert reply.status == 400
    assert b"The body is not JSON: " in reply.raw


@pytest.mark.parametrize("path", [DEFINITIONS, EXPORT_JOBS, QUERIES, "/_emulator/jobs", "/ims/token/v3"])
@pytest.mark.parametrize(
    ("packed", "body"), [("gzip", b"{}"), ("deflate", b"{}"), ("br", b"{}"), ("gzip", b"\x1f\x8b\x08")]
)
async def test_a_body_that_is_not_packed_as_its_header_says_is_a_400(platform, path, packed, body):
    headers = {"Content-Encoding": packed}
    reply = await platform.call("POST", path, data=body, headers=headers)
    assert reply.status == 400, reply.raw
    await platform.control("faults", {"fault": {"delay_s": 0.001}, "times": 1})
    assert (await platform.call("POST", path, data=body, headers=headers)).status == 400


async def test_after_a_body_that_cannot_be_unpacked_others_are_served_and_nothing_is_logged(platform, caplog):
    headers = platform.headers | {"Content-Encoding": "gzip"}
    async with aiohttp.ClientSession(platform.base_url) as session:
        for _ in range(3):
            async with session.post(EXPORT_JOBS, data=b"{}" * 50_000, headers=headers) as reply:
                assert reply.status == 400
            async with session.post(EXPORT_JOBS, json=an_export(), headers=platform.headers) as reply:
                assert reply.status == 200
    assert not caplog.records


async def test_a_body_that_cannot_be_unpacked_and_comes_behind_its_head_is_a_400_too(monkeypatch, platform):
    monkeypatch.setattr(bodies, "_PACKED_S", 0.2)
    address = urlsplit(platform.base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    headers = platform.headers | {"Host": "x", "Content-Encoding": "deflate", "Content-Length": "2"}
    lines = [f"POST {EXPORT_JOBS} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    await platform.get(EXPORT_JOBS)  # answered behind the other's head
    writer.write(b"{}")
    assert (await reader.readuntil(b"\r\n")).split()[1] == b"400"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("path", [EXPORT_JOBS, "/_emulator/jobs", "/ims/token/v3"])
@pytest.mark.parametrize("fault", [None, {"delay_s": 0.001}])
async def test_a_client_that_goes_away_within_its_body_is_answered_by_nobody_and_logged_nowhere(
    platform, caplog, path, fault
):
    if fault is not None:
        await platform.control("faults", {"fault": fault})
    before = await platform.ledger()
    at_rest = len(asyncio.all_tasks())
    address = urlsplit(platform.base_url)
    headers = platform.headers | {"Host": "x", "Content-Type": "application/x-www-form-urlencoded"}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    for body in (b"Content-Length: 99\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write("\r\n".join(lines).encode() + b"\r\n" + body)
        await platform.get("/_emulator/time")  # answered behind the other's head
        writer.close()
        await writer.wait_closed()

    async def nobody_is_served():
        return len(asyncio.all_tasks()) <= at_rest

    await until(nobody_is_served)
    assert not caplog.records
    assert await platform.ledger() == before


async def test_a_body_that_cannot_be_unpacked_meets_a_fault_all_the_same(platform):
    await platform.control("faults", {"fault": {"status": 503}})
    reply = await platform.call("POST", EXPORT_JOBS, data=b"{}", headers={"Content-Encoding": "gzip"})
    assert reply.status == 503


async def test_a_request_id_that_is_no_utf_8_is_repeated_without_what_it_cannot_say(platform):
    address = urlsplit(platform.base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    for path in (EXPORT_JOBS, f"{DATASETS}/unknown", "/nowhere"):
        lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{name}: {text}" for name, text in platform.headers.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\nx-request-id: a\xff\xfeb\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.split()[1] == ("200" if path == EXPORT_JOBS else "404")
        assert "x-request-id: a??b" in head.lower().splitlines()
        length = next(line for line in head.lower().splitlines() if line.startswith("content-length"))
        await reader.readexactly(int(length.split()[1]))
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nno header"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nb'),
        ("application/x-www-form-urlencoded; charset=nope", b"a=b"),
        ("application/x-www-form-urlencoded", b"\xff"),
    ],
)
@pytest.mark.parametrize("path", ["/ims/exchange/jwt", "/ims/token/v3"])
async def test_a_broken_form_is_a_400_in_the_words_of_ims(platform, path, kind, body):
    await platform.control("quirks", {"jwt_exchange": True})
    reply = await platform.call("POST", path, data=body, headers={"Content-Type": kind})
    assert reply.status == 400
    assert reply.body["error"]


def test_one_text_that_cannot_be_written_keeps_no_other_from_being_written(tmp_path):
    archive = Archive(tmp_path)
    archive.put_documents([("prod", "queries", "1", {"sql": f"a{HALF}b"}), ("prod", "queries", "2", {"sql": "c"})])
    archive.put_request(f"GET /{HALF} 404", 1)
    archive.close()
    archive = Archive(tmp_path)
    assert [one["sql"] for *_, one in archive.documents()] == ["a?b", "c"]
    assert archive.requests() == {"GET /? 404": 1}
    archive.close()


def a_definition(name):
    expression = {"type": "PQL", "format": "pql/text", "value": "true"}
    return {"name": name, "schema": {"name": "_xdm.context.profile"}, "expression": expression}
