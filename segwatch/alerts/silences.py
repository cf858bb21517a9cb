"""Silences: what somebody does not want to hear of for a while, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from segwatch.alerts.matching import Matcher, fit
from segwatch.alerts.model import Labels
from segwatch.errors import SegwatchError
from segwatch.jobs.events import rfc3339

SETTLES_WITHIN = timedelta(seconds=5)
"""What was recorded under a silence is on disk so long after it at the latest, and can be told as still wrong."""


class SilenceState(StrEnum):
    """Where a silence stands."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"


class End(StrEnum):
    """Why a silence ends."""

    TIME = "time"
    RESOLVED = "resolved"
    EXPIRED = "expired"  # somebody ended it

    @property
    def words(self) -> str:
        """How a sentence tells it."""
        return {
            "time": "it ran out", "resolved": "nothing it was about is wrong any more", "expired": "a person ended it",
        }[self.value]  # fmt: skip


class BadSilence(SegwatchError):
    """A silence that nobody can mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nobody is told of what all matchers fit, from `starts_at` until `ends_at`.

    ends_at: None for one that has no such time. until_resolved: it ends as soon as nothing that it matches is wrong.
    ends_by: why it ends at that time. owner: who to ask about it. reason: why it is there.
    told_at: when it was told that it has ended, and what is still wrong; None until then.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime | None
    until_resolved: bool = False
    ends_by: End = End.TIME
    owner: str = ""
    reason: str = ""
    created_at: datetime
    told_at: datetime | None = None

    @property
    def stream(self) -> str:
        """The name under which its end is logged."""
        return f"silence/{self.id}"

    def state(self, now: datetime) -> SilenceState:
        """Return where it stands now. One whose end was told has ended, also when the clock is set back."""
        if self.told_at is not None or (self.ends_at is not None and self.ends_at <= now):
            return SilenceState.ENDED
        return SilenceState.ACTIVE if self.starts_at <= now else SilenceState.PENDING

    def held(self, at: datetime) -> bool:
        """Return whether it was in force at a time that is past."""
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)

    def matches(self, labels: Labels) -> bool:
        """Return whether it is about what has these labels."""
        return fit(self.matchers, labels)

    @property
    def what(self) -> str:
        """Its matchers as they are written."""
        return ", ".join(map(str, self.matchers))

    def payload(self, now: datetime) -> dict[str, Any]:
        """Return the public form, of JSON values; times are RFC 3339 in UTC. ended_by: "" until it has ended."""
        ended = self.state(now) is SilenceState.ENDED
        return {
            "id": self.id,
            "state": self.state(now).value,
            "matchers": [str(matcher) for matcher in self.matchers],
            "starts_at": rfc3339(self.starts_at),
            "ends_at": None if self.ends_at is None else rfc3339(self.ends_at),
            "until_resolved": self.until_resolved,
            "ended_by": self.ends_by.value if ended else "",
            "owner": self.owner,
            "reason": self.reason,
            "created_at": rfc3339(self.created_at),
        }


def begun(
    id_: str, matchers: tuple[Matcher, ...], now: datetime,
    *, starts_at: datetime | None = None, ends_at: datetime | None = None, lasts: timedelta | None = None,
    until_resolved: bool = False, owner: str = "", reason: str = "",
) -> Silence:  # fmt: skip
    """Return a new silence. Raises BadSilence for one that nobody can mean.

    starts_at: None for now. ends_at, lasts: at most one of them; none only for one `until_resolved`.
    """
    if not matchers:
        raise BadSilence('A silence needs a matcher, such as sandbox="prod".')
    if fit(matchers, {}):  # as Alertmanager: these would fit almost everything
        raise BadSilence("All of these matchers fit what has none of the labels. Ask for a value with one of them.")
    starts = starts_at.astimezone(UTC) if starts_at else now
    if ends_at and lasts:
        raise BadSilence("A silence has one end: write until when, or for how long.")
    ends = starts + lasts if lasts else ends_at and ends_at.astimezone(UTC)
    if ends is None and not until_resolved:
        raise BadSilence("A silence needs an end: write for how long, or until resolved.")
    if ends is not None and ends <= max(starts, now):
        raise BadSilence("A silence must end after it begins, and not in the past.")
    return Silence(
        id=id_, matchers=matchers, starts_at=starts, ends_at=ends, until_resolved=until_resolved,
        owner=owner, reason=reason, created_at=now,
    )  # fmt: skip


def silenced_by(labels: Labels, silences: Iterable[Silence], now: datetime) -> tuple[Silence, ...]:
    """Return the silences that keep what has these labels from everybody now."""
    return tuple(one for one in silences if one.state(now) is SilenceState.ACTIVE and one.matches(labels))


def held_back_by(labels: Labels, silences: Iterable[Silence], now: datetime) -> tuple[Silence, ...]:
    """Return the silences that keep an alert with these labels from its groups: also those whose end is still untold.

    So what is still wrong, and that the silence has ended, come in one message.
    """
    return tuple(one for one in silences if one.told_at is None and one.starts_at <= now and one.matches(labels))


def expired(silence: Silence, now: datetime) -> Silence:
    """Return the silence as somebody ends it now; as it was if it has ended."""
    return _ended(silence, End.EXPIRED, now)


def resolved(silence: Silence, wrong: Mapping[str, Labels], now: datetime) -> Silence:
    """Return a silence `until_resolved` as it ends now; as it was while something that it matches is wrong.

    wrong: the labels of every open alert, by its subject.
    """
    if silence.until_resolved and silence.state(now) is SilenceState.ACTIVE:
        return silence if any(map(silence.matches, wrong.values())) else _ended(silence, End.RESOLVED, now)
    return silence


def must_be_told(silence: Silence, now: datetime) -> bool:
    """Return whether it is time to tell that the silence has ended."""
    return silence.told_at is None and silence.ends_at is not None and silence.ends_at + SETTLES_WITHIN <= now


def _ended(silence: Silence, why: End, now: datetime) -> Silence:
    if silence.state(now) is SilenceState.ENDED:
        return silence
    return replace(silence, starts_at=min(silence.starts_at, now), ends_at=now, ends_by=why)
