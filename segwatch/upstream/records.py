"""What several resources' records have in common, and how one is read."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from segwatch.upstream.wire import Reply

T = TypeVar("T")


class SandboxInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The sandbox that a record names."""

    id: str = ""
    name: str = ""
    type: str = ""
    is_default: bool | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """When a phase began and ended, as far as that is told; `took` is never less than zero."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    took: timedelta | None = None


def parsed(reply: Reply, read: Callable[[dict[str, Any]], T], *, what: str) -> T:
    """Return the one record of an answer. what: who asked for what. Raises BadReply when it cannot be read."""
    raise NotImplementedError
