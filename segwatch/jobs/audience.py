"""Whether an audience has the size that it usually has, told as soon as it was counted: before anyone exports it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Any

from segwatch.jobs.band import Band, Size, band
from segwatch.jobs.events import EventType, Severity
from segwatch.jobs.subject import SubjectState, Turned, about

_LATELY = 9  # runs: what the size of an audience that is now empty is judged by
_ZEROS_OF = 28
_SMALL = 1000  # members: a smaller audience may be one that empties by itself, as "birthday today" does,
_FEWEST, _FEWEST_SMALL = 3, 7  # so more runs with members must have been seen,
_ZEROS_MAX = 0.1  # and so many of them at most without
_ZEROS_MAX_SMALL = 1 / _ZEROS_OF  # one in four weeks was a fault of its own, more are a habit


class Condition(StrEnum):
    """How an audience stands."""

    OK = "ok"
    ANOMALOUS = "anomalous"


class Oddity(StrEnum):
    """What is wrong with a size: the `reason` of `audience.anomaly`."""

    EMPTY = "empty"
    SHRUNK = "shrunk"
    GROWN = "grown"


class Ending(StrEnum):
    """How an anomaly ended: the `reason` of `audience.recovered`."""

    BACK = "back"
    SETTLED = "settled"  # it stays where it is: that is now its usual size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """least_change: smaller relative changes are never told. least_members: nor is anything of smaller audiences."""

    least_change: float = 0.35
    least_members: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a size is compared with what was expected; oddity None: it is as usual."""

    oddity: Oddity | None
    expected: float
    band: Band | None = None


def judge(history: Sequence[Size], now: Size, tolerance: Tolerance) -> Verdict | None:
    """Return what is to be said of the size `now`; None when too little is known to say anything.

    history: the sizes before it, in the order of time.
    """
    if now.size <= 0:
        return _judge_empty(history, tolerance)
    expected = band(history, now.at, least_change=tolerance.least_change)
    if expected is None or max(expected.expected, now.size) < tolerance.least_members:
        return None
    oddity = Oddity.SHRUNK if now.size < expected.low else Oddity.GROWN if now.size > expected.high else None
    return Verdict(oddity=oddity, expected=expected.expected, band=expected)


def _judge_empty(history: Sequence[Size], tolerance: Tolerance) -> Verdict | None:
    """Return the verdict on an audience without members: it was seldom empty before, and never so small by chance."""
    before = list(history)
    while before and before[-1].size <= 0:  # this emptiness itself is no habit yet
        before.pop()
    lately = [one.size for one in before[-_ZEROS_OF:]]
    if not lately:
        return None
    expected = median(lately[-_LATELY:])
    fewest, zeros = (_FEWEST_SMALL, _ZEROS_MAX_SMALL) if expected < _SMALL else (_FEWEST, _ZEROS_MAX)
    if len(lately) < fewest or sum(size <= 0 for size in lately) > zeros * len(lately):
        return None
    return Verdict(oddity=Oddity.EMPTY if expected >= tolerance.least_members else None, expected=expected)


def stream_of(sandbox: str, segment: str) -> str:
    """Return the stream on which an audience tells."""
    return f"audience/{sandbox}/{segment}"


def turned(
    before: SubjectState | None, sandbox: str, segment: str, size: Size, verdict: Verdict, now: datetime,
    *, job_id: str = "",
) -> Turned | None:  # fmt: skip
    """Return what the verdict on an audience changes, and what is told; None for nothing.

    An anomaly is told once, and again when it turns into another one or goes much further. job_id: that counted it.
    """
    is_open = before is not None and before.condition == Condition.ANOMALOUS
    if verdict.oddity is None and not is_open:
        return None
    if before and is_open and verdict.oddity and not _goes_further(before.memory, size, verdict):
        return None
    state = before or SubjectState(stream=stream_of(sandbox, segment), condition=Condition.OK, since=now)
    details: dict[str, Any] = {
        "segment": segment,
        "segment_job": job_id,
        "members": int(size.size),
        "expected": round(verdict.expected),
    }
    if verdict.band:
        details |= {"low": round(verdict.band.low), "high": round(verdict.band.high), "runs": verdict.band.runs}
    if verdict.oddity is None:
        return _ended(state, sandbox, size, details, now)
    memory = {"oddity": verdict.oddity.value, "members": size.size, "expected": verdict.expected}
    since = state.since if is_open else now
    state = replace(state, condition=Condition.ANOMALOUS, since=since, memory=memory)
    loud = {"severity": Severity.CRITICAL} if verdict.oddity is Oddity.EMPTY else {}
    state, event = about(
        state, EventType.AUDIENCE_ANOMALY, now, sandbox=sandbox, kind="segment_job", reason=verdict.oddity.value,
        details=details, **loud,
    )  # fmt: skip
    return Turned(state=state, before=before, events=(event,))


def _goes_further(told: dict[str, Any], size: Size, verdict: Verdict) -> bool:
    """Return whether the anomaly is another one than what was told, or lies beyond that by the width of the band."""
    if told.get("oddity") != verdict.oddity:
        return True
    members = told.get("members")
    if verdict.band is None or not isinstance(members, int | float) or members <= 0:
        return False
    width = verdict.band.high / verdict.band.expected
    return size.size > members * width if verdict.oddity is Oddity.GROWN else size.size * width < members


def _ended(state: SubjectState, sandbox: str, size: Size, details: dict[str, Any], now: datetime) -> Turned:
    before, odd, usual = state, state.memory.get("members"), state.memory.get("expected")
    stays = (
        isinstance(odd, int | float)
        and isinstance(usual, int | float)
        and abs(size.size - odd) < abs(size.size - usual)
    )
    state = replace(state, condition=Condition.OK, since=now, memory={})
    state, event = about(
        state, EventType.AUDIENCE_RECOVERED, now, sandbox=sandbox, kind="segment_job",
        reason=(Ending.SETTLED if stays else Ending.BACK).value, details=details,
    )  # fmt: skip
    return Turned(state=state, before=before, events=(event,))
