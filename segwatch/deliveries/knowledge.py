"""What is known beside an event when it is told: names, what an error means, where there is more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from segwatch.deliveries.error_codes import ErrorCode, Meaning, meaning_of
from segwatch.deliveries.links import Link, links_for
from segwatch.deliveries.phrases import printable, text, texts
from segwatch.deliveries.runes import clip
from segwatch.jobs.events import Event
from segwatch.jobs.model import NOUNS

NAME_MAX = 120  # runes that are kept of a name
_SHOWN_MAX = 40  # runes of a name within a headline, which has two of them and 150 runes in all


class Sort(StrEnum):
    """What can have a name."""

    SEGMENT = "segment"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NameKey:
    """What a name is of. Two sandboxes may have the same id."""

    sandbox: str
    sort: Sort
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """Everything that a message may say which its event does not hold.

    errors: in the order in which they are asked. links: of every message that they fit.
    """

    names: Mapping[NameKey, str] = field(default_factory=dict)
    errors: tuple[ErrorCode, ...] = ()
    links: tuple[Link, ...] = ()

    def name(self, sandbox: str, sort: Sort, id_: str) -> str:
        """Return the name; "" where none is known."""
        return self.names.get(NameKey(sandbox=sandbox, sort=sort, id=id_), "")

    def shown(self, sandbox: str, sort: Sort, id_: str) -> str:
        """Return the name with the id behind it, the id alone where no name is known."""
        name = self.name(sandbox, sort, id_)
        return f"{name} ({id_})" if name else id_

    def job(self, event: Event, job_id: str = "") -> str:
        """Return `Export 24116 of "Gold members" to "Nightly profiles"`, without what is not known.

        job_id: another job of the event's kind that does the same work.
        """
        noun = text(NOUNS.get(event.kind, event.kind.replace("_", " ")).capitalize()) or "Job"
        return f"{noun} {text(job_id or event.job_id)}".rstrip() + self.work(event)

    def work(self, event: Event) -> str:
        """Return ` of "Gold members" and 2 more to "Nightly profiles"`, as far as there are names."""
        return self.work_of(event.sandbox, texts(event.details.get("segments")), text(event.details.get("dataset")))

    def work_of(self, sandbox: str, ids: Sequence[str], dataset_id: str) -> str:
        """Return the same of these segments and this dataset."""
        named = next(filter(None, (self.name(sandbox, Sort.SEGMENT, one) for one in ids)), "")
        dataset = self.name(sandbox, Sort.DATASET, dataset_id)
        more = f" and {len(ids) - 1:,} more" if named and len(ids) > 1 else ""
        return (f" of {quoted(named)}{more}" if named else "") + (f" to {quoted(dataset)}" if dataset else "")

    def meaning(self, event: Event) -> Meaning:
        """Return what is known of the error behind the event."""
        return meaning_of(event, self.errors)

    def links_of(self, event: Event) -> tuple[tuple[str, str], ...]:
        """Return where there is more about the event, by name; the runbook of its error first."""
        runbook = self.meaning(event).runbook
        return ((("Runbook", runbook),) if runbook else ()) + links_for(event, self.links)


NOTHING = Knowledge()


def mentioned(event: Event) -> Iterable[tuple[Sort, str]]:
    """Return what the event names by an id that may have a name."""
    details = event.details
    for name in ("segments", "profiles", "members"):
        value = details.get(name)
        yield from ((Sort.SEGMENT, one) for one in texts(list(value) if isinstance(value, list | dict) else None))
    for sort in Sort:
        if id_ := text(details.get(sort.value)):
            yield sort, id_


def quoted(name: str) -> str:
    """Return a name as it stands in a sentence."""
    return f'"{clip(name, _SHOWN_MAX)}"'
