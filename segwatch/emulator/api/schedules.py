"""The schedules' routes. AEP contract 5."""

from typing import Any

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.paging import UpsPage
from segwatch.emulator.bodies import json_body
from segwatch.emulator.cron import frequency
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Sandbox, World

EVALUATION = "batch_segmentation"
_TYPES = (EVALUATION, "export")
_STATES = ("active", "inactive")
_DEFAULT_CRON = "0 0 1 * * ?"


class Schedules:
    """GET, POST, PATCH and DELETE of schedules; an update may also come as POST."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        schedules = "/data/core/ups/config/schedules"
        one = f"{schedules}/{{id}}"
        return [
            web.get(schedules, self._list, allow_head=False),
            web.post(schedules, self._create),
            web.get(one, self._get, allow_head=False),
            web.patch(one, self._update),
            web.post(one, self._update),
            web.delete(one, self._delete),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        known = request[CALLER].sandbox.schedules
        page = UpsPage.asked(request, self._world.quirks)
        children = page.cut(known.values())
        return answer(page.document(request, "/config/schedules", children, len(known)))

    async def _create(self, request: web.Request) -> web.Response:
        caller = request[CALLER]
        asked = schedule_request(await json_body(request))
        return answer(new_schedule(self._world, caller.sandbox, asked, org=caller.org))

    async def _get(self, request: web.Request) -> web.Response:
        return answer(_known(request, request[CALLER].sandbox))

    async def _update(self, request: web.Request) -> web.Response:
        schedule = _known(request, request[CALLER].sandbox)
        changes = _changes(await json_body(request))  # all of them are in order before the first is made
        schedule.update(changes)
        schedule["frequency"] = frequency(schedule["schedule"])
        schedule["updateEpoch"] = int(self._world.now())
        self._world.scheduler.refresh()
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        sandbox = request[CALLER].sandbox
        del sandbox.schedules[_known(request, sandbox)["id"]]
        self._world.scheduler.refresh()
        return web.Response(status=204)


def new_schedule(world: World, sandbox: Sandbox, asked: Json, *, org: str) -> Json:
    """Add a schedule to the sandbox, and return it. Raises the 400 of one too many."""
    evaluates = any(one["type"] == EVALUATION for one in sandbox.schedules.values())
    if asked["type"] == EVALUATION and evaluates and Quirk.MULTI_SCHEDULES not in world.quirks:
        raise ServiceError(400, "A schedule for batch segmentation exists already in this organization")
    _, chance = world.draw("schedule")
    now_s = int(world.now())
    schedule: Json = {
        "id": seed.uuid_by(chance),
        "imsOrgId": org,
        "sandbox": seed.sandbox_document(sandbox.name),
        "name": asked["name"],
        "state": asked["state"],
        "type": asked["type"],
        "schedule": asked["schedule"],
        "frequency": frequency(asked["schedule"]),
        "properties": asked["properties"],
        "createEpoch": now_s,
        "updateEpoch": now_s,
    }
    sandbox.schedules[schedule["id"]] = schedule
    world.scheduler.refresh()
    return schedule


def _known(request: web.Request, sandbox: Sandbox) -> Json:
    schedule = sandbox.schedules.get(request.match_info["id"])
    if schedule is None:
        raise ServiceError(404, f"No schedule with id '{request.match_info['id']}' in sandbox '{sandbox.name}'")
    return schedule


def schedule_request(body: Any) -> Json:
    """Return what a create body asks for, found to be in order; raises the 400 that says what is not."""
    if not isinstance(body, dict):
        raise ServiceError(400, "The body is not an object")
    name, kind, properties = body.get("name"), body.get("type"), body.get("properties")
    if not isinstance(name, str) or not name:
        raise ServiceError(400, "name is missing")
    if kind not in _TYPES:
        raise ServiceError(400, f"type is {kind!r}: write one of {', '.join(_TYPES)}")
    if not isinstance(properties, dict):
        raise ServiceError(400, "properties is missing: write {'segments': ['*']}")
    segments = properties.get("segments")
    if kind == EVALUATION and not (
        isinstance(segments, list) and segments and all(isinstance(one, str) for one in segments)
    ):
        raise ServiceError(400, "properties.segments is missing: write ['*'] or a list of ids")
    return {
        "name": name,
        "type": kind,
        "properties": properties,
        "schedule": _cron(body.get("schedule") or _DEFAULT_CRON),
        "state": _state(body.get("state") or "inactive"),
    }


def _changes(body: Any) -> Json:
    if not isinstance(body, list) or not body:
        raise ServiceError(400, 'Write a JSON Patch: [{"op": "add", "path": "/state", "value": "active"}]')
    changes: Json = {}
    for operation in body:
        match operation:
            case {"op": "add" | "replace", "path": "/state", "value": value}:
                changes["state"] = _state(value)
            case {"op": "add" | "replace", "path": "/schedule", "value": value}:
                changes["schedule"] = _cron(value)
            case _:
                raise ServiceError(400, f"{operation!r} cannot be done: add or replace /state or /schedule")
    return changes


def _state(value: object) -> str:
    if not isinstance(value, str) or value not in _STATES:
        raise ServiceError(400, f"state is {value!r}: write active or inactive")
    return value


def _cron(value: object) -> str:
    if not isinstance(value, str):
        raise ServiceError(400, f"schedule is {value!r}: write a cron expression")
    try:
        frequency(value)
    except ValueError as exc:
        raise ServiceError(400, str(exc)) from exc
    return value
