"""Datasets that exports write to (AEP contract 7.1)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec

from segwatch.kinds.base import Request
from segwatch.kinds.excerpts import excerpt
from segwatch.kinds.fields import identity, instant, items, mapping, text
from segwatch.upstream.catalog import entry
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import BadReply, Fate, NotSendable, UpstreamError
from segwatch.upstream.paging import catalog_pages

UNION = "https://ns.adobe.com/xdm/context/profile__union"

_PATH = "/data/foundation/catalog/dataSets"
_CONTENT_TYPE = "application/vnd.adobe.xed+json;version=1"
_TABLE_TAG = "adobe/pqs/table"
_LOOKS = 3  # after a lost answer: the catalog may be slow to show what was just made
_PAUSE_S = 2.0


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset.

    schema: the id of the one it is built on. table: its name in SQL. files: the reference under which its files are
    listed. raw: the record as it came.
    """

    id: str
    name: str = ""
    description: str = ""
    schema: str = ""
    schema_content_type: str = ""
    tags: dict[str, tuple[str, ...]] = {}
    table: str = ""
    org_id: str = ""
    sandbox_id: str = ""
    version: str = ""
    view_id: str = ""
    files: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str = ""
    updated_by: str = ""
    last_batch: str = ""
    last_batch_status: str = ""
    last_good_batch: str = ""
    classification: dict[str, str] = {}
    file_description: dict[str, Any] = {}
    raw: dict[str, Any] = {}

    @property
    def holds_profiles(self) -> bool:
        """True when it is built on the union schema, so that an export can write to it."""
        return self.schema == UNION


def read(id_: str, record: dict[str, Any]) -> Dataset:
    """Return what the catalog's record of a dataset tells."""
    schema = mapping(record.get("schemaRef"))
    tags = {name: tuple(map(text, items(values))) for name, values in mapping(record.get("tags")).items()}
    classification = mapping(record.get("classification"))
    return Dataset(
        id=id_,
        name=text(record.get("name")),
        description=text(record.get("description")),
        schema=text(schema.get("id")),
        schema_content_type=text(schema.get("contentType")),
        tags=tags,
        table=next(iter(tags.get(_TABLE_TAG, ())), ""),
        org_id=text(record.get("imsOrg")),
        sandbox_id=text(record.get("sandboxId")),
        version=text(record.get("version")),
        view_id=identity(record.get("viewId")),
        files=text(record.get("files")),
        created_at=instant(record.get("created")),
        updated_at=instant(record.get("updated")),
        created_by=text(record.get("createdUser")),
        updated_by=text(record.get("updatedUser")),
        last_batch=identity(record.get("lastBatchId")),
        last_batch_status=text(record.get("lastBatchStatus")).lower(),
        last_good_batch=identity(record.get("lastSuccessfulBatch")),
        classification={name: text(value) for name, value in classification.items()},
        file_description=mapping(record.get("fileDescription")),
        raw=record,
    )


def create_request(name: str, *, description: str = "") -> Request:
    """Return the POST that makes a dataset which can hold profiles; the body as the newer tutorial prints it.

    Raises NotSendable for a name that is empty.
    """
    if not name.strip():
        raise NotSendable("a dataset needs a name")
    body: dict[str, object] = {
        "name": name,
        "schemaRef": {"id": UNION, "contentType": _CONTENT_TYPE},
        "fileDescription": {"persisted": True, "containerFormat": "parquet", "format": "parquet"},
    }
    if description:
        body["description"] = description
    return Request(method="POST", path=_PATH, endpoint=_PATH, body=body)


async def create(client: PlatformClient, name: str, *, description: str = "") -> str:
    """Make a dataset on the union schema, and return its id. Sends once. Raises UpstreamError.

    With `Fate.LOST` the dataset may have been made: `find` tells. Two datasets may have the same name.
    """
    reply = await client.call(create_request(name, description=description))
    try:
        # ["@/dataSets/<id>"], spelt in several ways, with 201 or 200 (AEP contract 7.1)
        made = identity(items(msgspec.json.decode(reply.body))[0]).rpartition("/")[2]
    except (msgspec.MsgspecError, IndexError):
        made = ""
    if not made:
        text_ = f"Sandbox {client.sandbox}: POST {_PATH}: no reference to a dataset in {excerpt(reply.body)}"
        raise BadReply(text_, fate=Fate.LOST, reason="shape", status=reply.status)
    return made


async def get(client: PlatformClient, id_: str) -> Dataset:
    """Return one dataset. Raises UpstreamError, NotFound among them."""
    return await entry(client, _PATH, id_, read, what="A dataset")


def list_(client: PlatformClient, *, name: str = "", most: int | None = None) -> AsyncIterator[Dataset]:
    """Yield datasets, the newest first as far as the platform sorts them. Raises UpstreamError.

    name: only asks for those; a platform that does not know the filter sends others too.
    """
    params = (("orderBy", "desc:created"), *((("name", name),) if name else ()))
    request = Request(method="GET", path=_PATH, endpoint=_PATH, params=params)
    return catalog_pages(client, request, read=read, most=most)


async def find(client: PlatformClient, name: str) -> Dataset | None:
    """Return the dataset of exactly this name on the union schema, of several the oldest. Raises UpstreamError."""
    found = [one async for one in list_(client, name=name) if one.name == name and one.holds_profiles]
    # of twins always the same one, whoever asks: those without a time come last
    return min(found, key=lambda one: (one.created_at is None, one.created_at, one.id), default=None)


async def find_or_create(
    client: PlatformClient, name: str, *, description: str = "",
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[str, bool]:  # fmt: skip
    """Return the id of the dataset of this name, and whether it was made now. Raises UpstreamError.

    It looks first, and after a lost answer again: the same name is not made twice. Whoever shares the client takes
    turns; of twins that another process made meanwhile all settle on the oldest, as far as the catalog can be read.
    """
    async with client.turn(f"{_PATH} {name}"):
        try:
            there = await find(client, name)
        except UpstreamError as error:
            if error.fate is Fate.LOST:
                error.fate = Fate.NOT_SENT  # a look makes nothing, whatever became of it
            raise
        if there:
            return there.id, False
        try:
            made = await create(client, name, description=description)
        except UpstreamError as error:
            if error.fate is not Fate.LOST:
                raise
            for _ in range(_LOOKS):
                await sleep(_PAUSE_S)
                if there := await find(client, name):
                    return there.id, True
            raise
        try:
            there = await find(client, name)
        except UpstreamError:
            there = None  # it is made, whatever became of this look
        return (there.id, there.id == made) if there else (made, True)
