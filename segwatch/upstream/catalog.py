"""What the catalog's resources have in common: an answer is an object keyed by id (AEP contract 7)."""

from collections.abc import Callable
from typing import Any, TypeVar

from segwatch.kinds.base import Request
from segwatch.kinds.fields import mapping
from segwatch.kinds.replies import item_path
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import Fate, NotFound
from segwatch.upstream.records import parsed

T = TypeVar("T")


async def entry(client: PlatformClient, collection: str, id_: str, read: Callable[[str, dict[str, Any]], T]) -> T:
    """Return one entry of a collection. Raises UpstreamError: NotFound also for an answer without any entry.

    read: gets the id and the record, as in `paging.catalog_pages`. Raises ValueError for an id that is none.
    """
    request = Request(method="GET", path=one_path(collection, id_), endpoint=f"{collection}/{{id}}")
    reply = await client.call(request)
    what = f"Sandbox {client.sandbox}: GET {request.endpoint}"

    def only(answer: dict[str, Any]) -> T:
        if not answer:
            raise NotFound(f"{what}: nothing has the id {id_}", fate=Fate.ANSWERED, reason="empty", status=reply.status)
        own = answer.get(id_) or next((value for value in answer.values() if isinstance(value, dict)), None)
        if not isinstance(own, dict):
            raise ValueError("no object keyed by an id")
        return read(id_, mapping(own))

    return parsed(reply, only, what=what)


def one_path(collection: str, id_: str) -> str:
    """Return the path of one entry, its id percent-encoded. Raises ValueError for what would name another path."""
    if id_.strip() in ("", ".", ".."):
        raise ValueError(f"an id is {id_!r}: write the one that the platform shows")
    return item_path(collection, id_)
