"""What segments and datasets are called on the platform, which knows them by their ids."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from segwatch.deliveries.phrases import printable, text, texts
from segwatch.deliveries.runes import clip
from segwatch.jobs.events import Event

NAME_MAX = 120  # runes that are kept of a name


class Resource(StrEnum):
    """What can have a name."""

    SEGMENT = "segment"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NameKey:
    """What a name is of. Two sandboxes may have the same id."""

    sandbox: str
    resource: Resource
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What the platform said of a name. name: "" where it knows none. at: when it said so."""

    key: NameKey
    name: str
    at: datetime


def as_name(given: str) -> str:
    """Return somebody's name for something in one line of bearable length, without what steers a terminal."""
    return clip(printable(given[: 4 * NAME_MAX]), NAME_MAX)


def mentioned(event: Event) -> Iterable[tuple[Resource, str]]:
    """Return what the event names by an id that may have a name."""
    details = event.details
    for name in ("segments", "profiles", "members"):
        value = details.get(name)
        yield from ((Resource.SEGMENT, one) for one in texts(list(value) if isinstance(value, list | dict) else None))
    for resource in Resource:
        if id_ := text(details.get(resource.value)):
            yield resource, id_
