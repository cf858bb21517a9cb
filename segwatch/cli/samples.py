"""Events that did not happen, to try channels and routes with."""

import json
import random
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from cyclopts import Parameter

from segwatch.alerts.labels import LABELS
from segwatch.alerts.notices import FOR_ONE
from segwatch.cli.options import EVENT_TYPES
from segwatch.cli.output import Exit, fail
from segwatch.errors import hint
from segwatch.jobs.events import Event, EventType, Severity, moment_of, rfc3339, severity_of

_SANDBOX = "sample"
_IN_SANDBOX = re.compile(r"\bprod\b")  # the sandbox of the examples, wherever they name it
_CLOCK = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|(?<![\d:T])\d\d:\d\d:\d\d(?=[ .;,]|$)")
_FIELDS = ("sandbox", "kind", "status", "reason", "job_id")
_DETAILS = ("dataset", "pipeline", "schedule", "channel")
_WORDS = {"severity": tuple(one.value for one in Severity), "late": ("true", "false")}
_GIVEN = tuple(label for label in LABELS if label not in ("type", "alert"))

Labels = Annotated[
    list[str] | None,
    Parameter(name="--label", help="Of an event that is only thought of: such as sandbox=prod; may be repeated."),
]


def type_of(text: str) -> EventType:
    """Return the type of event that is meant; ends the command for what is none."""
    if text not in EVENT_TYPES:
        likely = hint(text, EVENT_TYPES)
        fail(Exit.USAGE, f'event is "{text}", which is neither a type of event nor an id (evt_...).{likely}')
    return EventType(text)


def bare(type_: EventType, now: datetime) -> Event:
    """Return an event of which nothing but the type is known, to be given labels."""
    return Event(type=type_, stream="", sequence=0, at=now, severity=severity_of(type_))


def labelled(event: Event, labels: list[str]) -> Event:
    """Return the event with these labels, written as sandbox=prod; ends the command for what no event can have."""
    given: dict[str, list[str]] = {}
    for text in labels:
        name, value = _label(text)
        given.setdefault(name, []).append(value)
    fields: dict[str, Any] = {name: values[-1] for name, values in given.items() if name in _FIELDS}
    fields |= {"late": given["late"] == ["true"]} if "late" in given else {}
    fields |= {"severity": Severity(given["severity"][-1])} if "severity" in given else {}
    details = {name: given[name][-1] for name in _DETAILS if name in given}
    segments = {"segments": given["segment"]} if "segment" in given else {}
    return replace(event, details=event.details | details | segments, **fields)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(Exit.USAGE, f'--label is "{text}", which is no label and value. Write such as sandbox=prod.')
    if name not in _GIVEN:
        likely = hint(name, _GIVEN)
        fail(Exit.USAGE, f'--label is "{text}", which names no label. Known labels: {", ".join(_GIVEN)}.{likely}')
    if name in _WORDS and value not in _WORDS[name]:
        fail(Exit.USAGE, f'--label is "{text}". Known values: {", ".join(_WORDS[name])}.')
    return name, value


def sample(type_: EventType, now: datetime) -> Event:
    """Return the event of this type that docs/reference/events.md shows, as if it had come now, in a sandbox "sample".

    No two have the same id: a receiver that passes over what it knows must not miss the second one.
    """
    told = _examples()[type_.value]
    then = moment_of(told["timestamp"])
    known = _retold(told["data"], now - then if then else timedelta())
    about = {one.name: known.pop(one.name) for one in fields(Event) if one.name in known}
    about |= {"sequence": random.getrandbits(32), "severity": Severity(about["severity"])}
    del known["event_id"]
    if type_ in FOR_ONE:
        known.pop("channel", None)  # it is for whichever channel it is tried on
    return Event(type=type_, stream=_IN_SANDBOX.sub(_SANDBOX, told["stream"]), at=now, details=known, **about)


@cache
def _examples() -> dict[str, Any]:
    """Return the examples by type: the public form of each, and its stream."""
    found: dict[str, Any] = json.loads((files("segwatch.cli") / "examples.json").read_text(encoding="utf-8"))
    return found


def _retold(value: Any, later: timedelta) -> Any:
    """Return what an example says, so much later, and of the sandbox of samples."""
    match value:
        case dict():
            return {_retold(name, later): _retold(one, later) for name, one in value.items()}
        case list():
            return [_retold(one, later) for one in value]
        case str():
            moved = _CLOCK.sub(lambda found: _moved(found[0], later), value)
            return _IN_SANDBOX.sub(_SANDBOX, moved)
        case _:
            return value


def _moved(told: str, later: timedelta) -> str:
    """Return a time, whole or of a day, so much later."""
    if at := moment_of(told):
        return rfc3339(at + later)
    return f"{datetime.strptime(told, '%H:%M:%S').replace(tzinfo=UTC) + later:%H:%M:%S}"
