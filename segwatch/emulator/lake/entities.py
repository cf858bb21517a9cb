"""Single profiles: who they are, what is known of them, which segments they are in, and what they did."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from segwatch.emulator import pql
from segwatch.emulator.lake.documents import column_types, document, iso, parts
from segwatch.emulator.lake.tables import OWN_COLUMNS, reserved
from segwatch.emulator.settings import Json

_EVENTS = "xEvent"
_P, _IDS, _EVENT = (reserved(name) for name in ("p", "ids", "event"))
_IS_THERE = "_n NOT IN (SELECT _n FROM lost WHERE sandbox = $sandbox)"
_BY_IDENTITY = f"""
SELECT min(_n) FROM identity WHERE id = $id AND lower(namespace) = lower($namespace) AND {_IS_THERE}
"""
_BY_XID = f"SELECT _n FROM profile WHERE _xid = $id AND {_IS_THERE}"

_ONE = f"""
SELECT _xid, CAST(_ingested AS VARCHAR), to_json({_P}),
  CAST(list_sum(list_transform(map_values(identityMap), lambda {_IDS}: len({_IDS}))) AS BIGINT)
FROM (SELECT *{{without_events}} FROM profile) AS {_P} WHERE _n = $n
"""
_MEMBERSHIPS = """
SELECT namespace, segment_id, status, CAST(since AS VARCHAR) FROM membership
WHERE sandbox = $sandbox AND _n = $n ORDER BY namespace, segment_id
"""
# by whole milliseconds, in which callers see the times and ask for them
_HAPPENED = f"""
SELECT to_json({_EVENT}), at_ms, to_json({_EVENT})->>'$._id'
FROM (
  SELECT {_EVENT}, epoch_ms({{when}}) AS at_ms
  FROM (SELECT unnest(xEvent) AS {_EVENT} FROM profile WHERE _n = $n)
)
WHERE at_ms >= coalesce($start_ms, at_ms) AND at_ms <= coalesce($until_ms, at_ms)
ORDER BY at_ms {{direction}}, 3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One profile that somebody asks for. namespace: of the identity; None for an XID."""

    id: str
    namespace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """That a profile is, or was, in a segment. since: when it entered or left, ISO 8601."""

    namespace: str
    segment_id: str
    status: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One profile. fields: its record and identities. identities: how many it has. ingested: ISO 8601."""

    number: int
    xid: str
    fields: Json
    identities: int
    ingested: str
    memberships: tuple[Membership, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that a profile did. at_ms: when, epoch ms."""

    id: str
    at_ms: int
    fields: Json


def find(cursor: DuckDBPyConnection, wanted: Iterable[Wanted], *, sandbox: str) -> list[Entity | None]:
    """Return each profile that is asked for; None for one that the sandbox does not have."""
    kinds = column_types(cursor, "profile")
    shown = [(name, kind) for name, kind in kinds.items() if name not in (*OWN_COLUMNS, _EVENTS)]
    # which are most of a row's weight, and not shown
    query = _ONE.format(without_events=f" EXCLUDE ({_EVENTS})" if _EVENTS in kinds else "")
    found: list[Entity | None] = []
    for one in wanted:
        number = _number(cursor, one, sandbox)
        if number is None:
            found.append(None)
            continue
        xid, ingested, text, identities = _rows(cursor, query, n=number)[0]
        found.append(
            Entity(
                number=number,
                xid=xid,
                fields=document(text, shown),
                identities=identities,
                ingested=iso(ingested),
                memberships=tuple(
                    Membership(namespace=namespace, segment_id=segment_id, status=status, since=iso(since))
                    for namespace, segment_id, status, since in _rows(cursor, _MEMBERSHIPS, sandbox=sandbox, n=number)
                ),
            )
        )
    return found


def events(
    cursor: DuckDBPyConnection, entity: Entity, *, start_ms: int | None, until_ms: int | None, newest_first: bool
) -> list[Event]:
    """Return what a profile did in a span of time (epoch ms, bounds included), in the order of its times."""
    kind = column_types(cursor, "profile").get(_EVENTS)
    fields = {} if kind is None else parts(parts(kind)["child"])
    when = pql.time_of(f'{_EVENT}."timestamp"', fields["timestamp"]) if "timestamp" in fields else None
    if when is None:
        return []
    query = _HAPPENED.format(when=when, direction="DESC" if newest_first else "ASC")
    rows = _rows(cursor, query, n=entity.number, start_ms=start_ms, until_ms=until_ms)
    return [
        Event(id=event_id or f"{entity.xid}-{place}", at_ms=at_ms, fields=document(text, fields.items()))
        for place, (text, at_ms, event_id) in enumerate(rows)
    ]


def _number(cursor: DuckDBPyConnection, wanted: Wanted, sandbox: str) -> int | None:
    given: dict[str, Any] = {"id": wanted.id, "sandbox": sandbox}
    if wanted.namespace is None:
        rows = _rows(cursor, _BY_XID, **given)
    else:
        rows = _rows(cursor, _BY_IDENTITY, namespace=wanted.namespace, **given)
    return rows[0][0] if rows else None


def _rows(cursor: DuckDBPyConnection, query: str, **given: Any) -> list[Any]:
    return cursor.execute(query, given).fetchall()
