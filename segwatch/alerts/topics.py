"""What events are about, by their types: what else happens to the same thing, and which labels it can have."""

from dataclasses import dataclass

from segwatch.alerts.labels import LABELS
from segwatch.jobs.events import EventType

OF_ALL = frozenset({"type", "severity", "status", "reason", "late", "alert"})
"""The labels that say what happened, not to what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What events of some types are about. labels: those that they may have, beside OF_ALL; they have no other."""

    types: frozenset[str]
    labels: frozenset[str]


def _topic(family: str, *labels: str) -> Topic:
    types = (one.value for one in EventType)
    return Topic(types=frozenset(one for one in types if _family(one) == family), labels=frozenset(labels))


def _family(type_: str) -> str:
    """Return the first part of the type, but what is told of an export is told of a job."""
    if type_ in (EventType.RETRIES_HELD, EventType.RETRIES_RELEASED):
        return "retries"
    family = type_.partition(".")[0]
    return "job" if family == "export" else family


JOBS = _topic("job", "sandbox", "kind", "job_id", "segment", "dataset")
PIPELINES = _topic("pipeline", "sandbox", "pipeline", "segment", "dataset")
TOPICS = (
    JOBS, PIPELINES,
    _topic("retries", "sandbox", "kind"),
    _topic("sandbox", "sandbox", "kind"),
    _topic("channel", "channel"),
    _topic("schedule", "sandbox", "kind", "schedule"),
    _topic("audience", "sandbox", "kind", "segment"),
    _topic("credential", "sandbox"),
    _topic("flapping", "sandbox", "kind"),
)  # fmt: skip
"""Whatever can go wrong."""


def topic_of(type_: str) -> Topic:
    """Return what an event of the type is about; of a type that is not in TOPICS, one that may have every label."""
    found = (one for one in TOPICS if type_ in one.types)
    return next(found, Topic(types=frozenset({type_}), labels=frozenset(LABELS) - OF_ALL))
