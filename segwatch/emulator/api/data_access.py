"""The Data Access routes: the files of batches. AEP contract 8.

A file is found by comparing names with those that the batch has; no path is ever built from what a caller sends.
"""

import asyncio
from urllib.parse import quote, urlencode

from aiohttp import web

from segwatch.emulator.api.batches import known_batch
from segwatch.emulator.api.datasets import known_dataset
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.paging import whole_number
from segwatch.emulator.api.tables import batches_by_table
from segwatch.emulator.downloads import Download, Unsatisfiable, stretch
from segwatch.emulator.envelopes import ServiceError, answer, refused
from segwatch.emulator.lake import batch_files, batches
from segwatch.emulator.lake.batch_files import Entry
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Sandbox, World

_BASE = "/data/foundation/export"
_PRODUCTION = "https://platform.adobe.io"
_LIMIT = 100
_LOOKS = 3  # at a dataset whose files go away while they are read
# the reference spells it both ways
_ALIASES = {"row_error_samples.json": batch_files.ROW_ERRORS_SAMPLE}


class DataAccess:
    """GET of a batch's files, of what a failed one left, and of their content; preview of a dataset."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{_BASE}/batches/{{id}}/files", self._batch_files, allow_head=False),
            web.get(f"{_BASE}/batches/{{id}}/failed", self._failed, allow_head=False),
            web.get(f"{_BASE}/batches/{{id}}/meta", self._meta, allow_head=False),
            web.get(f"{_BASE}/files/{{id}}", self._file, allow_head=False),
            web.head(f"{_BASE}/files/{{id}}", self._file),
            web.get(f"{_BASE}/datasets/{{id}}/preview", self._preview, allow_head=False),
        ]

    async def _batch_files(self, request: web.Request) -> web.Response:
        batch_id, sandbox = request.match_info["id"], request[CALLER].sandbox
        batch = known_batch(sandbox, batch_id)
        parts = await self._parts(batch_id, batch)
        if Quirk.DIRECTORY_FILES in self._world.quirks and parts:
            parts = parts[:1]
        origin = self._origin(request, port=":443")
        rows: list[Json] = [
            {
                "dataSetFileId": f"{batch_id}-{number}",
                "dataSetViewId": sandbox.datasets.get(batches.dataset_of(batch), {}).get("viewId", ""),
                "version": "1.0.0",
                "created": str(batch["created"]),
                "updated": str(batch["updated"]),
                "isValid": False,
                "_links": {"self": {"href": f"{origin}{_BASE}/files/{batch_id}-{number}"}},
            }
            for number, _ in enumerate(parts, start=1)
        ]
        return answer(self._page(request, rows, start=whole_number(request, "start", default=0)))

    async def _failed(self, request: web.Request) -> web.Response:
        return await self._room(request, "failed")

    async def _meta(self, request: web.Request) -> web.Response:
        return await self._room(request, "meta")

    async def _room(self, request: web.Request, room: str) -> web.Response:
        batch_id = request.match_info["id"]
        known_batch(request[CALLER].sandbox, batch_id)
        held = await asyncio.to_thread(batch_files.entries, self._world.batch_folder.path, batch_id, room)
        asked = request.query.get("path", "").strip("/")
        asked = _ALIASES.get(asked, asked)
        if asked and asked not in held:
            raise ServiceError(404, f"Batch '{batch_id}' has nothing at path '{asked}' under {room}")
        if asked and held[asked].path is not None:
            return self._content(request, held[asked])
        inside = [entry for name, entry in held.items() if name.rpartition("/")[0] == asked]
        rows = [self._named(request, f"batches/{batch_id}/{room}", entry) for entry in inside]
        return answer(self._page(request, rows, start=whole_number(request, "start", default=0)))

    async def _file(self, request: web.Request) -> web.Response:
        file_id = request.match_info["id"]
        entries = await self._entries(request[CALLER].sandbox, file_id)
        names = [entry.name for entry in entries]
        asked = request.query.get("path", "")
        if asked:
            if asked not in names:
                raise ServiceError(404, f"File '{file_id}' has no part '{asked}'")
            return self._content(request, entries[names.index(asked)])
        rows = [self._named(request, f"files/{file_id}", entry) for entry in entries]
        # a part may be named to begin with
        start = request.query.get("start", "")
        first = names.index(start) if start in names else whole_number(request, "start", default=0)
        return answer(self._page(request, rows, start=first))

    async def _preview(self, request: web.Request) -> web.Response:
        dataset_id, sandbox_name = request.match_info["id"], request[CALLER].sandbox.name

        def first_rows(batch_ids: list[str]) -> list[Json]:
            from segwatch.emulator.lake import previews  # not before somebody needs the engine

            return previews.first_rows(self._world.batch_folder.path, batch_ids)

        for _ in range(_LOOKS):
            sandbox = self._world.sandbox(sandbox_name)  # a reset puts a new one in the place of the caller's
            known_dataset(sandbox, dataset_id)
            try:
                return answer({"data": await asyncio.to_thread(first_rows, batches_by_table(sandbox)[dataset_id])})
            except ModuleNotFoundError as exc:
                raise ServiceError(503, f"A preview needs {exc.name}. Install segwatch[emulator].") from exc
            except MemoryError as exc:
                raise ServiceError(422, f"{exc}. Ask the Query Service for some of the columns.") from exc
            except ValueError as exc:
                raise ServiceError(500, str(exc)) from exc
            except FileNotFoundError:
                continue  # what is there now is shown: a reset, or a delete of the dataset, was faster
        raise ServiceError(503, f"The files of dataset '{dataset_id}' are being replaced. Ask again.")

    async def _parts(self, batch_id: str, batch: Json) -> list[Entry]:
        if batch["status"] != batches.SUCCESS:
            return []
        return await asyncio.to_thread(batch_files.parts, self._world.batch_folder.path, batch_id)

    async def _entries(self, sandbox: Sandbox, file_id: str) -> list[Entry]:
        """Return what a file id stands for: one part, or with the quirk all of them. Raises the 404."""
        batch_id, _, number = file_id.rpartition("-")
        parts = await self._parts(batch_id, sandbox.batches[batch_id]) if batch_id in sandbox.batches else []
        if not (number.isdecimal() and len(number) < 9 and 1 <= int(number) <= len(parts)):
            raise ServiceError(404, f"No file with id '{file_id}' in sandbox '{sandbox.name}'")
        if Quirk.DIRECTORY_FILES in self._world.quirks:
            return parts
        return [parts[int(number) - 1]]

    def _content(self, request: web.Request, entry: Entry) -> web.Response:
        assert entry.path is not None
        ignores = Quirk.IGNORE_RANGE in self._world.quirks or request.method == "HEAD"
        asked = "" if ignores else request.headers.get("Range", "")
        try:
            part = stretch(asked, entry.length_bytes)
        except Unsatisfiable:
            message = f"Range is {asked!r}, and the file has {entry.length_bytes} bytes"
            response = refused(ServiceError(416, message), path=request.path, request_id=request[CALLER].request_id)
            response.headers["Content-Range"] = f"bytes */{entry.length_bytes}"
            return response
        return Download(entry.path, entry.length_bytes, part=part, content_type="application/octet-stream")

    def _named(self, request: web.Request, where: str, entry: Entry) -> Json:
        query = urlencode({"path": entry.name}, quote_via=quote)
        href = f"{self._origin(request)}{_BASE}/{where}?{query}"
        return {"name": entry.name, "length": str(entry.length_bytes), "_links": {"self": {"href": href}}}

    def _page(self, request: web.Request, rows: list[Json], *, start: int) -> Json:
        limit = min(_LIMIT, whole_number(request, "limit", default=_LIMIT, least=1))
        page: Json = {"data": rows[start : start + limit], "_page": {"limit": limit, "count": len(rows)}}
        if start == 0 and len(rows) <= limit:
            return page
        kept = [(name, text) for name, text in request.query.items() if name == "path"]

        def link(first: int) -> str:
            query = urlencode([*kept, ("start", first), ("limit", limit)], quote_via=quote)
            return f"{self._origin(request)}{request.path.rstrip('/')}?{query}"

        page["_links"] = {"page": {"href": link(start), "templated": True}}
        if start + limit < len(rows):
            page["_links"] = {"next": {"href": link(start + limit)}} | page["_links"]
        return page

    def _origin(self, request: web.Request, *, port: str = "") -> str:
        """Return what a link begins with: where the caller asked, or with the quirk where Adobe would be asked."""
        if Quirk.PRODUCTION_LINKS in self._world.quirks:
            return f"{_PRODUCTION}{port}"
        return str(request.url.origin())
