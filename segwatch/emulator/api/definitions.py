"""The segment definitions' routes, and the merge policy that they share. AEP contract 6."""

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.front import CALLER, json_body
from segwatch.emulator.api.paging import order, whole_number
from segwatch.emulator.api.segment_jobs import asked_ids
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

_SORTABLE = ("creationTime", "updateTime", "name", "id")
_EVALUATIONS = ("batch", "continuous", "synchronous")


class Definitions:
    """GET and bulk-get of segment definitions, GET of merge policies."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        base = "/data/core/ups"
        return [
            web.get(f"{base}/segment/definitions", self._list, allow_head=False),
            web.post(f"{base}/segment/definitions/bulk-get", self._bulk_get),
            web.get(f"{base}/segment/definitions/{{id}}", self._get, allow_head=False),
            web.get(f"{base}/config/mergePolicies", self._merge_policies, allow_head=False),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        limit = whole_number(request, "limit", default=100, least=1)
        number = whole_number(request, "page", default=whole_number(request, "start", default=0))
        attribute, downwards = order(request, default="creationTime:desc", known=_SORTABLE)
        rows = [one for one in request[CALLER].sandbox.definitions.values() if _is_wanted(one, request)]
        rows.sort(key=lambda one: str(one[attribute]), reverse=downwards)
        pages = -(-len(rows) // limit)
        shown = rows[number * limit : (number + 1) * limit]
        following = {"next": f"/segment/definitions?page={number + 1}&limit={limit}"}
        return answer(
            {
                "segments": shown,
                "page": {
                    "totalCount": len(rows),
                    "totalPages": pages,
                    "sortField": attribute,
                    "sort": "desc" if downwards else "asc",
                    "pageSize": len(shown),
                    "limit": limit,
                },
                "link": following if number + 1 < pages else {},
            }
        )

    async def _get(self, request: web.Request) -> web.Response:
        definition_id, sandbox = request.match_info["id"], request[CALLER].sandbox
        if definition_id not in sandbox.definitions:
            raise ServiceError(404, f"No segment definition with id '{definition_id}' in sandbox '{sandbox.name}'")
        return answer(sandbox.definitions[definition_id])

    async def _bulk_get(self, request: web.Request) -> web.Response:
        known = request[CALLER].sandbox.definitions
        ids = asked_ids(await json_body(request))
        return answer({"results": {one: known[one] for one in ids if one in known}}, status=207)

    async def _merge_policies(self, request: web.Request) -> web.Response:
        policy: Json = {
            "id": seed.MERGE_POLICY_ID,
            "name": "Default",
            "imsOrgId": request[CALLER].org,
            "schema": {"name": seed.PROFILE_SCHEMA},
            "version": 1,
            "default": True,
            "identityGraph": {"type": "none"},
            "attributeMerge": {"type": "timestampOrdered"},
        }
        page = {"totalCount": 1, "pageSize": 1}
        return answer({"_page": page, "children": [policy], "_links": {"next": {}}})


def _is_wanted(definition: Json, request: web.Request) -> bool:
    asked = ((name, request.query.get(f"evaluationInfo.{name}.enabled", "")) for name in _EVALUATIONS)
    return all(not text or definition["evaluationInfo"][name]["enabled"] == (text == "true") for name, text in asked)
