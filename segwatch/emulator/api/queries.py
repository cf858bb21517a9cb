"""The Query Service routes. AEP contract 10."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.query_list import page
from segwatch.emulator.api.tables import batches_by_table, files_by_table
from segwatch.emulator.bodies import json_body
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.lake.model import Answer
from segwatch.emulator.lake.query_order import QueryEnded, answered
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Sandbox, World

_PATH = "/data/foundation/query/queries"
_FINAL = frozenset({"SUCCESS", "FAILED", "KILLED", "TIMEOUT"})
_AT_ONCE = 2
_TIMEOUT_S = 600.0  # before the speed factor, as every duration here; but the engine is no faster than it is
_TIMEOUT_LEAST_S = 10.0
_WRITES = ("templateId", "queryParameters", "insertIntoParameters", "ctasParameters")


class Queries:
    """POST, GET and PATCH of queries, and the tasks that run them. timeout_s: None is the usual one."""

    def __init__(self, world: World, *, timeout_s: float | None = None) -> None:
        self._world = world
        self._timeout_s = timeout_s or max(_TIMEOUT_LEAST_S, _TIMEOUT_S / world.settings.speed)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._last_ms = 0
        world.stopped_by_reset.append(self.stop)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_PATH, self._create),
            web.get(_PATH, self._list, allow_head=False),
            web.get(f"{_PATH}/{{id}}", self._get, allow_head=False),
            web.patch(f"{_PATH}/{{id}}", self._change),
        ]

    async def stop(self) -> None:
        """End what runs, and return when nothing does."""
        tasks = list(self._tasks.values())
        for task in tasks:
            if not task.cancelling():  # it waits for its process to end, and must not be disturbed in that
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _create(self, request: web.Request) -> web.Response:
        sandbox, asked = request[CALLER].sandbox, _checked(await json_body(request))
        _, chance = self._world.draw("query")
        query_id, at = seed.uuid_by(chance), self._stamp()
        query: Json = {
            "id": query_id,
            "request": asked,
            "state": "SUBMITTED",
            "rowCount": 0,
            "errors": [],
            "isCTAS": False,
            "isInsertInto": False,
            "version": 1,
            "elapsedTime": 0,
            "created": at,
            "updated": at,
            "client": "API",
            "userId": "svc@AdobeID",
            "_rows": [],
            "_deleted": False,
        }
        sandbox.queries[query_id] = query
        lasts_s = (chance.uniform(0.5, 2.0), chance.uniform(1.0, 5.0))
        self._tasks[query_id] = asyncio.create_task(self._run(query, sandbox, lasts_s), name=f"query:{query_id}")
        return answer(self._shown(request, query), status=202)

    async def _list(self, request: web.Request) -> web.Response:
        queries = request[CALLER].sandbox.queries.values()
        for query in queries:
            self._settle(query)
        shown, around = page(request, queries, base=f"{self._origin(request)}{_PATH}")
        return answer({"queries": [self._shown(request, one) for one in shown]} | around)

    async def _get(self, request: web.Request) -> web.Response:
        return answer(self._shown(request, self._known(request)))

    async def _change(self, request: web.Request) -> web.Response:
        query, body = self._known(request), await json_body(request)
        match body:
            case {"op": "cancel"}:
                if query["state"] in _FINAL:
                    raise ServiceError(409, f"The query has ended already: {query['state']}")
                self._end(query, "KILLED")
                if (task := self._tasks.get(query["id"])) is not None:
                    task.cancel()
                return _received("cancel")
            case {"op": "soft_delete"}:
                query["_deleted"] = True
                return _received("soft delete")
            case _:
                raise ServiceError(400, 'Write {"op": "cancel"} or {"op": "soft_delete"}')

    async def _run(self, query: Json, sandbox: Sandbox, lasts_s: tuple[float, float]) -> None:
        """Bring a query to its end. lasts_s: how long it waits and works at least, before the speed factor."""
        loop, speed = asyncio.get_running_loop(), self._world.settings.speed
        try:
            await asyncio.sleep(lasts_s[0] / speed)
            async with self._places:
                query |= {"state": "IN_PROGRESS", "updated": self._stamp()}
                began = loop.time()
                found = await self._answered(query["request"]["sql"], sandbox)
            await asyncio.sleep(max(0.0, lasts_s[1] / speed - (loop.time() - began)))
            if isinstance(found, str):
                self._end(query, "FAILED", message=found)
            else:
                query |= {"rowCount": found.count, "_rows": found.rows}
                self._end(query, "SUCCESS")
        except TimeoutError:
            self._end(query, "TIMEOUT", message=f"The query ran for more than {self._timeout_s:g} s")
        except QueryEnded as exc:
            self._end(query, "FAILED", message=str(exc))
        except ServiceError as exc:
            self._end(query, "FAILED", message=exc.message, kind="SYSTEM_ERROR")
        except OSError as exc:
            self._end(query, "FAILED", message=f"No process for the query: {exc.strerror}", kind="SYSTEM_ERROR")
        finally:
            self._tasks.pop(query["id"], None)

    async def _answered(self, sql: str, sandbox: Sandbox) -> Answer | str:
        """Return what the SQL finds, or what is wrong with it. Cancelled or timed out, it leaves nothing running."""
        self._world.data.demand_engine()
        folder = self._world.batch_folder.path
        files = await asyncio.to_thread(files_by_table, folder, batches_by_table(sandbox))
        return await answered(sql, folder, files, timeout_s=self._timeout_s)

    def _known(self, request: web.Request) -> Json:
        query_id, sandbox = request.match_info["id"], request[CALLER].sandbox
        if query_id not in sandbox.queries:
            raise ServiceError(404, f"No query with id '{query_id}' in sandbox '{sandbox.name}'")
        query = sandbox.queries[query_id]
        self._settle(query)
        return query

    def _settle(self, query: Json) -> None:
        """End a query that nobody runs: the process that did is no more."""
        if query["state"] not in _FINAL and query["id"] not in self._tasks:
            self._end(query, "FAILED", message="The platform was restarted", kind="SYSTEM_ERROR")

    def _end(self, query: Json, state: str, *, message: str | None = None, kind: str = "USER_ERROR") -> None:
        if query["state"] in _FINAL:
            return
        at = self._stamp()
        errors = [{"code": "42601", "message": message, "errorType": kind}] if message is not None else []
        spent = datetime.fromisoformat(at) - datetime.fromisoformat(query["created"])
        query |= {"state": state, "errors": errors, "updated": at, "elapsedTime": int(spent.total_seconds() * 1000)}
        self._world.touch()

    def _stamp(self) -> str:
        """Return the time as text; no two are the same, since lists are cut by it."""
        self._last_ms = max(self._last_ms + 1, int(self._world.now() * 1000))
        at = datetime.fromtimestamp(self._last_ms / 1000, UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _shown(self, request: web.Request, query: Json) -> Json:
        href = f"{self._origin(request)}{_PATH}/{query['id']}"
        links = {
            "self": {"href": href, "method": "GET"},
            "soft_delete": {"href": href, "method": "PATCH", "body": '{ "op": "soft_delete"}'},
            "cancel": {"href": href, "method": "PATCH", "body": '{ "op": "cancel"}'},
        }
        return {name: value for name, value in query.items() if not name.startswith("_")} | {"_links": links}

    def _origin(self, request: web.Request) -> str:
        production = Quirk.PRODUCTION_LINKS in self._world.quirks
        return "https://platform.adobe.io" if production else str(request.url.origin())


def _checked(body: Any) -> Json:
    if not isinstance(body, dict):
        raise ServiceError(400, "The body is not an object")
    for name in _WRITES:
        if body.get(name):
            raise ServiceError(400, f"{name} is not served: write the whole SELECT into sql")
    if not isinstance(body.get("sql"), str) or not body["sql"].strip():
        raise ServiceError(400, 'sql is missing: write such as "SELECT count(*) FROM segment_export"')
    return {name: body[name] for name in ("dbName", "sql", "name", "description") if isinstance(body.get(name), str)}


def _received(what: str) -> web.Response:
    return answer({"message": f"Query {what} request received", "statusCode": 202}, status=202)
