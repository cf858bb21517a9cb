"""Whether the platform's schedules fire when they should, and whether somebody changed them.

A schedule tells nothing of its last firing; that it fired shows in a job that it began (AEP contract 3.3, 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from segwatch.cron import Cron, CronError, parse
from segwatch.jobs.events import Event, EventType, Severity, moment_of, rfc3339
from segwatch.jobs.subject import SubjectState, Turned, about

_EARLY = timedelta(minutes=2)  # the platform's clock may be ahead of ours
_FIRINGS_MAX = 400  # at most one a day: more than a year's


class Condition(StrEnum):
    """How a schedule stands."""

    OK = "ok"
    MISSED = "missed"


class Change(StrEnum):
    """What was done to a schedule: the `reason` of `schedule.changed`."""

    CRON = "cron"
    DISABLED = "disabled"
    ENABLED = "enabled"
    DELETED = "deleted"


_FIRED = "fired"  # the `reason` of `schedule.recovered`, beside those of Change: it is no longer expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """A schedule as the platform tells it. kind: of the jobs that it begins."""

    id: str
    name: str
    kind: str
    cron: str
    is_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A job that a schedule began. schedule_id: "" where the platform does not tell which."""

    at: datetime
    schedule_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is known of the jobs of the schedule's kind: all that began in [since, until], by our look."""

    begun: Sequence[Begun]
    since: datetime
    until: datetime


def stream_of(sandbox: str, schedule: str) -> str:
    """Return the stream on which a schedule tells."""
    return f"schedule/{sandbox}/{schedule}"


def turned(
    before: SubjectState | None, sandbox: str, seen: Timetable | None, watched: Watched, now: datetime,
    *, grace: timedelta,
) -> Turned | None:  # fmt: skip
    """Return what a look at the schedules changes for this one, and what is told; None for nothing.

    seen: None when the platform does not list it any more. A firing is missed when no job was begun by it within
    `grace`, and nobody could have overlooked one. Of a schedule that is seen for the first time, or whose time was
    changed, only what should come after that is expected.
    """
    if before is None:
        return None if seen is None else Turned(state=_first(sandbox, seen, now), before=None)
    if seen is None and before.memory.get("gone"):
        return None
    state, events = _changed(before, sandbox, seen, now)
    if seen is not None and seen.is_active and (cron := _read(seen.cron)):
        state, more = _judged(state, sandbox, seen, cron, watched, now, grace)
        events = (*events, *more)
    return Turned(state=state, before=before, events=events) if state != before else None


def _first(sandbox: str, seen: Timetable, now: datetime) -> SubjectState:
    return SubjectState(
        stream=stream_of(sandbox, seen.id), condition=Condition.OK, since=now, memory=_memory(seen, judged=now)
    )


def _memory(seen: Timetable, *, judged: datetime) -> dict[str, Any]:
    """Return what is kept of a schedule. judged: up to when its firings were looked for."""
    return {
        "name": seen.name, "kind": seen.kind, "cron": seen.cron, "active": seen.is_active, "judged": rfc3339(judged),
    }  # fmt: skip


def _changed(
    state: SubjectState, sandbox: str, seen: Timetable | None, now: datetime
) -> tuple[SubjectState, tuple[Event, ...]]:
    """Return the state and what is told of a schedule that is not as it was. What it missed is then past."""
    memory = state.memory
    was_there, was_active = not memory.get("gone"), memory.get("active") is True
    if seen is None:
        change = Change.DELETED
    elif seen.is_active != was_active or not was_there:
        change = Change.ENABLED if seen.is_active else Change.DISABLED
    elif seen.cron != memory.get("cron"):
        change = Change.CRON
    else:
        return state, ()
    details = _details(memory if seen is None else _memory(seen, judged=now), state)
    if change is Change.CRON:
        details["previous_cron"] = str(memory.get("cron", ""))
    loud = change in (Change.DISABLED, Change.DELETED)
    severity = Severity.WARNING if loud and was_active else Severity.INFO
    state = replace(state, memory=memory | {"gone": True} if seen is None else _memory(seen, judged=now))
    state, event = about(
        state, EventType.SCHEDULE_CHANGED, now, sandbox=sandbox, kind=str(memory.get("kind", "")),
        reason=change.value, severity=severity, details=details,
    )  # fmt: skip
    if state.condition != Condition.MISSED:
        return state, (event,)
    state, closing = _recovered(state, sandbox, change.value, now)
    return state, (event, closing)


