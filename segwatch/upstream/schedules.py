"""Schedules: when the platform evaluates by itself (AEP contract 5)."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from segwatch.cron import parse
from segwatch.kinds.base import Request
from segwatch.kinds.fields import identity, instant, items, mapping, text
from segwatch.kinds.replies import item_path
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import NotSendable
from segwatch.upstream.paging import nobody, pages
from segwatch.upstream.records import SandboxInfo, checked_id, id_of, record, sandbox_of

PATH = "/data/core/ups/config/schedules"
TYPES = ("batch_segmentation", "export")

_ONE = f"{PATH}/{{id}}"
_STATES = {True: "active", False: "inactive"}


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule, its cron in Quartz's form and in UTC.

    segments: ids, `("*",)` for all; the platform's own schedules may name none. frequency: `daily`, `weekly` and so on,
    "" where the platform does not tell it. raw: the record as it came.
    """

    id: str
    name: str = ""
    state: str = ""
    type: str = ""
    cron: str = ""
    frequency: str = ""
    segments: tuple[str, ...] = ()
    properties: dict[str, Any] = {}
    org_id: str = ""
    sandbox: SandboxInfo | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: dict[str, Any] = {}

    @property
    def is_active(self) -> bool:
        """Return whether the platform runs it."""
        return self.state == "active"


def create_request(
    *, name: str, cron: str, segments: Sequence[str] = ("*",), type_: str = "batch_segmentation", active: bool = False
) -> Request:
    """Return the POST that makes a schedule, its body as the tutorial prints it.

    Raises CronError for a cron that the platform would refuse, NotSendable for what else it would.
    """
    if not name.strip():
        raise NotSendable("A schedule needs a name")
    if type_ not in TYPES:
        raise NotSendable(f"{type_!r} is no type of a schedule: write {' or '.join(TYPES)}")
    wanted = list(dict.fromkeys(segments))
    if not wanted or ("*" in wanted and len(wanted) > 1):
        raise NotSendable("A schedule needs the ids of its segments, or * alone for all of them")
    body = {
        "name": name,
        "type": type_,
        "properties": {"segments": [checked_id(one, "A segment") for one in wanted]},
        "schedule": parse(cron).text,
        "state": _STATES[active],
    }
    return Request(method="POST", path=PATH, endpoint=PATH, body=body)


def state_request(id_: str, *, active: bool) -> Request:
    """Return the PATCH that enables or disables a schedule. Raises NotSendable."""
    return _patch(id_, "/state", _STATES[active])


def time_request(id_: str, cron: str) -> Request:
    """Return the PATCH that changes when a schedule fires. Raises CronError and NotSendable."""
    return _patch(id_, "/schedule", parse(cron).text)


def _patch(id_: str, path: str, value: str) -> Request:
    """Return an update: PATCH and `add`, which every version of the API takes (AEP contract C1, C16)."""
    body = [{"op": "add", "path": path, "value": value}]
    return Request(method="PATCH", path=_path(id_), endpoint=_ONE, body=body)


async def list_(
    client: PlatformClient, *, limit: int = 100, most: int | None = None,
    on_unreadable: Callable[[int], None] = nobody,
) -> AsyncIterator[Schedule]:  # fmt: skip
    """Yield the sandbox's schedules. Raises UpstreamError.

    limit: rows on a page. most: rows in all. on_unreadable: is told of rows that are left out.
    """
    request = Request(method="GET", path=PATH, endpoint=PATH, params=(("limit", str(limit)),))
    rows = pages(
        client, request, rows_at="children", read=read, key=lambda one: one.id, most=most, on_unreadable=on_unreadable
    )
    async for one in rows:
        yield one


async def get(client: PlatformClient, id_: str) -> Schedule:
    """Return one schedule. Raises UpstreamError, NotFound among them."""
    return await record(client, Request(method="GET", path=_path(id_), endpoint=_ONE), read)


async def create(
    client: PlatformClient, *, name: str, cron: str, segments: Sequence[str] = ("*",),
    type_: str = "batch_segmentation", active: bool = False,
) -> Schedule:  # fmt: skip
    """Make a schedule, and return it; on `Fate.LOST` look before you call again. Raises UpstreamError, NotSendable."""
    request = create_request(name=name, cron=cron, segments=segments, type_=type_, active=active)
    return await record(client, request, read)


async def enable(client: PlatformClient, id_: str) -> None:
    """Let a schedule run. The platform may take half an hour to heed it (AEP contract 5). Raises UpstreamError."""
    await client.call(state_request(id_, active=True))


async def disable(client: PlatformClient, id_: str) -> None:
    """Let a schedule rest; an organization with streaming segmentation may not. Raises UpstreamError."""
    await client.call(state_request(id_, active=False))


async def set_time(client: PlatformClient, id_: str, cron: str) -> None:
    """Change when a schedule fires. Raises CronError for one that would be refused, and UpstreamError."""
    await client.call(time_request(id_, cron))


async def delete(client: PlatformClient, id_: str) -> None:
    """Delete a schedule. Raises UpstreamError, NotFound among them."""
    await client.call(Request(method="DELETE", path=_path(id_), endpoint=_ONE))


def _path(id_: str) -> str:
    return item_path(PATH, checked_id(id_, "A schedule"))


def read(record: dict[str, Any], fallback_id: str = "") -> Schedule:
    """Return the schedule that a record tells (AEP contract 5). Raises UnreadableRow for one without an id."""
    properties = mapping(record.get("properties"))
    return Schedule(
        id=id_of(record, fallback_id),
        name=text(record.get("name")),
        state=text(record.get("state")).lower(),
        type=text(record.get("type")),
        cron=text(record.get("schedule")),
        frequency=text(record.get("frequency")),
        segments=tuple(one for entry in items(properties.get("segments")) if (one := identity(entry))),
        properties=properties,
        org_id=text(record.get("imsOrgId")),
        sandbox=sandbox_of(record.get("sandbox")),
        created_at=instant(record.get("createEpoch")),
        updated_at=instant(record.get("updateEpoch")),
        raw=record,
    )
