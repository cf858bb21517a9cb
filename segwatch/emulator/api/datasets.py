"""The catalog's routes for datasets. AEP contract 7.1."""

import asyncio
from typing import Any

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.catalog_list import listed
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.patches import patched
from segwatch.emulator.bodies import json_body
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.lake import batch_files, batches
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Sandbox, World

TABLE_TAG = "adobe/pqs/table"

_CHANGEABLE = frozenset({"name", "description", "tags", "schemaRef", "fileDescription", "classification"})


class Catalog:
    """POST, GET, PATCH and DELETE of datasets, under the documented spelling and the one that prose uses."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        routes: list[web.RouteDef] = []
        for datasets in ("/data/foundation/catalog/dataSets", "/data/foundation/catalog/datasets"):
            one = f"{datasets}/{{id}}"
            routes += [
                web.get(datasets, self._list, allow_head=False),
                web.post(datasets, self._create),
                web.get(one, self._get, allow_head=False),
                web.patch(one, self._change),
                web.delete(one, self._delete),
            ]
        return routes

    async def _list(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "")
        known = request[CALLER].sandbox.datasets
        return answer(listed(request, known, lambda _, dataset: not name or dataset["name"] == name))

    async def _create(self, request: web.Request) -> web.Response:
        caller = request[CALLER]
        body = _checked(await json_body(request))
        _, chance = self._world.draw("dataset")
        dataset_id, view_id = (f"{chance.getrandbits(96):024x}" for _ in range(2))
        caller.sandbox.datasets[dataset_id] = seed.dataset(
            name=body["name"],
            sandbox=caller.sandbox.name,
            org=caller.org,
            at_ms=int(self._world.now() * 1000),
            body=body,
            view_id=view_id,
            own_id=dataset_id,
        )
        location = {"Location": f"/data/foundation/catalog/dataSets/{dataset_id}"}
        return answer(self._reference(dataset_id), status=201, headers=location)

    async def _get(self, request: web.Request) -> web.Response:
        dataset_id = request.match_info["id"]
        return answer({dataset_id: known_dataset(request[CALLER].sandbox, dataset_id)})

    async def _change(self, request: web.Request) -> web.Response:
        dataset_id, sandbox = request.match_info["id"], request[CALLER].sandbox
        before = known_dataset(sandbox, dataset_id)
        after = patched(before, await json_body(request))
        fixed = sorted(
            name for name in before | after if before.get(name) != after.get(name) and name not in _CHANGEABLE
        )
        if fixed:
            raise ServiceError(400, f"{', '.join(fixed)} cannot be changed: {', '.join(sorted(_CHANGEABLE))} can")
        _checked(after)
        # integrations rely on the table's name, whatever becomes of the other tags
        after["tags"] = {TABLE_TAG: before["tags"][TABLE_TAG]} | after.get("tags", {})
        after["updated"] = int(self._world.now() * 1000)
        major, minor, patch = before["version"].split(".")
        after["version"] = f"{major}.{minor}.{int(patch) + 1}"
        sandbox.datasets[dataset_id] = after
        return answer(self._reference(dataset_id))

    async def _delete(self, request: web.Request) -> web.Response:
        dataset_id, sandbox = request.match_info["id"], request[CALLER].sandbox
        known_dataset(sandbox, dataset_id)
        del sandbox.datasets[dataset_id]
        # also what is still being written: the export finds its dataset gone, and fails
        held = [name for name, batch in sandbox.batches.items() if batches.dataset_of(batch) == dataset_id]
        for batch_id in held:
            del sandbox.batches[batch_id]
        for batch_id in held:
            await asyncio.to_thread(batch_files.remove, self._world.batch_folder.path, batch_id)
        return answer(self._reference(dataset_id))

    def _reference(self, dataset_id: str) -> list[str]:
        spelling = "datasets" if self._world.settings.dialect == "seed" else "dataSets"
        return [f"@/{spelling}/{dataset_id}"]


def known_dataset(sandbox: Sandbox, dataset_id: str) -> Json:
    """Return the dataset of that id, or raise the 404."""
    if dataset_id not in sandbox.datasets:
        raise ServiceError(404, f"No dataset with id '{dataset_id}' in sandbox '{sandbox.name}'")
    return sandbox.datasets[dataset_id]


def table_of(dataset: Json) -> str:
    """Return the name under which SQL knows a dataset; another dataset may have the same."""
    names = dataset["tags"].get(TABLE_TAG)
    return str(names[0]) if isinstance(names, list) and names else "dataset"


def _checked(body: Any) -> Json:
    if not isinstance(body, dict):
        raise ServiceError(400, "The body is not an object")
    if not isinstance(body.get("name"), str) or not body["name"]:
        raise ServiceError(400, "name is missing")
    schema = body.get("schemaRef")
    if not isinstance(schema, dict) or not isinstance(schema.get("id"), str):
        raise ServiceError(400, f"schemaRef.id is missing: write {seed.UNION_SCHEMA}")
    tags = body.get("tags", {})
    if not isinstance(tags, dict) or not all(isinstance(values, list) for values in tags.values()):
        raise ServiceError(400, 'tags is no object of lists: write {"team": ["crm"]}')
    return body