def _judged(
    state: SubjectState, sandbox: str, seen: Timetable, cron: Cron, watched: Watched, now: datetime, grace: timedelta
) -> tuple[SubjectState, tuple[Event, ...]]:
    """Return the state and what is told of the firings that have come since the last look."""
    own = sorted(one.at for one in watched.begun if one.schedule_id in ("", seen.id))
    if state.condition == Condition.MISSED:
        missed = moment_of(state.memory.get("missed")) or state.since
        if any(at >= missed - _EARLY for at in own):
            state, event = _recovered(replace(state, memory=_without(state.memory)), sandbox, _FIRED, now)
            return _judged_on(state, sandbox, cron, own, watched, now, grace, (event,))
    return _judged_on(state, sandbox, cron, own, watched, now, grace, ())


def _judged_on(
    state: SubjectState, sandbox: str, cron: Cron, own: Sequence[datetime], watched: Watched, now: datetime,
    grace: timedelta, told: tuple[Event, ...],
) -> tuple[SubjectState, tuple[Event, ...]]:  # fmt: skip
    judged = moment_of(state.memory.get("judged")) or now
    due = _due(cron, judged, min(now, watched.until) - grace)
    if not due:
        return state, told
    state = replace(state, memory=state.memory | {"judged": rfc3339(due[-1])})
    missed = [at for at in due if at >= watched.since and not any(at - _EARLY <= one <= at + grace for one in own)]
    if not missed or any(one >= missed[-1] - _EARLY for one in own):  # a later one has made it good
        return state, told
    if state.condition == Condition.MISSED:  # told, and still so
        times = int(state.memory.get("times", 1)) + len(missed)
        return replace(state, memory=state.memory | {"times": times}), told
    memory = state.memory | {"missed": rfc3339(missed[-1]), "times": len(missed)}
    state = replace(state, condition=Condition.MISSED, since=now, memory=memory)
    details = _details(state.memory, state) | {"grace_s": grace.total_seconds()}
    if following := cron.next_after(now):
        details["next"] = rfc3339(following)
    if own:
        details["last_fired"] = rfc3339(own[-1])
    state, event = about(
        state, EventType.SCHEDULE_MISSED, now, sandbox=sandbox, kind=str(memory.get("kind", "")), details=details
    )
    return state, (*told, event)


def _recovered(state: SubjectState, sandbox: str, reason: str, now: datetime) -> tuple[SubjectState, Event]:
    details = _details(state.memory, state) | {"since": rfc3339(state.since)}
    kind = str(state.memory.get("kind", ""))
    state = replace(state, condition=Condition.OK, since=now, memory=_without(state.memory))
    return about(state, EventType.SCHEDULE_RECOVERED, now, sandbox=sandbox, kind=kind, reason=reason, details=details)


def _details(memory: dict[str, Any], state: SubjectState) -> dict[str, Any]:
    found = {
        "schedule": state.stream.split("/", 2)[2],
        "name": memory.get("name"), "cron": memory.get("cron"), "expected_at": memory.get("missed"),
        "times": memory.get("times"),
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _without(memory: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in memory.items() if name not in ("missed", "times")}


def _due(cron: Cron, after: datetime, until: datetime) -> list[datetime]:
    """Return the firings in (after, until], the earliest first."""
    found: list[datetime] = []
    at = cron.next_after(after)
    while at is not None and at <= until and len(found) < _FIRINGS_MAX:
        found.append(at)
        at = cron.next_after(at)
    return found


def _read(text: str) -> Cron | None:
    """Return the cron; None for one that we cannot read: nothing is expected then."""
    try:
        return parse(text)
    except CronError:
        return None
