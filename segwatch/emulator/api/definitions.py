"""The segment definitions' routes, and the merge policy that they share. AEP contract 6."""

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.definition_request import definition_request
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.paging import order, whole_number
from segwatch.emulator.api.segment_jobs import asked_ids
from segwatch.emulator.bodies import json_body
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.sandbox import Sandbox
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

_SORTABLE = ("creationTime", "updateTime", "name", "id")
_EVALUATIONS = ("batch", "continuous", "synchronous")


class Definitions:
    """GET, POST, bulk-get, PATCH and DELETE of segment definitions, GET of merge policies."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        base = "/data/core/ups"
        return [
            web.get(f"{base}/segment/definitions", self._list, allow_head=False),
            web.post(f"{base}/segment/definitions", self._create),
            web.post(f"{base}/segment/definitions/bulk-get", self._bulk_get),
            web.get(f"{base}/segment/definitions/{{id}}", self._get, allow_head=False),
            web.patch(f"{base}/segment/definitions/{{id}}", self._update),
            web.delete(f"{base}/segment/definitions/{{id}}", self._delete),
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
        return answer(_known(request))

    async def _create(self, request: web.Request) -> web.Response:
        caller, world = request[CALLER], self._world
        body = await definition_request(world, await json_body(request))
        _demand_free_name(caller.sandbox, body["name"])
        _, chance = world.draw("definition")
        segment_id = seed.uuid_by(chance)
        caller.sandbox.definitions[segment_id] = seed.definition(
            segment_id=segment_id,
            sandbox=caller.sandbox.name,
            org=caller.org,
            at_ms=int(world.now() * 1000),
            body=body,
        )
        location = {"X-Location": f"/segment/definitions/{segment_id}"}
        return answer(caller.sandbox.definitions[segment_id], headers=location)

    async def _update(self, request: web.Request) -> web.Response:
        """Replace what the body names, and keep the rest; the whole definition is checked again."""
        caller, body = request[CALLER], await json_body(request)
        if not isinstance(body, dict):
            raise ServiceError(400, "The body is not an object: write the definition, no JSON Patch")
        checked = await definition_request(self._world, _known(request) | body)
        old = _known(request)  # as it is by now
        _demand_free_name(caller.sandbox, checked["name"], but=old["id"])
        now_ms = int(self._world.now() * 1000)
        # a new object, since others may be reading the old one
        new = old | checked | {"updateTime": now_ms, "updateEpoch": now_ms // 1000}
        caller.sandbox.definitions[old["id"]] = new
        return answer(new)

    async def _delete(self, request: web.Request) -> web.Response:
        definition_id = _known(request)["id"]
        del request[CALLER].sandbox.definitions[definition_id]
        message = f"Segment definition with id '{definition_id}' has been deleted"
        return answer({"status": True, "message": message})

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


def _known(request: web.Request) -> Json:
    definition_id, sandbox = request.match_info["id"], request[CALLER].sandbox
    if definition_id not in sandbox.definitions:
        raise ServiceError(404, f"No segment definition with id '{definition_id}' in sandbox '{sandbox.name}'")
    return sandbox.definitions[definition_id]


def _demand_free_name(sandbox: Sandbox, name: str, *, but: str | None = None) -> None:
    if any(one["name"] == name and one["id"] != but for one in sandbox.definitions.values()):
        raise ServiceError(422, f"A segment definition with the name {name!r} exists already")


def _is_wanted(definition: Json, request: web.Request) -> bool:
    asked = ((name, request.query.get(f"evaluationInfo.{name}.enabled", "")) for name in _EVALUATIONS)
    return all(not text or definition["evaluationInfo"][name]["enabled"] == (text == "true") for name, text in asked)
