"""Queries over a real socket, from their submission to their rows."""

from emulator_fixtures import until
from exported import QUERIES

FINAL = ("SUCCESS", "FAILED", "KILLED", "TIMEOUT")


async def submit(platform, sql, **rest):
    reply = await platform.call("POST", QUERIES, json={"dbName": "prod:all", "sql": sql, **rest})
    assert reply.status == 202, reply.raw
    return reply.body


async def ended(platform, query_id):
    async def is_over():
        query = await platform.get(f"{QUERIES}/{query_id}")
        return query if query["state"] in FINAL else None

    return await until(is_over, deadline_s=60)


async def run(platform, sql):
    """Return a query after its end, and its rows."""
    query = await ended(platform, (await submit(platform, sql))["id"])
    kept = await platform.control(f"queries/{query['id']}/rows", method="GET")
    return query, kept["rows"]
