"""What fails and recovers again and again: each time is told as a fault of its own, and the habit only here."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from segwatch.jobs.events import EventType, moment_of, rfc3339
from segwatch.jobs.subject import SubjectState, Turned, about

PREFIX = "flapping/"


class Condition(StrEnum):
    """Whether it flaps."""

    OK = "ok"
    FLAPPING = "flapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """So many failures that were followed by a recovery, within the window, are one. times: 0 for never."""

    times: int = 4
    window: timedelta = timedelta(days=7)


def heard(
    before: SubjectState | None, subject: str, now: datetime, habit: Habit, *, fails: bool, **fields: Any
) -> Turned | None:
    """Return what changes when the subject fails, or is well again; None for nothing worth to be kept.

    subject: of the alert. fields: sandbox and kind of the event, and last_job_id.
    """
    if before is None and not fails:
        return None  # most never fail, and need no row
    state = before or SubjectState(stream=PREFIX + subject, condition=Condition.OK, since=now)
    is_down, ends = bool(state.memory.get("down")), _ends(state, now, habit)
    if fails == is_down:
        return None
    if not fails:
        ends.append(rfc3339(now))
    memory = {"down": fails, "ends": ends[-max(1, habit.times) :]} | {
        name: str(value) for name, value in fields.items() if value
    }
    return _judged(replace(state, memory=memory), before, subject, now, habit)


def reviewed(before: SubjectState, now: datetime, habit: Habit) -> Turned | None:
    """Return that it has stopped to flap, of one that was not heard of for long; None while nothing changes."""
    if before.condition != Condition.FLAPPING:
        return None
    turned = _judged(before, before, before.stream.removeprefix(PREFIX), now, habit)
    return turned if turned.events else None


def _judged(state: SubjectState, before: SubjectState | None, subject: str, now: datetime, habit: Habit) -> Turned:
    """Return the turn. It stops when less than half as many times are left in the window as it takes to begin."""
    count = len(_ends(state, now, habit))
    is_flapping = state.condition == Condition.FLAPPING
    details = {
        "subject": subject, "times": count, "window_s": habit.window.total_seconds(),
    }  # fmt: skip
    fields = {name: state.memory[name] for name in ("sandbox", "kind") if name in state.memory}
    if last := state.memory.get("last_job_id"):
        details["last_job_id"] = last
    if not is_flapping and 0 < habit.times <= count:
        state = replace(state, condition=Condition.FLAPPING, since=now)
        state, event = about(state, EventType.FLAPPING_STARTED, now, details=details, **fields)
    elif is_flapping and (habit.times == 0 or 2 * count < habit.times):
        details["since"] = rfc3339(state.since)
        state = replace(state, condition=Condition.OK, since=now)
        state, event = about(state, EventType.FLAPPING_STOPPED, now, details=details, **fields)
    else:
        return Turned(state=state if is_flapping else replace(state, since=now), before=before)
    return Turned(state=state, before=before, events=(event,))


def _ends(state: SubjectState, now: datetime, habit: Habit) -> list[str]:
    return [
        end for end in state.memory.get("ends", ())
        if (ended_at := moment_of(end)) is not None and ended_at > now - habit.window
    ]  # fmt: skip
