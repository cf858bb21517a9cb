"""The catalog's routes for batches. AEP contract 7.2."""

from aiohttp import web

from segwatch.emulator.api.catalog_list import listed, words
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.lake import batches
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Sandbox, World


class Batches:
    """GET of batches."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        path = "/data/foundation/catalog/batches"
        return [
            web.get(path, self._list, allow_head=False),
            web.get(f"{path}/{{id}}", self._get, allow_head=False),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        dataset_id, batch_id = request.query.get("dataSet", ""), request.query.get("batch", "")
        statuses = {status.lower() for status in words(request, "status")}

        def fits(known_id: str, batch: Json) -> bool:
            return (
                (not dataset_id or batches.dataset_of(batch) == dataset_id)
                and (not batch_id or known_id == batch_id)
                and (not statuses or batch["status"] in statuses)
            )

        rows = listed(request, request[CALLER].sandbox.batches, fits)
        return answer({name: batches.shown(row) for name, row in rows.items()})

    async def _get(self, request: web.Request) -> web.Response:
        batch_id = request.match_info["id"]
        return answer({batch_id: batches.shown(known_batch(request[CALLER].sandbox, batch_id))})


def known_batch(sandbox: Sandbox, batch_id: str) -> Json:
    """Return the batch of that id, or raise the 404."""
    if batch_id not in sandbox.batches:
        raise ServiceError(404, f"No batch with id '{batch_id}' in sandbox '{sandbox.name}'")
    return sandbox.batches[batch_id]
