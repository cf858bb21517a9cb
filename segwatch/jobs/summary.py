"""What happened in a span of time, in figures: from the events of the log, and what was usual before.

All that grows with the log is bounded, so that a day of any length can be counted while it is read.
"""

import heapq
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeGuard

from segwatch.jobs.events import Event, EventType, errors_in
from segwatch.jobs.model import JobError, JobState

ENDS = {
    EventType.JOB_SUCCEEDED: "succeeded",
    EventType.JOB_FAILED: "failed",
    EventType.JOB_CANCELLED: "cancelled",
    EventType.JOB_VANISHED: "vanished",
}
"""How a run can end, and what it is counted as."""
_RUN_ENDS = {EventType.PIPELINE_SUCCEEDED: "succeeded", EventType.PIPELINE_FAILED: "failed"}
COUNTED = (
    *ENDS, *_RUN_ENDS, EventType.RECOVERED, EventType.RETRY_EXHAUSTED, EventType.AUDIENCE_ANOMALY,
    EventType.AUDIENCE_RECOVERED,
)  # fmt: skip
"""The types that a summary is made of."""

LISTED_MAX = 5  # of anything that a summary, and the digest made of it, tells one by one
MOVED = 0.1  # an audience has moved when it has grown or shrunk by that share,
MOVED_LEAST = 10  # and by so many members
_SPANS_MAX = 100_000  # of one kind in one sandbox; the medians are those of the first so many
_CAUSES_MAX = 500
_TEXT_MAX = 600  # of an error: it may hold a page of stack
_AUDIENCES_MAX = 50_000
_NUMBER = re.compile("[0-9]+")


@dataclass(slots=True)
class Past:
    """How many members audiences had before: (sandbox, segment) -> the newest size."""

    _members: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, evaluations: Iterable[JobState]) -> None:
        """Take in evaluations that succeeded before, of any sandboxes, the newest first."""
        for job in evaluations:
            for segment, members in job.facts.profiles.items():
                if len(self._members) < _AUDIENCES_MAX:
                    self._members.setdefault((job.key.sandbox, segment), members)

    def members(self, sandbox: str, segment: str) -> int | None:
        """Return how many members the audience had."""
        return self._members.get((sandbox, segment))


@dataclass(slots=True)
class _Work:
    """The runs of one kind in one sandbox. took, usual: seconds, of those that succeeded; usual where it is known."""

    ends: Counter[str] = field(default_factory=Counter)
    took: "array[float]" = field(default_factory=lambda: array("d"))
    usual: "array[float]" = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class _Cause:
    """Failures with one cause. job_id, message: of the first."""

    job_id: str
    code: str
    message: str
    count: int = 0


