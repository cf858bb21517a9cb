"""An alert: something is wrong, from the event that opened it to the one that closed it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from segwatch.jobs.events import Severity

Labels = Mapping[str, tuple[str, ...]]
"""What matchers and groups go by: the values of each label, most of them one, of `segment` any number."""


class Turn(StrEnum):
    """What an event does to an alert."""

    OPENS = "opens"  # opens it, or adds to one that is open
    ADDS = "adds"  # adds to one that is open, and opens none
    CLOSES = "closes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an event means for one alert. subject: what the alert is about; at most one is open for a subject."""

    subject: str
    turn: Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is said of an event: its headline without a full stop, the error behind it, what segwatch does about it.

    facts: what else the sentence behind the headline tells, as it continues it: ": 108 members where 404 are usual".
    code: that of the error, "" where it has none. began: when it began to be so, None for when the event was recorded.
    """

    title: str
    facts: str = ""
    cause: str = ""
    code: str = ""
    action: str = ""
    began: datetime | None = None

    @property
    def line(self) -> str:
        """All that happened, without a full stop."""
        return self.title + self.facts + (f" — {self.cause}" if self.cause else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An event that said aloud that something is wrong. labels: those that differ from the labels of its alert."""

    event_id: str
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something is wrong about one subject.

    event_id: the event that opened it. types: the types of all that has been said of it aloud, in that order;
    loud_at, loud_id: when the last of them came, and that event. severity: the worst of them. alarms: the events, the
    last of those that routes cannot tell apart.
    since: when it began to be wrong, as far as that is known.
    title, facts, cause, code, action: as in `Words`; the action is that of the last event, loud or not. titled_by,
    acted_by: the events that title and action are from.
    recurrences: how often the work failed anew since the first time: another job or run of it, and no further attempt.
    recurred_at: when it last did; the title is of that one. chains: what it failed in, the last ones.
    jobs: the ids of the jobs that were in it. awaits: the job whose failure would explain it, "" without one.
    told: channels that an immediate route has told of it. withheld: those that a silence keeps it from. inhibited:
    those that are not told at once since another alert explains it, each with id and type of the event that waits.
    mended_by: the job that has done since what it waited for, "" without one.
    ended_at, ended_by: when it was over, and the event that says so. given_up: where it ended because nobody watches it
    any more, why, in words; it may still be wrong. called_off: where it ended because nobody expects it any more, why.
    """

    subject: str
    event_id: str
    since: datetime
    changed_at: datetime
    loud_at: datetime
    loud_id: str
    severity: Severity
    title: str
    types: tuple[str, ...]
    facts: str = ""
    cause: str = ""
    code: str = ""
    action: str = ""
    titled_by: str = ""
    acted_by: str = ""
    recurrences: int = 0
    recurred_at: datetime | None = None
    chains: tuple[str, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    sandbox: str = ""
    kind: str = ""
    jobs: tuple[str, ...] = ()
    awaits: str = ""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    inhibited: tuple[tuple[str, str, str], ...] = ()
    mended_by: str = ""
    ended_at: datetime | None = None
    ended_by: str = ""
    given_up: str = ""
    called_off: str = ""

    @property
    def id(self) -> str:
        """The same after a restart; another one when the subject goes wrong again."""
        return "alr_" + hashlib.sha256(f"{self.subject}#{self.event_id}".encode()).hexdigest()[:24]

    @property
    def is_open(self) -> bool:
        """True until it is over."""
        return self.ended_at is None

    @property
    def alarmed(self) -> tuple[tuple[str, Labels], ...]:
        """The id and the labels of each event that said aloud that it is wrong, as far as routes tell them apart."""
        told = ((one.event_id, self.labels | one.labels) for one in self.alarms)
        return tuple(told) or ((self.event_id, self.labels),)

    @property
    def first_type(self) -> str:
        """The type of the event that opened it."""
        return self.types[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What an event tells that opens no alert: in a headline, in a sentence without a full stop, what is done."""

    line: str
    severity: Severity = Severity.INFO
    title: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one message tells. firing: all that is wrong; resolved: what is over since the last message.

    fresh: the ids of those that fire and of which there is news. notes: what else there is to tell, the worst first;
    noted: how much that is in all. repeat: nothing in it is new.
    """

    firing: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()
    fresh: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()
    noted: int = 0
    repeat: bool = False


def worst(*severities: Severity) -> Severity:
    """Return the one that hurts most; INFO of none."""
    return max(severities, key=lambda one: one.rank, default=Severity.INFO)


def is_below(one: Severity, other: Severity) -> bool:
    """True when it hurts less than the other."""
    return one.rank < other.rank
