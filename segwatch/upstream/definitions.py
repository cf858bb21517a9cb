"""Segment definitions: what an audience is (AEP contract 6)."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from segwatch.kinds.base import Request
from segwatch.kinds.fields import identity, instant, mapping, text, whole
from segwatch.kinds.replies import UNREADABLE, item_path, next_request
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.paging import by_ids, nobody, pages
from segwatch.upstream.records import (
    Expression,
    SandboxInfo,
    checked_id,
    expression_of,
    id_of,
    is_id,
    known_truth,
    object_of,
    record,
    sandbox_of,
)

PATH = "/data/core/ups/segment/definitions"

_ONE = f"{PATH}/{{id}}"
_ALL_SEGMENTS = "all segments"


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """One definition. batch, continuous, synchronous: how it is evaluated; None where that is not told.

    created_at: None also where the platform writes 0. raw: the record as it came.
    """

    id: str
    name: str = ""
    description: str = ""
    expression: Expression | None = None
    merge_policy_id: str = ""
    batch: bool | None = None
    continuous: bool | None = None
    synchronous: bool | None = None
    exclude_opt_out: bool | None = None
    ttl_days: int | None = None
    schema: str = ""
    org_id: str = ""
    sandbox: SandboxInfo | None = None
    profile_instance_id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    baseline_at: datetime | None = None
    raw: dict[str, Any] = {}


def list_request(
    *, limit: int = 100, batch: bool | None = None, continuous: bool | None = None, synchronous: bool | None = None,
    sort: str = "",
) -> Request:  # fmt: skip
    """Return the call for the first page of the definitions that fit (AEP contract 6.1)."""
    switches = {"batch": batch, "continuous": continuous, "synchronous": synchronous}
    params = (
        *((f"evaluationInfo.{name}.enabled", str(on).lower()) for name, on in switches.items() if on is not None),
        *((("sort", sort),) if sort else ()),
        ("limit", str(limit)),
    )
    return Request(method="GET", path=PATH, endpoint=PATH, params=params)


async def list_(
    client: PlatformClient, *, limit: int = 100, batch: bool | None = None, continuous: bool | None = None,
    synchronous: bool | None = None, sort: str = "", most: int | None = None,
    on_unreadable: Callable[[int], None] = nobody,
) -> AsyncIterator[Definition]:  # fmt: skip
    """Yield the sandbox's definitions, the newest first unless `sort` says otherwise. Raises UpstreamError.

    batch, continuous, synchronous: only those that are, or are not, evaluated so. sort: `attribute:asc` or
    `attribute:desc`. limit: rows on a page. most: rows in all. on_unreadable: is told of rows that are left out.
    """
    request = list_request(limit=limit, batch=batch, continuous=continuous, synchronous=synchronous, sort=sort)
    rows = pages(
        client, request, rows_at="segments", read=read, key=lambda one: one.id, most=most, on_unreadable=on_unreadable,
        follow=_following,
    )  # fmt: skip
    async for one in rows:
        yield one


async def get(client: PlatformClient, id_: str) -> Definition:
    """Return one definition. Raises UpstreamError, NotFound among them."""
    path = item_path(PATH, checked_id(id_, "A segment"))
    return await record(client, Request(method="GET", path=path, endpoint=_ONE), read)


async def bulk_get(client: PlatformClient, ids: Iterable[str]) -> dict[str, Definition]:
    """Return several definitions by their ids; those that are unknown are absent. Raises UpstreamError."""
    return await by_ids(client, PATH, ids, read=read)


class Names:
    """The names of segments, kept for a while (AEP contract 6.3)."""

    def __init__(self, client: PlatformClient, *, monotonic: Callable[[], float], keep_s: float = 600.0) -> None:
        """monotonic: a clock in seconds. keep_s: how old a name may grow; so old may also be that there is none."""
        self._client = client
        self._monotonic = monotonic
        self._keep_s = keep_s
        self._known: dict[str, tuple[float, str]] = {"*": (float("inf"), _ALL_SEGMENTS)}

    async def of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return a name for each id: "all segments" for `*`, the id itself where there is none. Raises UpstreamError.

        All that are missing are asked for with one call for each hundred.
        """
        wanted, now = tuple(dict.fromkeys(ids)), self._monotonic()
        missing = [one for one in wanted if self._known.get(one, (now, ""))[0] <= now]
        if missing:
            found = await bulk_get(self._client, filter(is_id, missing))
            for one in missing:
                name = found[one].name if one in found else ""
                self._known[one] = (now + self._keep_s, name or one)
        return {one: self._known[one][1] for one in wanted}


def read(record: dict[str, Any], fallback_id: str = "") -> Definition:
    """Return the definition that a record tells (AEP contract 6.2). Raises UnreadableRow for one without an id."""
    evaluated = mapping(record.get("evaluationInfo"))
    switches = {name: known_truth(mapping(one).get("enabled")) for name, one in evaluated.items()}
    return Definition(
        id=id_of(record, fallback_id),
        name=text(record.get("name")),
        description=text(record.get("description")),
        expression=expression_of(record.get("expression")),
        merge_policy_id=identity(record.get("mergePolicyId")) or identity(mapping(record.get("mergePolicy")).get("id")),
        batch=switches.get("batch"),
        continuous=switches.get("continuous"),
        synchronous=switches.get("synchronous"),
        exclude_opt_out=known_truth(mapping(record.get("dataGovernancePolicy")).get("excludeOptOut")),
        ttl_days=whole(record.get("ttlInDays")),
        schema=text(mapping(record.get("schema")).get("name")),
        org_id=text(record.get("imsOrgId")),
        sandbox=sandbox_of(record.get("sandbox")),
        profile_instance_id=text(record.get("profileInstanceId")),
        created_at=instant(record.get("creationTime")),
        updated_at=instant(record.get("updateTime")) or instant(record.get("updateEpoch")),
        baseline_at=instant(record.get("baselineTime")),
        raw=record,
    )


def _following(envelope: dict[str, msgspec.Raw], request: Request) -> Request | None:
    """Return the next page by the answer's link, else by its count of pages: the link's form is documented nowhere.

    Pages count from zero. Source: AEP contract 6.1.
    """
    if found := next_request(envelope, request):
        return found
    at = whole(dict(request.params).get("page")) or 0
    try:
        total = whole(object_of(envelope["page"]).get("totalPages")) or 0
    except (KeyError, *UNREADABLE):
        return None
    if at + 1 >= total:
        return None
    kept = tuple(pair for pair in request.params if pair[0] != "page")
    return replace(request, params=(*kept, ("page", str(at + 1))))
