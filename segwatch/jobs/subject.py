"""The health of what is no job: a sandbox, a channel, the resubmissions of a sandbox, an audience, a schedule."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from segwatch.jobs.events import Event, EventType, severity_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectState:
    """The health, in one word and since when, of what `sandbox/NAME`, `channel/NAME` or the like tells of.

    memory: what is needed to judge it the next time, JSON values only.
    """

    stream: str
    condition: str
    since: datetime
    sequence: int = 0
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A subject's state behind a judgement, what it was before, and what is told of it."""

    state: SubjectState
    before: SubjectState | None
    events: tuple[Event, ...] = ()

    @property
    def is_news(self) -> bool:
        """True when there is something to write."""
        return self.state != self.before


def about(state: SubjectState, type_: EventType, at: datetime, **fields: Any) -> tuple[SubjectState, Event]:
    """Return the state that counts one event more, and that event on its stream.

    fields: as of an Event; the severity is that of the type unless it is given.
    """
    counted = SubjectState(
        stream=state.stream, condition=state.condition, since=state.since, sequence=state.sequence + 1,
        memory=state.memory,
    )  # fmt: skip
    event = Event(
        type=type_,
        stream=state.stream,
        sequence=counted.sequence,
        at=at,
        **({"severity": severity_of(type_)} | fields),
    )
    return counted, event
