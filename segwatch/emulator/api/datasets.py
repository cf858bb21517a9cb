"""The catalog's routes for datasets. AEP contract 7.1."""

from itertools import islice
from typing import Any

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.front import CALLER, json_body
from segwatch.emulator.api.paging import whole_number
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

_LIMIT_MAX = 100


class Catalog:
    """POST and GET of datasets, under the documented spelling and the one that prose uses."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        routes: list[web.RouteDef] = []
        for datasets in ("/data/foundation/catalog/dataSets", "/data/foundation/catalog/datasets"):
            routes += [
                web.get(datasets, self._list, allow_head=False),
                web.post(datasets, self._create),
                web.get(f"{datasets}/{{id}}", self._get, allow_head=False),
            ]
        return routes

    async def _list(self, request: web.Request) -> web.Response:
        limit = whole_number(request, "limit", default=20, least=1)
        if limit > _LIMIT_MAX:
            raise ServiceError(400, f"limit is {limit}: write {_LIMIT_MAX} or less")
        start = whole_number(request, "start", default=0)
        known = request[CALLER].sandbox.datasets
        return answer(dict(islice(known.items(), start, start + limit)))

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
        spelling = "datasets" if self._world.settings.dialect == "seed" else "dataSets"
        location = {"Location": f"/data/foundation/catalog/dataSets/{dataset_id}"}
        return answer([f"@/{spelling}/{dataset_id}"], status=201, headers=location)

    async def _get(self, request: web.Request) -> web.Response:
        dataset_id, sandbox = request.match_info["id"], request[CALLER].sandbox
        if dataset_id not in sandbox.datasets:
            raise ServiceError(404, f"No dataset with id '{dataset_id}' in sandbox '{sandbox.name}'")
        return answer({dataset_id: sandbox.datasets[dataset_id]})


def _checked(body: Any) -> Json:
    if not isinstance(body, dict):
        raise ServiceError(400, "The body is not an object")
    if not isinstance(body.get("name"), str) or not body["name"]:
        raise ServiceError(400, "name is missing")
    schema = body.get("schemaRef")
    if not isinstance(schema, dict) or not isinstance(schema.get("id"), str):
        raise ServiceError(400, f"schemaRef.id is missing: write {seed.UNION_SCHEMA}")
    return body
