"""What a template sees of an event and of its message: texts, numbers, lists and tables, and nothing of Python's."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from segwatch.deliveries.message import Message
from segwatch.deliveries.runes import ELLIPSIS, clip
from segwatch.jobs.events import Event, EventType, Severity, rfc3339

TEXT_MAX = 2000  # runes
LIST_MAX = 200
_DEPTH_MAX = 6
_PAIRS = ("fields", "links")  # of a message: names and values
MESSAGE = tuple(one.name for one in fields(Message) if one.name != "ends")  # of what is sent, beyond its words


class Table(dict[str, Any]):
    """A table that knows where it stands, so that an error can name what is not in it."""

    def __init__(self, values: Mapping[str, Any], path: str) -> None:
        super().__init__(values)
        self.path = path


def view_of(event: Event, message: Message) -> dict[str, Table]:
    """Return the variables of a template."""
    said = {name: getattr(message, name) for name in MESSAGE}
    said |= {name: dict(said[name]) for name in _PAIRS}
    return {"message": _table(said, "message", 1), "event": _table(_public(event), "event", 1)}


def _public(event: Event) -> dict[str, Any]:
    """Return the public form of an event, its details apart: they have names of their own."""
    return {
        "type": event.type, "at": event.at, "event_id": event.id, "sequence": event.sequence,
        "sandbox": event.sandbox, "kind": event.kind, "job_id": event.job_id,
        "status": event.status, "previous": event.previous, "severity": event.severity, "reason": event.reason,
        "late": event.late, "links": event.links, "details": event.details,
    }  # fmt: skip


EVENT = tuple(
    _public(
        Event(
            type=EventType.JOB_FAILED,
            stream="",
            sequence=0,
            at=datetime.min.replace(tzinfo=UTC),
            severity=Severity.INFO,
        )
    )
)
KNOWN: dict[str, tuple[str, ...]] = {"event": EVENT, "message": MESSAGE}
"""The variables, and what is in each."""


def _table(values: Mapping[Any, Any], path: str, depth: int) -> Table:
    few = list(values.items())[:LIST_MAX]
    return Table({str(name): _plain(value, f"{path}.{name}", depth + 1) for name, value in few}, path)


def _plain(value: object, path: str, depth: int) -> Any:
    match value:
        case Enum():
            return str(value.value)
        case str():
            return clip(value, TEXT_MAX)
        case bool() | int() | float() | None:
            return value
        case datetime():
            return rfc3339(value.astimezone(UTC))
        case Mapping() if depth < _DEPTH_MAX:
            return _table(value, path, depth)
        case list() | tuple() if depth < _DEPTH_MAX:
            return [_plain(one, f"{path}[{at}]", depth + 1) for at, one in enumerate(value[:LIST_MAX])]
        case _:
            return ELLIPSIS
