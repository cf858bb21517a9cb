"""Links that lead from a message to where somebody goes on: a runbook, a dashboard, a search in the logs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from segwatch.alerts.labels import labels_of, labels_of_notice
from segwatch.alerts.matching import Condition
from segwatch.alerts.notices import NOTICES
from segwatch.deliveries.error_codes import first_code
from segwatch.deliveries.phrases import text, texts
from segwatch.jobs.events import Event, rows_in

PLACEHOLDERS = ("sandbox", "kind", "job_id", "type", "event_id", "dataset", "segment", "code", "reason")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_STEPS = frozenset({".", ".."})  # of a path: quoting leaves them as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link of all messages about events that fit.

    url: with any of PLACEHOLDERS in braces, but not in its host. condition: which events fit.
    """

    name: str
    url: str
    condition: Condition = field(default_factory=Condition)


def links_for(event: Event, links: Iterable[Link]) -> tuple[tuple[str, str], ...]:
    """Return (name, URL) of the links that fit. One with a placeholder for which the event has nothing is left out.

    A value is percent-encoded whole, so that it cannot lead elsewhere.
    """
    links = tuple(links)
    if not links:
        return ()
    labels = labels_of_notice(event) if event.type in NOTICES else labels_of(event)
    values = _values(event)
    found = []
    for link in links:
        names = PLACEHOLDER.findall(link.url)
        if not link.condition.objection(labels) and all(values.get(name) for name in names):
            found.append((link.name, PLACEHOLDER.sub(lambda found: values[found[1]], link.url)))
    return tuple(found)


def _values(event: Event) -> dict[str, str]:
    details = event.details
    segments = texts(details.get("segments"))
    jobs = {text(row.get("job_id")) for row in (rows_in(details, "alerts") if event.type in NOTICES else ())}
    plain = {
        "sandbox": event.sandbox,
        "kind": event.kind,
        "job_id": event.job_id or (jobs.pop() if len(jobs) == 1 else ""),
        "type": event.type.value,
        "event_id": event.id,
        "dataset": text(details.get("dataset")),
        "segment": text(details.get("segment")) or (segments[0] if segments else ""),
        "code": first_code(event),
        "reason": event.reason,
    }
    return {name: quote(value, safe="", errors="replace") for name, value in plain.items() if value not in _STEPS}
