"""The look-up of single profiles and of their events. AEP contract 9."""

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.api.entity_request import IDENTITIES_MAX, Lookup, asked_by_body, asked_by_query
from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.statuses import shown_status
from segwatch.emulator.bodies import json_body
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from segwatch.emulator.lake.entities import Entity, Event

Found = tuple["Entity", list["Event"]]


class Entities:
    """GET and POST of entities. Memberships are those that the last run decided: a look-up evaluates nothing."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        entities = "/data/core/ups/access/entities"
        return [web.get(entities, self._get, allow_head=False), web.post(entities, self._post)]

    async def _get(self, request: web.Request) -> web.Response:
        lookup = asked_by_query(request)
        (found,) = await self._found(lookup, request[CALLER].sandbox.name)
        if found is None:
            raise ServiceError(404, _unknown(lookup))
        _demand_few_identities(found)
        if lookup.of_events:
            return answer(_events_document(lookup, found, request))
        return answer({found[0].xid: self._document(lookup, found)})

    async def _post(self, request: web.Request) -> web.Response:
        """Answer for each identity by the XID of its profile; one that is unknown is shown empty, under its own id."""
        lookup = asked_by_body(await json_body(request))
        found = await self._found(lookup, request[CALLER].sandbox.name)
        if all(one is None for one in found):
            raise ServiceError(404, _unknown(lookup))
        rows: Json = {}
        for (asked_id, _), one in zip(lookup.ids, found, strict=True):
            if one is None:
                rows[asked_id] = _nobody(asked_id)
                continue
            _demand_few_identities(one)
            rows[one[0].xid] = _events_document(lookup, one, None) if lookup.of_events else self._document(lookup, one)
        return answer(rows, status=207 if None in found else 200)

    async def _found(self, lookup: Lookup, sandbox: str) -> list[Found | None]:
        world = self._world
        lake = await world.lake()
        from segwatch.emulator.lake import entities, external  # the lake brought the engine in

        def find(cursor: "DuckDBPyConnection") -> list[Found | None]:
            external.supply(cursor, sandbox, now=datetime.fromtimestamp(world.now(), UTC))
            wanted = [entities.Wanted(id=one, namespace=namespace) for one, namespace in lookup.ids]
            found: list[Found | None] = []
            for entity in entities.find(cursor, wanted, sandbox=sandbox):
                done = []
                if entity is not None and lookup.of_events:
                    done = entities.events(
                        cursor,
                        entity,
                        start_ms=lookup.start_ms,
                        until_ms=lookup.until_ms,
                        newest_first=lookup.newest_first,
                    )
                found.append(None if entity is None else (entity, done))
            return found

        return await lake.answer(find)

    def _document(self, lookup: Lookup, found: Found) -> Json:
        entity, _ = found
        memberships: dict[str, Json] = {}
        for one in entity.memberships:
            memberships.setdefault(one.namespace, {})[one.segment_id] = {
                "lastQualificationTime": one.since,
                "status": shown_status(self._world, one.status),
            }
        fields = entity.fields | ({"segmentMembership": memberships} if memberships else {})
        return {
            "entityId": entity.xid,
            "mergePolicy": {"id": seed.MERGE_POLICY_ID},
            "sources": [seed.DATASET_ID],
            "entity": _chosen(fields, lookup.fields),
            "lastModifiedAt": max(entity.ingested, *(one.since for one in entity.memberships), ""),
        }


def _events_document(lookup: Lookup, found: Found, request: web.Request | None) -> Json:
    """Return one page of events, with the link to the next; a POST has to be sent again for that."""
    entity, done = found
    starts = _starts(done)
    if lookup.start_at is not None and lookup.start_at not in starts:
        raise ServiceError(400, f"start is {lookup.start_at!r}: no such event is in the span")
    first = starts.index(lookup.start_at) if lookup.start_at is not None else 0
    shown, rest = done[first : first + lookup.limit], starts[first + lookup.limit :]
    page: Json = {"orderby": "-timestamp" if lookup.newest_first else "timestamp", "count": len(shown)}
    if shown:
        page["start"] = starts[first]
    link = ""
    if rest:
        page["next"] = rest[0]
        if request is not None:
            kept = [(name, text) for name, text in request.query.items() if text and name != "start"]
            link = f"/entities?{urlencode([('start', rest[0]), *kept], quote_via=quote)}"
    return {
        "_page": page,
        "children": [
            {
                "relatedEntityId": entity.xid,
                "entityId": event.id,
                "timestamp": event.at_ms,
                "entity": _chosen(event.fields, lookup.fields),
                "lastModifiedAt": event.fields.get("ingestTimestamp", entity.ingested),
            }
            for event in shown
        ],
        "_links": {"next": {"href": link}},
    }


def _starts(done: list["Event"]) -> list[str]:
    """Return what each event is called where a page begins with it: its id, and a number where another has that id."""
    repeats: Counter[str] = Counter()
    starts: dict[str, None] = {}
    for event in done:
        start = event.id
        while start in starts:
            repeats[event.id] += 1
            start = f"{event.id}#{repeats[event.id]}"
        starts[start] = None
    return list(starts)


def _demand_few_identities(found: Found) -> None:
    if found[0].identities > IDENTITIES_MAX:
        raise ServiceError(422, "Too many related identities")


def _nobody(asked_id: str) -> Json:
    return {"entityId": asked_id, "sources": [""], "entity": {}, "lastModifiedAt": "1970-01-01T00:00:00Z"}


def _unknown(lookup: Lookup) -> str:
    named = ", ".join(f"{namespace or 'XID'} {one}" for one, namespace in lookup.ids)
    hint = "" if all(namespace for _, namespace in lookup.ids) else ". Write the namespace of an id that is no XID"
    return f"No profile is known by {named}{hint}"


def _chosen(fields: Json, paths: tuple[str, ...]) -> Json:
    """Return the part of a document that the paths lead to; no paths take all of it."""
    if not paths:
        return fields
    kept: Json = {}
    for path in paths:
        _keep(fields, path.split("."), kept)
    return kept


def _keep(source: Json, path: list[str], kept: Json) -> None:
    name, *below = path
    if name not in source:
        return
    value: Any = source[name]
    if not below:
        kept[name] = value
    elif isinstance(value, dict) and kept.get(name) is not value:
        _keep(value, below, kept.setdefault(name, {}))
        if not kept[name]:
            del kept[name]
