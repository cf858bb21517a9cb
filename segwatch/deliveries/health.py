"""Whether a channel works, judged by the outcomes of its attempts."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from segwatch.deliveries.model import Accepted, Outcome, Rejected, Retryable
from segwatch.jobs.events import Event, EventType, rfc3339, severity_of
from segwatch.jobs.subject import SubjectState

FAILURES_MAX = 5


class ChannelCondition(StrEnum):
    """The word that `SubjectState.condition` holds for a channel."""

    HEALTHY = "healthy"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHealth:
    """What is known of one channel: what was last said of it, and its attempts since this process started.

    said: the recorded state, None while nothing was ever said. failures: failed attempts in a row.
    accepted: the last attempt was accepted. rejected: one of `failures` can never work.
    why: the last failure's reason. failing_since: when the first of `failures` was begun.
    """

    channel: str
    said: SubjectState | None = None
    failures: int = 0
    accepted: bool = False
    rejected: bool = False
    why: str = ""
    failing_since: datetime | None = None

    @property
    def stream(self) -> str:
        """The name under which this channel's events are ordered."""
        return stream_of(self.channel)


def stream_of(channel: str) -> str:
    """Return the name under which a channel's events are ordered."""
    return f"channel/{channel}"


def counted(health: ChannelHealth, outcome: Outcome, begun: datetime) -> ChannelHealth:
    """Return the health after one more attempt, which was begun at `begun`."""
    since = health.failing_since or begun
    match outcome:
        case Accepted():
            return ChannelHealth(channel=health.channel, said=health.said, accepted=True)
        case Rejected(reason=why):
            return replace(
                health, failures=health.failures + 1, accepted=False, rejected=True, why=why, failing_since=since
            )
        case Retryable(reason=why):
            return replace(health, failures=health.failures + 1, accepted=False, why=why, failing_since=since)


def judged(health: ChannelHealth, now: datetime) -> tuple[ChannelHealth, tuple[Event, ...]]:
    """Return the health with what must now be said of it, and the event that says so; often there is none.

    A channel fails once FAILURES_MAX attempts in a row failed, or one was rejected. It has recovered when it
    accepts again. The answer counts only once it is recorded: until then ask again with the old state, and
    the same is said.
    """
    was_failing = health.said is not None and health.said.condition == ChannelCondition.FAILING
    if health.accepted and was_failing:
        return _said(health, ChannelCondition.HEALTHY, EventType.CHANNEL_RECOVERED, now)
    if (health.rejected or health.failures >= FAILURES_MAX) and not was_failing:
        return _said(health, ChannelCondition.FAILING, EventType.CHANNEL_FAILING, now)
    return health, ()


def _said(
    health: ChannelHealth, condition: ChannelCondition, type_: EventType, now: datetime
) -> tuple[ChannelHealth, tuple[Event, ...]]:
    sequence = 1 if health.said is None else health.said.sequence + 1
    # both events say since when it fails, or had failed
    trouble = health.failing_since or (health.said.since if health.said else now)
    since = trouble if condition is ChannelCondition.FAILING else now
    said = SubjectState(stream=health.stream, condition=condition.value, since=since, sequence=sequence)
    event = Event(
        type=type_,
        stream=health.stream,
        sequence=sequence,
        at=now,
        severity=severity_of(type_),
        status=condition.value,
        previous="" if health.said is None else health.said.condition,
        details={"channel": health.channel, "why": health.why, "failures": health.failures, "since": rfc3339(trouble)},
    )
    return replace(health, said=said), (event,)
