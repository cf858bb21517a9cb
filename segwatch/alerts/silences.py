"""Silences: what somebody does not want to hear of for a while, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from segwatch.alerts.matching import Matcher, fit
from segwatch.alerts.model import Labels


class SilenceState(StrEnum):
    """Where a silence stands."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"


class End(StrEnum):
    """Why a silence ended."""

    TIME = "time"
    RESOLVED = "resolved"
    EXPIRED = "expired"  # somebody ended it


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nobody is told of what all matchers fit.

    ends_at: None for one that only ends otherwise. until_resolved: it ends as soon as nothing that it matches is wrong.
    owner: who to ask about it. reason: why. expires: somebody ended it by hand, at `ends_at`.
    ended_at, ended_by: when and why it was ended, and what is still wrong was told; None and "" until then.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime | None
    until_resolved: bool = False
    owner: str = ""
    reason: str = ""
    created_at: datetime
    expires: bool = False
    ended_at: datetime | None = None
    ended_by: str = ""

    @property
    def stream(self) -> str:
        """The name under which its event is logged."""
        return f"silence/{self.id}"

    def state(self, now: datetime) -> SilenceState:
        """Return where it stands now."""
        if self.ended_at is not None or (self.ends_at is not None and self.ends_at <= now):
            return SilenceState.ENDED
        return SilenceState.ACTIVE if self.starts_at <= now else SilenceState.PENDING

    def matches(self, labels: Labels) -> bool:
        """Return whether it is about what has these labels."""
        return fit(self.matchers, labels)

    def __str__(self) -> str:
        """Return its matchers as they are written."""
        return ", ".join(map(str, self.matchers))


def silenced_by(labels: Labels, silences: Iterable[Silence], now: datetime) -> tuple[Silence, ...]:
    """Return the silences that keep what has these labels from everybody now."""
    return tuple(one for one in silences if one.state(now) is SilenceState.ACTIVE and one.matches(labels))


def expired(silence: Silence, now: datetime) -> Silence:
    """Return the silence as somebody ends it now; as it was if it has ended."""
    if silence.state(now) is SilenceState.ENDED:
        return silence
    return replace(silence, starts_at=min(silence.starts_at, now), ends_at=now, expires=True)


def due_end(silence: Silence, wrong: Mapping[str, Labels], now: datetime) -> End | None:
    """Return why the silence ends now; None while it goes on, or when it has been ended.

    wrong: the labels of every open alert, by its subject.
    """
    if silence.ended_at is not None:
        return None
    if silence.state(now) is SilenceState.ENDED:
        return End.EXPIRED if silence.expires else End.TIME
    resolved = silence.until_resolved and silence.state(now) is SilenceState.ACTIVE
    return End.RESOLVED if resolved and not any(map(silence.matches, wrong.values())) else None
