"""The list of audiences: the segments of a sandbox, and the one that comes from outside. AEP contract 6.4."""

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.paging import UpsPage, matches, order
from segwatch.emulator.envelopes import answer
from segwatch.emulator.lake.model import EXTERNAL_NAMESPACE, EXTERNAL_SEGMENT_ID
from segwatch.emulator.sandbox import Sandbox
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

_SORTABLE = ("creationTime", "updateTime", "name", "id")


class Audiences:
    """GET of audiences."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/data/core/ups/audiences", self._list, allow_head=False)]

    async def _list(self, request: web.Request) -> web.Response:
        caller, query = request[CALLER], request.query
        page = UpsPage.asked(request, self._world.quirks)
        attribute, downwards = order(request, default="updateTime:desc", known=_SORTABLE)
        rows = [_audience(one) for one in caller.sandbox.definitions.values()]
        rows.append(_external(caller.org, caller.sandbox))
        for name in ("name", "description"):
            if wanted := query.get(name, "").lower():
                rows = [row for row in rows if wanted in row[name].lower()]
        for condition in query.getall("property", []):
            if condition:
                rows = [row for row in rows if matches(row, condition)]
        rows.sort(key=lambda row: (row[attribute], row["id"]), reverse=downwards)
        return answer(page.document(request, "/audiences", page.cut(rows), len(rows)))


def _audience(definition: Json) -> Json:
    return {
        **definition,
        "audienceId": definition["id"],
        "type": "SegmentDefinition",
        "namespace": "AEPSegments",
        "lifecycleState": "published",
        "createEpoch": definition["creationTime"] // 1000,
    }


def _external(org: str, sandbox: Sandbox) -> Json:
    return {
        "id": seed.EXTERNAL_AUDIENCE_ID,
        "audienceId": EXTERNAL_SEGMENT_ID,
        "name": "Site visitors",
        "description": "Comes from Audience Manager",
        "schema": {"name": seed.PROFILE_SCHEMA},
        "imsOrgId": org,
        "sandbox": seed.sandbox_document(sandbox.name),
        "type": "ExternalSegment",
        "namespace": EXTERNAL_NAMESPACE,
        "lifecycleState": "published",
        # microseconds, as external audiences have in a sample of the documents
        "creationTime": seed.SEEDED_AT_MS * 1000,
        "updateTime": seed.SEEDED_AT_MS * 1000,
        "createEpoch": seed.SEEDED_AT_MS // 1000,
        "updateEpoch": seed.SEEDED_AT_MS // 1000,
    }
