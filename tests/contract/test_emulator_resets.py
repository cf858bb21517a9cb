"""A reset that passes while a writing call is under way: what was answered with success is there afterwards."""

import asyncio
import json
import threading
from urllib.parse import urlsplit

import duckdb
import pytest
from emulator_fixtures import (
    DATASETS,
    DEFINITIONS,
    EXPORT_JOBS,
    SCHEDULES,
    SEGMENT,
    SEGMENT_JOBS,
    an_export,
    emulating,
    until,
)
from exported import QUERIES

from segwatch.emulator.api import definitions
from segwatch.emulator.lake import histories, losses

DEFINITION = {
    "name": "mine",
    "schema": {"name": "_xdm.context.profile"},
    "expression": {"type": "PQL", "format": "pql/text", "value": 'homeAddress.country = "BE"'},
}
SCHEDULE = {
    "name": "n",
    "type": "export",
    "properties": {"segments": ["*"]},
    "schedule": "0 0 1 * * ?",
    "state": "inactive",
}
WRITES = [
    pytest.param(DATASETS, {"name": "n", "schemaRef": {"id": "https://ns.example.com/s"}}, id="dataset"),
    pytest.param(DEFINITIONS, DEFINITION, id="definition"),
    pytest.param(SCHEDULES, SCHEDULE, id="schedule"),
    pytest.param(QUERIES, {"dbName": "prod:all", "sql": "SELECT 1"}, id="query"),
    pytest.param(SEGMENT_JOBS, [{"segmentId": SEGMENT}], id="segment-job"),
    pytest.param(EXPORT_JOBS, an_export(), id="export"),
]


class SlowWrite:
    """A POST over a socket of its own, whose body comes in two pieces."""

    def __init__(self, platform, path, body):
        self._platform = platform
        self._body = json.dumps(body).encode()
        headers = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(self._body))}
        lines = [f"{name}: {text}" for name, text in (platform.headers | headers).items()]
        self._head = "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode()

    async def begin(self):
        address = urlsplit(self._platform.base_url)
        self._reader, self._writer = await asyncio.open_connection(address.hostname, address.port)
        self._writer.write(self._head + self._body[:5])
        await self._writer.drain()

    async def status_so_far(self):
        """Return the status of an answer that does not wait for the rest, which is never sent."""
        line = await self._reader.readuntil(b"\r\n")
        await self._end()
        return int(line.split()[1])

    async def finish(self):
        """Return the status and the body of the answer."""
        self._writer.write(self._body[5:])
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line.split()[1] for line in head.splitlines() if line.startswith("content-length"))
        body = json.loads(await self._reader.readexactly(int(length)))
        await self._end()
        return int(head.split()[1]), body

    async def _end(self):
        self._writer.close()
        await self._writer.wait_closed()


@pytest.mark.parametrize(("path", "body"), WRITES)
async def test_a_write_whose_body_comes_in_over_a_reset_is_one_of_the_new_world(platform, path, body):
    write = SlowWrite(platform, path, body)
    await write.begin()
    await platform.get(SEGMENT_JOBS)  # answered behind the other's head
    await platform.control("reset")
    status, made = await write.finish()
    assert status in (200, 201, 202)
    made_id = made[0].rpartition("/")[2] if isinstance(made, list) else made["id"]
    assert (await platform.call("GET", f"{path}/{made_id}")).status == 200
    code = f"POST {path} {status}"
    assert (await platform.ledger())["requests"][code] == 1


async def test_whom_the_gateway_does_not_let_in_is_told_so_before_the_body_is_there(platform):
    platform.headers["Authorization"] = "Bearer no"
    write = SlowWrite(platform, EXPORT_JOBS, an_export())
    await write.begin()
    assert await write.status_so_far() == 401


async def test_a_definition_that_is_checked_over_a_reset_is_one_of_the_new_world(monkeypatch, platform):
    reached, released = asyncio.Event(), asyncio.Event()
    checked = definitions.definition_request

    async def slow(world, body):
        found = await checked(world, body)
        reached.set()
        await released.wait()
        return found

    monkeypatch.setattr(definitions, "definition_request", slow)
    making = asyncio.create_task(platform.call("POST", DEFINITIONS, json=DEFINITION))
    await reached.wait()
    await platform.control("reset")
    released.set()
    made = await making
    assert made.status == 200
    assert await platform.get(f"{DEFINITIONS}/{made.body['id']}") == made.body


class HeldCommit:
    """Lets a piece of work change the lake, and not commit that before it is released."""

    def __init__(self, monkeypatch, room, name):
        self._work = getattr(room, name)
        self._changed, self._released = threading.Event(), threading.Event()
        monkeypatch.setattr(room, name, self._held)

    async def changed(self):
        async def is_changed():
            return self._changed.is_set()

        await until(is_changed)

    def release(self):
        self._released.set()

    def _held(self, cursor, *args, **rest):
        cursor.begin()
        result = self._work(cursor, *args, **rest)
        self._changed.set()
        self._released.wait(timeout=10)
        cursor.commit()
        return result


async def test_a_reset_waits_for_profiles_that_are_being_given_back(monkeypatch):
    async with emulating(size=500) as platform:
        await platform.control("profiles", {"lose": 0.5})
        restoring = HeldCommit(monkeypatch, losses, "restore")
        asked = asyncio.create_task(platform.control("profiles", {"restore": True}))
        await restoring.changed()
        assert await reset_over(platform, restoring) == 200
        assert (await asked)["restored"] > 0


async def test_a_reset_waits_for_a_history_that_is_being_dropped(monkeypatch):
    def failing(*_args, **_rest):
        raise duckdb.IOException("the disk is full")

    monkeypatch.setattr(histories, "put_in_place", failing)
    dropping = HeldCommit(monkeypatch, histories, "forget")
    async with emulating(size=500, speed=100_000) as platform:
        asked = asyncio.create_task(platform.call("POST", "/_emulator/history", json={"days": 2}))
        await dropping.changed()
        assert await reset_over(platform, dropping) == 200
        assert (await asked).status == 409


async def reset_over(platform, held):
    """Return the status of a reset, during which what is held is released, unless it has ended before."""
    resetting = asyncio.create_task(platform.call("POST", "/_emulator/reset"))
    await asyncio.wait([resetting], timeout=0.5)
    held.release()
    return (await resetting).status
