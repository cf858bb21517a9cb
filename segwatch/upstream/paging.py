"""Lists of the platform, page after page, as one asynchronous iterator."""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from segwatch.kinds.base import Request
from segwatch.upstream.client import PlatformClient

T = TypeVar("T")


def pages(
    client: PlatformClient, request: Request, *, rows_at: str, read: Callable[[dict[str, Any]], T],
    key: Callable[[T], str], most: int | None = None, on_unreadable: Callable[[int], None] = lambda count: None,
) -> AsyncIterator[T]:  # fmt: skip
    """Yield the rows of all pages, each id once, `most` at most.

    Follows the answer's own links, re-rooted on the path that was asked (AEP contract 3.7, 13 rows 7 to 11). Stops at
    an empty page, at a page without a new id, and after 10,000 pages. Raises UpstreamError.
    """
    raise NotImplementedError


def catalog_pages(
    client: PlatformClient, request: Request, *, read: Callable[[str, dict[str, Any]], T], limit: int = 100,
    most: int | None = None,
) -> AsyncIterator[T]:  # fmt: skip
    """Yield the entries of a list of the catalog: an object keyed by id, without totals or links (AEP contract 7).

    Here the client counts: `start` goes on by the rows received, and `{}` or a page without a new id is the end.
    read: gets the id and the entry. Raises UpstreamError.
    """
    raise NotImplementedError
