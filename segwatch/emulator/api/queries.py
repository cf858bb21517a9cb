"""The Query Service routes. AEP contract 10."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.front import CALLER, json_body
from segwatch.emulator.api.query_list import page
from segwatch.emulator.api.tables import batches_by_table, files_by_table
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Sandbox, World

if TYPE_CHECKING:
    from segwatch.emulator.lake.queries import Answer, Session

_PATH = "/data/foundation/query/queries"
_FINAL = frozenset({"SUCCESS", "FAILED", "KILLED", "TIMEOUT"})
_AT_ONCE = 2
_TIMEOUT_S = 600.0  # before the speed factor, as every duration here; but the engine is no faster than it is
_TIMEOUT_LEAST_S = 10.0
_INTERRUPT_INTERVAL_S = 0.05
_WRITES = ("templateId", "queryParameters", "insertIntoParameters", "ctasParameters")


class Queries:
    """POST, GET and PATCH of queries, and the tasks that run them. timeout_s: None is the usual one."""

    def __init__(self, world: World, *, timeout_s: float | None = None) -> None:
        self._world = world
        self._timeout_s = timeout_s or max(_TIMEOUT_LEAST_S, _TIMEOUT_S / world.settings.speed)
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="query")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._halting: set[asyncio.Task[None]] = set()
        self._last_ms = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_PATH, self._create),
            web.get(_PATH, self._list, allow_head=False),
            web.get(f"{_PATH}/{{id}}", self._get, allow_head=False),
            web.patch(f"{_PATH}/{{id}}", self._change),
        ]

    async def stop(self) -> None:
        """Interrupt what runs, and return when nothing does."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._halting)
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)

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
        except ModuleNotFoundError as exc:
            message = f"Queries need {exc.name}. Install segwatch[emulator]."
            self._end(query, "FAILED", message=message, kind="SYSTEM_ERROR")
        finally:
            self._tasks.pop(query["id"], None)

    async def _answered(self, sql: str, sandbox: Sandbox) -> "Answer | str":
        """Return what the SQL finds, or what is wrong with it. Cancelled or timed out, it leaves nothing running."""
        from segwatch.emulator.lake.queries import Session, SqlError  # not before somebody needs the engine

        held, folder = batches_by_table(sandbox), self._world.batch_folder.path
        begun, halted = threading.Event(), threading.Event()
        at_work: list[Session] = []

        def work() -> "Answer | str":
            begun.set()
            if halted.is_set():
                return "Nobody waits for it"
            session = Session(files_by_table(folder, held))
            at_work.append(session)
            try:
                return session.run(sql)
            except SqlError as exc:
                return str(exc)
            finally:
                session.close()

        working = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(working)
        finally:
            halted.set()
            if begun.is_set() and not working.done():  # what has not begun sees that it need not
                halting = asyncio.create_task(_halted(working, at_work), name="query:halting")
                self._halting.add(halting)
                halting.add_done_callback(self._halting.discard)

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


async def _halted(working: asyncio.Future[Any], at_work: Sequence["Session"]) -> None:
    """Interrupt until it has ended: an engine that does nothing yet hears of no interruption."""
    while not working.done():
        for session in at_work:
            session.interrupt()
        await asyncio.wait([working], timeout=_INTERRUPT_INTERVAL_S)
    working.exception()  # nobody else looks at it


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
