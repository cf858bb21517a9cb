"""Single profiles, looked up by an identity (AEP contract 9)."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from segwatch.kinds.base import Request
from segwatch.kinds.fields import identity, instant, items, mapping, text
from segwatch.kinds.replies import UnreadableRow
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import Fate, NotFound, NotSendable
from segwatch.upstream.records import record, several, what_of

_PATH = "/data/core/ups/access/entities"
_SCHEMA = "_xdm.context.profile"
_MEMBERS = frozenset({"realized", "existing", "entering"})
_LEAVERS = frozenset({"exited", "exiting"})


class Membership(StrEnum):
    """Whether a profile is in a segment. What the platform calls it differs between documents (AEP contract C5)."""

    MEMBER = "member"
    LEFT = "left"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, word: str) -> "Membership":
        """Return what a status means; UNKNOWN for one that no document names."""
        lower = word.strip().lower()
        return cls.MEMBER if lower in _MEMBERS else cls.LEFT if lower in _LEAVERS else cls.UNKNOWN


class SegmentMembership(msgspec.Struct, frozen=True, kw_only=True):
    """A profile in a segment, or out of it again. namespace: in lower case. word: the platform's own for the status."""

    namespace: str
    segment_id: str
    status: Membership = Membership.UNKNOWN
    word: str = ""
    qualified_at: datetime | None = None
    valid_until: datetime | None = None
    version: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One profile. identities: ids by namespace, in lower case. entity: all fields. raw: the record as it came."""

    xid: str
    merge_policy_id: str = ""
    sources: tuple[str, ...] = ()
    identities: dict[str, tuple[str, ...]] = {}
    memberships: tuple[SegmentMembership, ...] = ()
    entity: dict[str, Any] = {}
    modified_at: datetime | None = None
    raw: dict[str, Any] = {}


def read(xid: str, told: dict[str, Any]) -> Profile:
    """Return what the record of a profile tells."""
    entity = mapping(told.get("entity"))
    ids = {
        namespace.lower(): tuple(one for entry in items(held) if (one := identity(mapping(entry).get("id"))))
        for namespace, held in mapping(entity.get("identityMap")).items()
    }
    return Profile(
        xid=identity(told.get("entityId")) or xid,
        merge_policy_id=identity(mapping(told.get("mergePolicy")).get("id")),
        sources=tuple(source for one in items(told.get("sources")) if (source := text(one))),
        identities=ids,
        memberships=tuple(_memberships(mapping(entity.get("segmentMembership")))),
        entity=entity,
        modified_at=instant(told.get("lastModifiedAt")),
        raw=told,
    )


def get_request(id_: str, *, namespace: str = "", fields: Sequence[str] = (), merge_policy: str = "") -> Request:
    """Return the GET of one profile. Raises NotSendable for an id that is empty."""
    asked = (
        ("schema.name", _SCHEMA),
        ("entityId", _given(id_)),
        ("entityIdNS", namespace),
        ("fields", ",".join(field.strip() for field in several(fields, "The fields"))),
        ("mergePolicyId", merge_policy),
    )
    params = tuple((name, value) for name, value in asked if value)
    return Request(method="GET", path=_PATH, endpoint=_PATH, params=params)


async def get(
    client: PlatformClient, id_: str, *, namespace: str = "", fields: Sequence[str] = (), merge_policy: str = ""
) -> Profile:
    """Return one profile. namespace: of the id, such as `email`; needed unless the id is an XID.

    fields: dot paths; none brings all of them. Raises UpstreamError: NotFound also where the platform answers 200 with
    an empty entity, as it does for some of those that it does not know.
    """
    request = get_request(id_, namespace=namespace, fields=fields, merge_policy=merge_policy)

    def only(answer: dict[str, Any]) -> Profile:
        xid, told = next(iter(answer.items()), ("", {}))
        if not isinstance(told, dict):
            raise UnreadableRow("no profile under an id")
        if not _is_known(told, fields):
            said = f"{what_of(client, request)}: no profile is known by {namespace or 'XID'} {id_}"
            raise NotFound(said, fate=Fate.ANSWERED, reason="empty", status=200)
        return read(xid, told)

    return await record(client, request, only)


async def get_many(
    client: PlatformClient, identities: Sequence[tuple[str, str]], *, fields: Sequence[str] = (),
    merge_policy: str = "",
) -> dict[str, Profile]:  # fmt: skip
    """Return the profiles of several identities by their XID; those that are unknown are absent.

    identities: namespace and id of each. Two of one person are one profile. Raises UpstreamError: NotFound when none is
    known, NotSendable for an id that is empty. Of nobody nothing is asked.
    """
    if not identities:
        return {}
    body: dict[str, object] = {
        "schema": {"name": _SCHEMA},
        "identities": [
            {"entityId": _given(id_), **({"entityIdNS": {"code": namespace}} if namespace else {})}
            for namespace, id_ in identities
        ],
    }
    if fields:
        body["fields"] = several(fields, "The fields")
    if merge_policy:
        body["mergePolicyId"] = merge_policy
    request = Request(method="POST", path=_PATH, endpoint=_PATH, body=body)

    def all_of(answer: dict[str, Any]) -> dict[str, Profile]:
        known = (read(xid, told) for xid, told in answer.items() if isinstance(told, dict) and _is_known(told, fields))
        return {profile.xid: profile for profile in known}

    return await record(client, request, all_of)


def _given(id_: str) -> str:
    if not id_.strip():
        raise NotSendable("the id of a profile is empty")
    return id_


def _is_known(told: dict[str, Any], fields: Sequence[str]) -> bool:
    """True for a profile; one of which none of the fields that were asked for is there has a source all the same."""
    return bool(mapping(told.get("entity"))) or (bool(fields) and any(map(text, items(told.get("sources")))))


def _memberships(held: dict[str, Any]) -> Iterator[SegmentMembership]:
    for namespace, segments in held.items():
        for segment_id, entry in mapping(segments).items():
            told = mapping(entry)
            word = text(told.get("status"))
            yield SegmentMembership(
                namespace=namespace.lower(),
                segment_id=segment_id,
                status=Membership.of(word),
                word=word,
                # the older tutorial has either
                qualified_at=instant(told.get("lastQualificationTime")) or instant(told.get("timestamp")),
                valid_until=instant(told.get("validUntil")),
                version=text(told.get("version")),
            )
