"""Every fault that can be injected, seen from the client's end of the connection."""

import asyncio
import json

import aiohttp
import pytest
from emulator_fixtures import (
    DATASETS,
    EXPORT_JOBS,
    SEGMENT,
    SEGMENT_JOBS,
    an_export,
    emulating,
    until,
)

from segwatch.emulator.faults import merge_patch
from segwatch.emulator.server import EmulatorSettings, running


async def inject(platform, fault, path=f"{EXPORT_JOBS}*", **rest):
    return (await platform.control("faults", {"path": path, "fault": fault, **rest}))["id"]


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        (EXPORT_JOBS, 429, {"error_code": "429050", "message": "Too many requests"}),
        (EXPORT_JOBS, 401, {"error_code": "401013"}),
        (EXPORT_JOBS, 503, {"status": 503, "title": "Service Unavailable"}),
        (EXPORT_JOBS, 404, {"status": 404}),
        (EXPORT_JOBS, 599, {"status": 599}),
        (DATASETS, 500, {"type": "/placeholder/type/uri", "status": 500}),
        ("/ims/token/v3", 500, {"error": "internal_server_error"}),
        ("/ims/token/v3", 429, {"error": "too_many_requests"}),
    ],
)
async def test_a_status_without_a_body_gets_the_documented_envelope(platform, path, status, part):
    await inject(platform, {"status": status}, path=f"{path}*")
    reply = await platform.call("POST" if "ims" in path else "GET", path)
    assert reply.status == status
    assert part.items() <= reply.body.items()
    assert reply.headers.get("Retry-After") == ("1" if status == 429 else None)


@pytest.mark.parametrize(
    ("body", "raw", "content_type"),
    [
        ("<html>down</html>", b"<html>down</html>", "text/html"),
        ("down", b"down", "text/plain"),
        ('{"a":1}', b'{"a":1}', "application/json"),
        ({"a": 1}, b'{"a":1}', "application/json"),
        ("", b"", "text/plain"),
    ],
)
async def test_a_status_comes_with_the_given_body_and_headers(platform, body, raw, content_type):
    await inject(platform, {"status": 503, "body": body, "headers": {"Retry-After": "7", "x-mine": "yes"}})
    reply = await platform.call("GET", EXPORT_JOBS)
    assert (reply.status, reply.raw) == (503, raw)
    assert reply.headers["Content-Type"].startswith(content_type)
    assert (reply.headers["Retry-After"], reply.headers["x-mine"]) == ("7", "yes")


async def test_given_headers_replace_the_usual_ones(platform):
    await inject(platform, {"status": 429, "headers": {}})
    assert "Retry-After" not in (await platform.call("GET", EXPORT_JOBS)).headers


async def test_a_delay_only_delays_and_the_request_still_takes_effect(platform):
    await inject(platform, {"delay_s": 0.05})
    loop = asyncio.get_running_loop()
    asked = loop.time()
    assert (await platform.call("POST", EXPORT_JOBS, json=an_export())).status == 200
    assert loop.time() - asked >= 0.05


async def test_a_delay_goes_before_another_fault_and_ignores_the_speed():
    async with emulating(speed=1000) as platform:
        await inject(platform, {"delay_s": 0.05, "status": 503})
        loop = asyncio.get_running_loop()
        asked = loop.time()
        assert (await platform.call("GET", EXPORT_JOBS)).status == 503
        assert loop.time() - asked >= 0.05


async def test_a_reset_request_takes_no_effect(platform):
    await inject(platform, {"reset": True})
    with pytest.raises(aiohttp.ClientOSError) as cut:
        await platform.call("POST", EXPORT_JOBS, json=an_export())
    assert isinstance(cut.value.__cause__ or cut.value, ConnectionResetError | aiohttp.ClientOSError)
    ledger = await platform.ledger()
    assert ledger["submissions"] == []
    assert ledger["requests"][f"POST {EXPORT_JOBS} 0"] == 1


async def test_a_lost_answer_has_taken_effect_and_the_ledger_knows(platform):
    await inject(platform, {"accept_then_reset": True}, method="POST", times=1)
    with pytest.raises(aiohttp.ClientOSError):
        await platform.call("POST", EXPORT_JOBS, json=an_export())
    (job,) = (await platform.get(EXPORT_JOBS))["records"]
    ledger = await platform.ledger()
    assert [(one["kind"], one["id"]) for one in ledger["submissions"]] == [("export_job", job["id"])]
    assert ledger["requests"][f"POST {EXPORT_JOBS} 0"] == 1


