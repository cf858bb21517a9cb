"""Lists of the platform, page after page, as one asynchronous iterator; and records by their ids."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from segwatch.kinds.base import Request, UnreadableReply
from segwatch.kinds.fields import identity
from segwatch.kinds.replies import UNREADABLE, UnreadableRow, envelope_of, next_request
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.records import checked_id, object_of, several, unreadable, what_of
from segwatch.upstream.wire import Reply

T = TypeVar("T")

Follow = Callable[[dict[str, msgspec.Raw], Request], Request | None]
"""Returns the request of the page after the one that the second argument asked for; None behind the last one."""

_PAGES_MAX = 10_000
_IDS_MAX = 100  # no limit is documented for a bulk-get (AEP contract 3.8)


def nobody(count: int) -> None:
    """Take no notice of rows that cannot be read."""


async def pages(
    client: PlatformClient, request: Request, *, rows_at: str, read: Callable[[dict[str, Any]], T],
    key: Callable[[T], str], most: int | None = None, on_unreadable: Callable[[int], None] = nobody,
    follow: Follow = next_request,
) -> AsyncIterator[T]:  # fmt: skip
    """Yield the rows of all pages, each id once, `most` at most.

    Follows the answer's own links, re-rooted on the path that was asked (AEP contract 3.7, 13 rows 7 to 11). Stops at
    an empty page, at a page without a new row, and after 10,000 pages. A row that cannot be read is left out.
    rows_at: the key of the array. on_unreadable: is told how many rows of a page could not be read.
    Raises UpstreamError.
    """
    asked: Request | None = request
    seen: set[str | bytes] = set()
    left = most
    for _ in range(_PAGES_MAX):
        if asked is None or left == 0:
            return
        reply = await client.call(asked)
        envelope, rows = _rows(reply, rows_at, what_of(client, asked))
        known, bad = len(seen), 0
        for raw in rows:
            try:
                row = read(object_of(raw))
            except UNREADABLE:
                seen.add(bytes(raw))  # it may stand on a page of its own: only one that was seen is no news
                bad += 1
                continue
            if key(row) in seen:
                continue
            seen.add(key(row))
            yield row
            if left is not None and (left := left - 1) == 0:
                return
        if bad:
            on_unreadable(bad)
        asked = follow(envelope, asked) if len(seen) > known else None


async def catalog_pages(
    client: PlatformClient, request: Request, *, read: Callable[[str, dict[str, Any]], T], limit: int = 100,
    most: int | None = None, on_unreadable: Callable[[int], None] = nobody,
) -> AsyncIterator[T]:  # fmt: skip
    """Yield the entries of a list of the catalog: an object keyed by id, without totals or links (AEP contract 7).

    Here the client counts: `start` goes on by the rows received, and `{}` or a page without a new id is the end. Where
    no entry of the first page can be read, it is no list.
    read: gets the id and the entry. limit: entries on a page; the catalog gives 100 at most. Raises UpstreamError.
    """
    seen: set[str] = set()
    start, left = 0, most
    for _ in range(_PAGES_MAX):
        if left == 0:
            return
        asked = replace(request, params=(*request.params, ("start", str(start)), ("limit", str(limit))))
        reply = await client.call(asked)
        entries = _entries(reply, what_of(client, asked))
        new = {id_: entry for id_, entry in entries.items() if id_ not in seen}
        bad = 0
        for id_, raw in new.items():
            seen.add(id_)
            try:
                entry = object_of(raw)
                if not entry:
                    raise UnreadableRow("an entry without a field")
                row = read(id_, entry)
            except UNREADABLE:
                bad += 1
                continue
            yield row
            if left is not None and (left := left - 1) == 0:
                return
        if bad and bad == len(seen):  # so it is a list of something else
            raise unreadable(reply, what_of(client, asked), "a list without an entry that can be read")
        if bad:
            on_unreadable(bad)
        if not new:
            return
        start += len(entries)


async def by_ids(
    client: PlatformClient, path: str, ids: Iterable[str], *, read: Callable[[dict[str, Any], str], T]
) -> dict[str, T]:
    """Return what `POST {path}/bulk-get` answers for these ids; an id that is unknown, or unreadable, is absent.

    Success is 207 or 200, `results` an object or an array (AEP contract 3.8, 6.1). As many calls as it takes.
    read: gets a record, and the id under which it stood, "" in an array. Raises UpstreamError, and NotSendable for what
    cannot be an id.
    """
    wanted = [checked_id(one, "A record") for one in several(ids, "The ids")]
    found: dict[str, T] = {}
    for first in range(0, len(wanted), _IDS_MAX):
        body = {"ids": [{"id": one} for one in wanted[first : first + _IDS_MAX]]}
        endpoint = f"{path}/bulk-get"
        request = Request(method="POST", path=endpoint, endpoint=endpoint, body=body)
        reply = await client.call(request)
        for id_, raw in _results(reply, what_of(client, request)):
            try:
                told = object_of(raw)
                found[id_ or identity(told.get("id"))] = read(told, id_)
            except UNREADABLE:
                continue
    return {one: found[one] for one in wanted if one in found}


def _rows(reply: Reply, rows_at: str, what: str) -> tuple[dict[str, msgspec.Raw], list[msgspec.Raw]]:
    try:
        envelope = envelope_of(reply.body)
        if rows_at not in envelope:
            raise unreadable(reply, what, f'a list without "{rows_at}"')
        return envelope, msgspec.json.decode(envelope[rows_at], type=list[msgspec.Raw] | None) or []
    except (UnreadableReply, *UNREADABLE) as error:
        raise unreadable(reply, what, f"a list that cannot be read ({error})") from error


def _entries(reply: Reply, what: str) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
    except UNREADABLE as error:
        raise unreadable(reply, what, f"a list that cannot be read ({error})") from error


def _results(reply: Reply, what: str) -> list[tuple[str, msgspec.Raw]]:
    try:
        envelope = envelope_of(reply.body)
        if "results" not in envelope:
            raise unreadable(reply, what, 'a bulk answer without "results"')
        shape = dict[str, msgspec.Raw] | list[msgspec.Raw] | None
        results = msgspec.json.decode(envelope["results"], type=shape)
    except (UnreadableReply, *UNREADABLE) as error:
        raise unreadable(reply, what, f"a bulk answer that cannot be read ({error})") from error
    pairs = results.items() if isinstance(results, dict) else [("", one) for one in results or []]
    return [(id_, raw) for id_, raw in pairs if bytes(raw) != b"null"]
