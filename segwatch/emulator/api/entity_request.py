"""What a look-up of profiles or of their events asks for, checked. AEP contract 9."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from segwatch.emulator import seed
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json

EVENT_SCHEMA = "_xdm.context.experienceevent"
IDENTITIES_MAX = 50  # that belong to one profile, and that one request may name
_EVENTS_MAX = 1000
_ORDERS = ("timestamp", "+timestamp", "-timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Profiles, or the events of profiles.

    ids: with the namespace of each; None means that it is an XID. fields: dot paths; none of them takes all.
    start_ms, until_ms: when events happened, epoch ms, bounds included. start_at: the event that begins the page.
    """

    of_events: bool
    ids: tuple[tuple[str, str | None], ...]
    fields: tuple[str, ...]
    start_ms: int | None = None
    until_ms: int | None = None
    limit: int = _EVENTS_MAX
    newest_first: bool = False
    start_at: str | None = None


def asked_by_query(request: web.Request) -> Lookup:
    """Return what a GET asks for. Raises ServiceError."""
    query = {name: value for name, value in request.query.items() if value}
    of_events = _of_events(query.get("schema.name"), query.get("relatedSchema.name"))
    prefix = "relatedEntityId" if of_events else "entityId"
    if prefix not in query:
        raise ServiceError(400, f"{prefix} is missing")
    return _lookup(
        query,
        of_events=of_events,
        ids=((query[prefix], query.get(f"{prefix}NS")),),
        fields=query.get("fields", "").split(","),
        span=query,
    )


def asked_by_body(body: Any) -> Lookup:
    """Return what a POST asks for. Raises ServiceError."""
    if not isinstance(body, dict):
        raise ServiceError(400, "The body is not an object")
    of_events = _of_events(_name(body.get("schema")), _name(body.get("relatedSchema")))
    entries, fields = body.get("identities"), body.get("fields") or []
    if not isinstance(entries, list) or not entries:
        raise ServiceError(400, 'identities is missing: write [{"entityId": "...", "entityIdNS": {"code": "email"}}]')
    if len(entries) > IDENTITIES_MAX:
        raise ServiceError(422, f"Too many related identities: {len(entries)}, and {IDENTITIES_MAX} may be asked for")
    if not isinstance(fields, list) or not all(isinstance(one, str) for one in fields):
        raise ServiceError(400, "fields is no list of paths")
    span = body.get("timeFilter") or {}
    if not isinstance(span, dict):
        raise ServiceError(400, "timeFilter is no object")
    prefix = "relatedEntityId" if of_events else "entityId"
    ids = tuple(_identity(entry, prefix) for entry in entries)
    return _lookup(body, of_events=of_events, ids=ids, fields=fields, span=span)


def _lookup(
    asked: Mapping[str, Any],
    *,
    of_events: bool,
    ids: tuple[tuple[str, str | None], ...],
    fields: Iterable[str],
    span: Mapping[str, Any],
) -> Lookup:
    if asked.get("mergePolicyId", seed.MERGE_POLICY_ID) != seed.MERGE_POLICY_ID:
        raise ServiceError(404, f"No merge policy with id '{asked['mergePolicyId']}'")
    wanted = tuple(field.strip() for field in fields if field.strip())
    if not of_events:
        return Lookup(of_events=False, ids=ids, fields=wanted)
    if asked.get("property"):
        raise ServiceError(400, "property is not computed here: read all events, and choose among them")
    order = asked.get("orderby", "timestamp")
    if isinstance(order, str):
        order = order.replace(" ", "+")  # a plus that nobody escaped arrives as a blank
    if order not in _ORDERS:
        raise ServiceError(400, f"orderby is {order!r}: write +timestamp or -timestamp")
    limit = _whole("limit", asked.get("limit", _EVENTS_MAX))
    if not 1 <= limit <= _EVENTS_MAX:
        raise ServiceError(400, f"limit is {limit}: write 1 to {_EVENTS_MAX}")
    return Lookup(
        of_events=True,
        ids=ids,
        fields=wanted,
        start_ms=_whole("startTime", span["startTime"]) if span.get("startTime") else None,
        until_ms=_whole("endTime", span["endTime"]) if span.get("endTime") else None,
        limit=limit,
        newest_first=order == "-timestamp",
        start_at=asked.get("start"),
    )


def _of_events(schema: Any, related: Any) -> bool:
    match schema, related:
        case seed.PROFILE_SCHEMA, _:
            return False
        case "_xdm.context.experienceevent", seed.PROFILE_SCHEMA:
            return True
        case "_xdm.context.experienceevent", _:
            raise ServiceError(400, f"relatedSchema.name is missing: write {seed.PROFILE_SCHEMA}")
        case None, _:
            raise ServiceError(400, f"schema.name is missing: write {seed.PROFILE_SCHEMA}")
        case _:
            raise ServiceError(400, f"schema.name is {schema!r}: write {seed.PROFILE_SCHEMA} or {EVENT_SCHEMA}")


def _name(schema: Any) -> Any:
    return schema.get("name") if isinstance(schema, dict) else None


def _identity(entry: Any, prefix: str) -> tuple[str, str | None]:
    fields: Json = entry if isinstance(entry, dict) else {}
    entity_id, namespace = fields.get(prefix), fields.get(f"{prefix}NS")
    code = namespace.get("code") if isinstance(namespace, dict) else namespace
    if not isinstance(entity_id, str) or not entity_id or not (code is None or isinstance(code, str)):
        raise ServiceError(
            400, f'identities holds {entry!r}: write {{"{prefix}": "...", "{prefix}NS": {{"code": ..}}}}'
        )
    return entity_id, code


def _whole(name: str, value: Any) -> int:
    text = str(value)
    if not text.isdecimal() or len(text) > 15:
        raise ServiceError(400, f"{name} is {value!r}: write a whole number")
    return int(text)