async def test_the_cut_is_a_real_reset_and_not_one_byte_was_answered(platform):
    await inject(platform, {"accept_then_reset": True})
    host, port = platform.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    headers = "".join(f"{name}: {text}\r\n" for name, text in platform.headers.items())
    writer.write(f"GET {EXPORT_JOBS} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_truncated_answer_is_valid_http_with_half_a_document(platform):
    await inject(platform, {"truncate": 10})
    reply = await platform.call("GET", EXPORT_JOBS)
    assert (reply.status, len(reply.raw)) == (200, 10)
    assert reply.headers["Content-Length"] == "10"
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.raw)


async def test_garbage_is_a_200_that_is_no_json(platform):
    await inject(platform, {"garbage": True})
    reply = await platform.call("GET", EXPORT_JOBS)
    assert reply.status == 200
    with pytest.raises(ValueError, match=r"decode|Expecting|utf"):
        json.loads(reply.raw)


async def test_a_slow_answer_arrives_whole(platform):
    whole = (await platform.call("GET", EXPORT_JOBS)).raw
    await inject(platform, {"slow_bytes_per_s": 2000})
    loop = asyncio.get_running_loop()
    asked = loop.time()
    reply = await platform.call("GET", EXPORT_JOBS)
    assert reply.raw == whole
    assert loop.time() - asked >= len(whole) / 2000 * 0.8


async def test_rewrite_patches_the_answer(platform):
    (job_id,) = await platform.place("export_job", ["NEW", 3600])
    await inject(platform, {"rewrite": {"status": "DREAMING", "metrics": None, "destination": {"batchId": "b"}}})
    job = await platform.get(f"{EXPORT_JOBS}/{job_id}")
    assert job["status"] == "DREAMING"
    assert "metrics" not in job
    assert job["destination"]["batchId"] == "b"
    assert job["destination"]["segmentPerBatch"] is False


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "foo"}, None, None),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_rfc_7396_shows(target, patch, result):
    assert merge_patch(target, patch) == result


async def test_a_fault_is_for_its_method_and_path_with_or_without_the_query(platform):
    await inject(platform, {"status": 503}, path=EXPORT_JOBS, method="get")
    await inject(platform, {"status": 500}, path=f"{SEGMENT_JOBS}[?]*limit=7*")
    assert (await platform.call("GET", f"{EXPORT_JOBS}?limit=3")).status == 503
    assert (await platform.call("GET", f"{EXPORT_JOBS}/")).status == 503
    assert (await platform.call("GET", f"{EXPORT_JOBS}/1")).status == 404
    assert (await platform.call("POST", EXPORT_JOBS, json=an_export())).status == 200
    assert (await platform.call("GET", f"{SEGMENT_JOBS}?limit=7")).status == 500
    assert (await platform.call("GET", f"{SEGMENT_JOBS}?limit=8")).status == 200


async def test_the_first_fault_that_fits_wins_and_ends_after_its_times(platform):
    await inject(platform, {"status": 500}, times=2)
    await inject(platform, {"status": 503}, times=1)
    codes = [(await platform.call("GET", EXPORT_JOBS)).status for _ in range(4)]
    assert codes == [500, 500, 503, 200]
    assert await platform.control("faults", method="GET") == {"faults": []}


async def test_a_fault_ends_after_its_seconds(platform):
    await inject(platform, {"status": 503}, seconds=0.05)
    assert (await platform.call("GET", EXPORT_JOBS)).status == 503

    async def healed():
        return (await platform.call("GET", EXPORT_JOBS)).status == 200

    await until(healed)


async def test_a_probable_fault_strikes_by_the_seed():
    async def codes(seed):
        async with emulating(seed=seed) as platform:
            await inject(platform, {"status": 503}, probability=0.5)
            return [(await platform.call("GET", EXPORT_JOBS)).status for _ in range(30)]

    first = await codes(1)
    assert {200, 503} == set(first)
    assert await codes(1) == first
    assert await codes(2) != first


