"""What the catalog's resources have in common: an answer is an object keyed by id (AEP contract 7)."""

from collections.abc import Callable
from typing import Any, TypeVar

from segwatch.kinds.base import Request
from segwatch.kinds.replies import UnreadableRow, item_path
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import Fate, NotFound
from segwatch.upstream.records import checked_id, record, what_of

T = TypeVar("T")


async def entry(
    client: PlatformClient, collection: str, id_: str, read: Callable[[str, dict[str, Any]], T], *, what: str
) -> T:
    """Return one entry of a collection. Raises UpstreamError: NotFound also for an answer without any entry.

    read: gets the id and the record, as in `paging.catalog_pages`. what: how an error names an entry.
    Raises NotSendable for an id that is none.
    """
    path = item_path(collection, checked_id(id_, what))
    request = Request(method="GET", path=path, endpoint=f"{collection}/{{id}}")

    def only(answer: dict[str, Any]) -> T:
        if not answer:
            text = f"{what_of(client, request)}: nothing has the id {id_}"
            raise NotFound(text, fate=Fate.ANSWERED, reason="empty", status=200)
        own = answer.get(id_) or next(iter(answer.values()))
        if not isinstance(own, dict):
            raise UnreadableRow("no record under an id")
        return read(id_, own)

    return await record(client, request, only)
