"""The files of a batch, as Data Access lists them (AEP contract 8)."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from segwatch.kinds.base import Request
from segwatch.kinds.fields import identity, instant, mapping
from segwatch.kinds.replies import UnreadableRow, item_path
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import BadReply, Fate
from segwatch.upstream.paging import pages
from segwatch.upstream.records import checked_id, count_of, what_of

_BATCHES = "/data/foundation/export/batches"
_FILES = "/data/foundation/export/files"
_PAGE = (("limit", "100"),)


class BatchFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a batch, or a directory of files: its parts tell. raw: the record as it came.

    version: of its content, as far as the catalog counts.
    """

    id: str
    version: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: dict[str, Any] = {}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What can be downloaded. name: as the platform asks for it. length_bytes: None where the list does not tell."""

    file_id: str
    name: str
    length_bytes: int | None = None


def of_batch(client: PlatformClient, batch_id: str) -> AsyncIterator[BatchFile]:
    """Yield the files of a batch. Raises UpstreamError; BadReply for a row that cannot be read, since each counts."""
    path = f"{item_path(_BATCHES, checked_id(batch_id, 'A batch'))}/files"
    request = Request(method="GET", path=path, endpoint=f"{_BATCHES}/{{id}}/files", params=_PAGE)
    return pages(
        client, request, rows_at="data", read=_file, key=lambda file: file.id,
        on_unreadable=lambda count: _refuse(client, request, count),
    )  # fmt: skip


async def parts(client: PlatformClient, file_id: str) -> AsyncIterator[Part]:
    """Yield what a file consists of: itself, or the parts of a directory. Raises UpstreamError as `of_batch` does.

    A directory lists the names of its parts, or files with ids of their own, which are looked into once.
    """
    async for row in _rows(client, file_id):
        if isinstance(row, Part):
            yield row
            continue
        async for inner in _rows(client, row.id):
            if not isinstance(inner, Part):
                text = f"Sandbox {client.sandbox}: {file_id} is a directory of directories"
                raise BadReply(text, fate=Fate.ANSWERED, reason="unreadable")
            yield inner


def content_request(file_id: str, name: str) -> Request:
    """Return the GET of a part's bytes.

    It is made of id and name alone: a link's host may be another one, and the token is for the configured one.
    """
    return Request(
        method="GET",
        path=item_path(_FILES, checked_id(file_id, "A file")),
        endpoint=f"{_FILES}/{{id}}",
        params=(("path", name),),
    )


def _rows(client: PlatformClient, file_id: str) -> AsyncIterator[Part | BatchFile]:
    request = Request(
        method="GET", path=item_path(_FILES, checked_id(file_id, "A file")), endpoint=f"{_FILES}/{{id}}", params=_PAGE
    )
    return pages(
        client, request, rows_at="data", read=lambda row: _part(file_id, row), key=_key,
        on_unreadable=lambda count: _refuse(client, request, count),
    )  # fmt: skip


def _file(row: dict[str, Any]) -> BatchFile:
    file_id = identity(row.get("dataSetFileId"))
    if not file_id:
        raise UnreadableRow("a file without an id")
    return BatchFile(
        id=file_id,
        version=identity(row.get("version")),
        created_at=instant(row.get("created")),
        updated_at=instant(row.get("updated")),
        raw=row,
    )


def _part(file_id: str, row: dict[str, Any]) -> Part | BatchFile:
    name = row.get("name")
    if not isinstance(name, str) or not name:
        if identity(row.get("dataSetFileId")):
            return _file(row)
        href = mapping(mapping(row.get("_links")).get("self")).get("href")
        query = href.partition("?")[2] if isinstance(href, str) else ""
        name = dict(parse_qsl(query)).get("path", "")
    if not name:
        raise UnreadableRow("a part without a name")
    return Part(file_id=file_id, name=name, length_bytes=count_of(row.get("length")))


def _key(row: Part | BatchFile) -> str:
    return f"part/{row.name}" if isinstance(row, Part) else f"file/{row.id}"


def _refuse(client: PlatformClient, request: Request, count: int) -> None:
    if count:
        text = f"{what_of(client, request)}: {count} rows cannot be read, so files would be missing"
        raise BadReply(text, fate=Fate.ANSWERED, reason="unreadable")
