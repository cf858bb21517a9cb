"""What is known beside an event when it is told: names, what an error means, where there is more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from segwatch.deliveries.error_codes import ErrorCode, Meaning, meaning_of
from segwatch.deliveries.links import Link, links_for
from segwatch.deliveries.names import NameKey, Naming, Resource
from segwatch.deliveries.phrases import text, texts
from segwatch.deliveries.runes import clip
from segwatch.jobs.events import Event
from segwatch.jobs.model import NOUNS

_SHOWN_MAX = 40  # runes of a name within a headline, which has two of them and 150 runes in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """Everything that a message may say which its event does not hold.

    errors: in the order in which they are asked. links: of every message that they fit.
    """

    names: Mapping[NameKey, str] = field(default_factory=dict)
    errors: tuple[ErrorCode, ...] = ()
    links: tuple[Link, ...] = ()

    def name(self, sandbox: str, resource: Resource, id_: str) -> str:
        """Return the name; "" where none is known."""
        return self.names.get(NameKey(sandbox=sandbox, resource=resource, id=id_), "")

    def with_names(self, found: Iterable[Naming]) -> "Knowledge":
        """Return the same with these names over those that it has; where the platform knows none, the old one stays."""
        return replace(self, names={**self.names, **{one.key: one.name for one in found if one.name}})

    def shown(self, sandbox: str, resource: Resource, id_: str) -> str:
        """Return the name with the id behind it, the id alone where no name is known."""
        name = self.name(sandbox, resource, id_)
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
        named = next(filter(None, (self.name(sandbox, Resource.SEGMENT, one) for one in ids)), "")
        dataset = self.name(sandbox, Resource.DATASET, dataset_id)
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


def quoted(name: str) -> str:
    """Return a name as it stands in a sentence."""
    return f'"{clip(name, _SHOWN_MAX)}"'