class Tally:
    """Counts events as they come, in the order of the log. past: what was before the first of them."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._work: dict[tuple[str, str], _Work] = {}
        self._causes: dict[tuple[str, str, str], _Cause] = {}
        self._rarer = 0
        self._slowest: list[tuple[float, int, dict[str, Any]]] = []
        self._runs = 0
        self._members: dict[tuple[str, str], int] = {}
        self._odd: dict[tuple[str, str], str] = {}
        self._saved = self._given_up = 0
        self._pipelines: dict[tuple[str, str], Counter[str]] = {}

    def take(self, events: Iterable[Event]) -> None:
        """Take in the next events; those of other types are passed over."""
        for event in events:
            if event.type in ENDS:
                self._ended(event)
            elif event.type in _RUN_ENDS:
                name = (event.sandbox, str(event.details.get("pipeline", "")))
                self._pipelines.setdefault(name, Counter())[_RUN_ENDS[event.type]] += 1
            elif event.type is EventType.RECOVERED:
                self._saved += 1
            elif event.type is EventType.RETRY_EXHAUSTED:
                self._given_up += 1
            elif event.type is EventType.AUDIENCE_ANOMALY and len(self._odd) < _AUDIENCES_MAX:
                self._odd[_audience(event)] = event.reason
                self._counted(*_audience(event), event.details.get("members"))
            elif event.type is EventType.AUDIENCE_RECOVERED:
                self._odd.pop(_audience(event), None)

    def figures(self) -> dict[str, Any]:
        """Return what was counted, JSON values only.

        runs: jobs that ended, and how: succeeded, failed, cancelled, vanished. saved: exports that recovered through a
        resubmission. given_up: exports of which no attempt is left. work: the same of each kind in each sandbox, with
        the median duration, and the median of what was usual for each by its event. failures: by cause, the most
        frequent first, with the first job; other_failures: of further causes. slowest: the longest runs. moved:
        audiences, the largest change first; more_moved: how many are not listed. pipelines: of each, the executions
        that ended, and how; their jobs are counted above.
        """
        totals: Counter[str] = Counter()
        for work in self._work.values():
            totals.update(work.ends)
        causes = sorted(self._causes.items(), key=lambda one: (-one[1].count, one[0]))
        moved = self._moved()
        return {
            "runs": self._runs,
            **{end: totals[end] for end in ENDS.values()},
            "saved": self._saved,
            "given_up": self._given_up,
            "work": [_figures_of(*name, work) for name, work in sorted(self._work.items())],
            "failures": [
                {"sandbox": name[0], "kind": name[1], "count": cause.count, "job_id": cause.job_id}
                | _known(code=cause.code, message=cause.message)
                for name, cause in causes[:LISTED_MAX]
            ],
            "other_failures": self._rarer + sum(cause.count for _, cause in causes[LISTED_MAX:]),
            "slowest": [run for *_, run in sorted(self._slowest, key=lambda one: (-one[0], -one[1]))],
            "moved": moved[:LISTED_MAX],
            "more_moved": max(0, len(moved) - LISTED_MAX),
            "pipelines": [
                {"sandbox": sandbox, "pipeline": pipeline, "runs": ends.total()}
                | {end: ends[end] for end in _RUN_ENDS.values()}
                for (sandbox, pipeline), ends in sorted(self._pipelines.items())
            ],
        }

    def _ended(self, event: Event) -> None:
        self._runs += 1
        work = self._work.setdefault((event.sandbox, event.kind), _Work())
        work.ends[ENDS[event.type]] += 1
        if event.type is EventType.JOB_FAILED:
            self._failed(event)
        if event.type is not EventType.JOB_SUCCEEDED:
            return
        profiles = event.details.get("profiles")
        for segment, members in profiles.items() if isinstance(profiles, dict) else ():
            self._counted(event.sandbox, segment, members)
        took = event.details.get("duration_s")
        if _is_number(took):
            self._took(event, work, float(took))

    def _took(self, event: Event, work: _Work, took_s: float) -> None:
        told = event.details.get("usual_s")  # by what was before this very run: a later look would say something else
        usual_s = float(told) if _is_number(told) else None
        if len(work.took) < _SPANS_MAX:
            work.took.append(took_s)
            if usual_s is not None:
                work.usual.append(usual_s)
        run = {"sandbox": event.sandbox, "kind": event.kind, "job_id": event.job_id, "took_s": took_s}
        entry = (took_s, -self._runs, run | _known(usual_s=usual_s))  # of equal ones the first stays
        if len(self._slowest) < LISTED_MAX:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heappushpop(self._slowest, entry)

    def _failed(self, event: Event) -> None:
        first = next(iter(errors_in(event)), JobError(code="", text=""))
        code, message = first.code[:_TEXT_MAX], first.text[:_TEXT_MAX]
        # messages of one cause name different jobs, batches and times
        name = (event.sandbox, event.kind, code or _NUMBER.sub("#", message))
        if name not in self._causes and len(self._causes) >= _CAUSES_MAX:
            self._rarer += 1
            return
        self._causes.setdefault(name, _Cause(event.job_id, code, message)).count += 1

    def _counted(self, sandbox: str, segment: str, members: object) -> None:
        name = (sandbox, segment)
        if isinstance(members, int) and (name in self._members or len(self._members) < _AUDIENCES_MAX):
            self._members[name] = members

    def _moved(self) -> list[dict[str, Any]]:
        """Return the audiences that are odd or have moved, the odd ones first."""
        ranked = []
        for (sandbox, segment), members in self._members.items():
            before, odd = self._past.members(sandbox, segment), self._odd.get((sandbox, segment), "")
            far = 0.0 if before is None else abs(math.log((members + 1) / (before + 1)))
            if odd or (before is not None and _is_far(before, members)):
                row = {"sandbox": sandbox, "segment": segment, "members": members}
                ranked.append((not odd, -far, segment, sandbox, row | _known(before=before, odd=odd or None)))
        return [row for *_, row in sorted(ranked, key=lambda one: one[:4])]


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_far(before: int, members: int) -> bool:
    return abs(members - before) >= max(MOVED_LEAST, MOVED * before)


def _figures_of(sandbox: str, kind: str, work: _Work) -> dict[str, Any]:
    ends = {end: work.ends[end] for end in ENDS.values()}
    spans = _known(
        median_s=round(median(work.took), 3) if work.took else None,
        usual_s=round(median(work.usual), 3) if work.usual else None,
    )
    return {"sandbox": sandbox, "kind": kind, "runs": work.ends.total()} | ends | spans


def _audience(event: Event) -> tuple[str, str]:
    return event.sandbox, str(event.details.get("segment", ""))


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "")}