async def test_faults_are_listed_and_taken_away_one_by_one_or_all(platform):
    one = await inject(platform, {"status": 503}, times=3)
    await inject(platform, {"garbage": True})
    listed = (await platform.control("faults", method="GET"))["faults"]
    assert [(rule["fault"], rule["left"]) for rule in listed] == [
        ({"status": 503}, 3),
        ({"garbage": True}, None),
    ]
    await platform.control(f"faults/{one}", method="DELETE")
    assert (await platform.call("DELETE", f"/_emulator/faults/{one}")).status == 404
    assert await platform.control("faults", method="DELETE") == {"removed": 1}
    assert (await platform.call("GET", EXPORT_JOBS)).status == 200


async def test_a_fault_strikes_before_the_gateway_looks_at_the_token(platform):
    await inject(platform, {"status": 503})
    assert (await platform.call("GET", EXPORT_JOBS, headers={"Authorization": None})).status == 503


async def test_the_control_api_meets_no_fault(platform):
    await inject(platform, {"status": 503}, path="*")
    assert (await platform.call("GET", "/_emulator/state")).status == 200
    assert (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).status == 503


async def test_stopping_does_not_wait_for_a_delayed_answer():
    async with emulating() as platform:
        await inject(platform, {"delay_s": 3600})
        waiting = asyncio.create_task(platform.call("GET", EXPORT_JOBS))

        async def is_delayed():
            return (await platform.control("faults", method="GET"))["faults"][0]["uses"]

        await until(is_delayed)
    with pytest.raises((aiohttp.ClientError, RuntimeError)):
        await asyncio.wait_for(waiting, 5)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        ({}, "Write one of"),
        ({"status": 503, "reset": True}, "Write one of"),
        ({"explode": True}, "Known names"),
        ({"status": 42}, "200 to 599"),
        ({"truncate": "x"}, "Write a number"),
        ({"delay_s": -1}, "from 0 to 315360000"),
        ({"rewrite": 5}, "merge patch"),
        ({"delay_s": 1, "headers": {}}, "Write the status"),
        ({"status": 503, "headers": 5}, "Retry-After"),
        ({"reset": "yes"}, "true or false"),
        (None, "Write {...}"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_with_a_hint(platform, fault, hint):
    reply = await platform.call("POST", "/_emulator/faults", json={"fault": fault})
    assert reply.status == 400
    assert hint in reply.body["error"]


@pytest.mark.parametrize(("method", "struck"), [("get", True), ("*", True), ("POST", False)])
async def test_a_fault_is_for_one_method_or_for_all(platform, method, struck):
    await platform.control("faults", {"method": method, "path": "/*", "fault": {"status": 503}})
    assert ((await platform.call("GET", EXPORT_JOBS)).status == 503) is struck


async def test_a_fault_for_a_method_that_is_none_is_refused_with_a_hint(platform):
    reply = await platform.call("POST", "/_emulator/faults", json={"method": "PST", "fault": {"reset": True}})
    assert (reply.status, "GET, HEAD, POST" in reply.body["error"]) == (400, True)


async def test_a_client_that_does_not_wait_for_a_delayed_post_has_submitted_nevertheless(platform):
    await inject(platform, {"delay_s": 0.1})
    with pytest.raises(TimeoutError):
        await platform.call("POST", EXPORT_JOBS, json=an_export(), timeout=aiohttp.ClientTimeout(total=0.02))

    async def submitted():
        return (await platform.ledger())["submissions"]

    assert len(await until(submitted)) == 1


async def test_a_client_may_leave_in_the_middle_of_a_slow_answer(platform, caplog):
    await inject(platform, {"slow_bytes_per_s": 100})
    with pytest.raises(TimeoutError):
        await platform.call("GET", EXPORT_JOBS, timeout=aiohttp.ClientTimeout(total=0.1))
    await platform.control("faults", method="DELETE")
    assert (await platform.call("GET", EXPORT_JOBS)).status == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_emulator_can_be_reached_over_ipv6():
    async with running(EmulatorSettings(), host="::1") as base_url, aiohttp.ClientSession() as session:
        assert base_url.startswith("http://[::1]:")
        async with session.get(f"{base_url}/_emulator/state") as reply:
            assert reply.status == 200
