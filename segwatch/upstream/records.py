"""What several resources' records have in common, and how one is read.

No field but the id is sure to be there, or to have the type that some document gives it (AEP contract 13): whatever
cannot be read counts as not told.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from segwatch.kinds.base import Request
from segwatch.kinds.excerpts import excerpt
from segwatch.kinds.fields import identity, instant, mapping, text, truth, whole
from segwatch.kinds.replies import UNREADABLE, UnreadableRow
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import BadReply, Fate, NotSendable
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


class Expression(msgspec.Struct, frozen=True, kw_only=True):
    """What an audience is, in PQL. format: `pql/text` or `pql/json`, which the value need not keep to."""

    type: str = ""
    format: str = ""
    value: str = ""


def checked_id(id_: str, what: str) -> str:
    """Return an id that we may send. what: how the error names it. Raises NotSendable."""
    if not is_id(id_):
        raise NotSendable(f"{what} has the id {id_!r}: write it as the platform shows it")
    return id_


def several(words: Iterable[str], what: str) -> list[str]:
    """Return the words, each once. what: how an error names them. Raises NotSendable for one text in place of many."""
    if isinstance(words, str):
        raise NotSendable(f"{what} are {words!r}, which would be taken letter by letter: write [{words!r}]")
    return list(dict.fromkeys(words))


def is_id(word: str) -> bool:
    """Return whether this can be an id: what ids look like is no promise of the API, but none holds blanks."""
    return word not in ("", ".", "..") and all(sign.isprintable() and not sign.isspace() for sign in word)


async def record(client: PlatformClient, request: Request, read: Callable[[dict[str, Any]], T]) -> T:
    """Send the request, and return the one record of its answer. Raises UpstreamError."""
    return parsed(await client.call(request), read, what=what_of(client, request))


def what_of(client: PlatformClient, request: Request) -> str:
    """Return who asks for what, as the beginning of an error's text."""
    return f"Sandbox {client.sandbox}: {request.method} {request.endpoint}"


def parsed(reply: Reply, read: Callable[[dict[str, Any]], T], *, what: str) -> T:
    """Return the one record of an answer. what: who asked for what. Raises BadReply when it cannot be read."""
    try:
        return read(object_of(reply.body))
    except UNREADABLE as error:
        raise unreadable(reply, what, f"an answer that cannot be read ({error})") from error


def unreadable(reply: Reply, what: str, shape: str) -> BadReply:
    """Return the error of an answer in a shape that this API does not give."""
    text = f"{what}: {reply.status}, {shape}: {excerpt(reply.body)}"
    return BadReply(text, fate=Fate.LOST, reason="unreadable", status=reply.status)


def object_of(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """Return a JSON object. Raises one of `UNREADABLE`."""
    found = msgspec.json.decode(raw)
    if not isinstance(found, dict):
        raise UnreadableRow("not an object")
    return found


def id_of(record: dict[str, Any], fallback: str = "") -> str:
    """Return a record's id as text. Raises UnreadableRow without one."""
    if found := identity(record.get("id")) or fallback:
        return found
    raise UnreadableRow("no id")


def sandbox_of(value: Any) -> SandboxInfo | None:
    """Return the sandbox that `sandbox` names; None where it is absent (AEP contract 3.3)."""
    if not (given := mapping(value)):
        return None
    return SandboxInfo(
        id=identity(given.get("sandboxId")),
        name=text(given.get("sandboxName")),
        type=text(given.get("type")),
        is_default=known_truth(given.get("default")),
    )


def span_of(value: Any) -> Span | None:
    """Return one of a job's phases; None for `{}`, which is one that has not begun (AEP contract 3.5).

    An end before the beginning is a length of nothing: samples are inconsistent in time (AEP contract 4.6).
    """
    given = mapping(value)
    started_at, ended_at = instant(given.get("startTimeInMs")), instant(given.get("endTimeInMs"))
    told_ms = whole(given.get("totalTimeInMs"))
    took = ended_at - started_at if started_at and ended_at else None
    if told_ms is not None and 0 <= told_ms < 10**14:
        took = timedelta(milliseconds=told_ms)
    if started_at is None and ended_at is None and took is None:
        return None
    return Span(started_at=started_at, ended_at=ended_at, took=None if took is None else max(took, timedelta()))


def expression_of(value: Any) -> Expression | None:
    """Return the PQL of a definition; None where it is absent."""
    if not (given := mapping(value)):
        return None
    return Expression(type=text(given.get("type")), format=text(given.get("format")), value=text(given.get("value")))


def compute_ids_of(value: Any) -> dict[str, str]:
    """Return the ids of `computeGatewayJobId` by their names; a bare string is `job` (AEP contract 13, row 2)."""
    given = value if isinstance(value, dict) else {"job": value}
    return {name: found for name, one in given.items() if (found := identity(one))}


def count_of(value: Any) -> int | None:
    """Return a counter; None where nothing is told, or less than nothing."""
    number = whole(value)
    return number if number is not None and number >= 0 else None


def counters_of(value: Any) -> dict[str, int]:
    """Return counters by their names."""
    return {name: count for name, one in mapping(value).items() if (count := count_of(one)) is not None}


def nested_counters_of(value: Any) -> dict[str, dict[str, int]]:
    """Return counters by two names, such as the segment and the namespace; the inner ones may be none."""
    return {name: counters_of(one) for name, one in mapping(value).items() if isinstance(one, dict)}


def known_truth(value: Any) -> bool | None:
    """Return a JSON boolean, or the word for one; None for anything else."""
    is_told = isinstance(value, bool) or text(value).lower() in ("true", "false")
    return truth(value) if is_told else None
