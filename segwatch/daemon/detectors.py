"""What follows from a change by what was before it: told in the same transaction, so that no crash comes between."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from segwatch.alerts.effects import effects_of
from segwatch.alerts.model import Turn
from segwatch.daemon.clock import Clock
from segwatch.daemon.history import History
from segwatch.jobs import audience, flapping, oddness, telling
from segwatch.jobs.audience import Tolerance, Verdict
from segwatch.jobs.band import Size
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.jobs.flapping import Habit
from segwatch.jobs.model import JobState
from segwatch.jobs.subject import SubjectState, Turned
from segwatch.store.base import Change, Store

_IN_A_THREAD = 20  # segments of one job: more would hold up the loop
_ENDS = (EventType.JOB_SUCCEEDED, EventType.JOB_FAILED)
FLAPS = ("work/", "sandbox/")  # the subjects of which a habit is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What is looked for.

    audiences: whether their sizes are. tolerance: of sizes, and of what exports write. overdue_factor: of the p95 of
    such jobs; 0 for never. overdue_slack: added to it. exports: whether those that succeeded are judged.
    token_warning: how long before its end a token is told that nobody renews.
    """

    audiences: bool = True
    tolerance: Tolerance = field(default_factory=Tolerance)
    habit: Habit = field(default_factory=Habit)
    overdue_factor: float = 1.5
    overdue_slack: timedelta = timedelta(seconds=30)
    exports: bool = True
    token_warning: timedelta = timedelta(hours=2)


class Subjects:
    """The subjects of one decision, as they are on disk and as the decision has changed them so far."""

    def __init__(self, store: Store, known: set[str] | None = None) -> None:
        """known: streams that may have a row: most never get one, and need no look. None: any may."""
        self._store = store
        self._known = known
        self._now: dict[str, SubjectState | None] = {}
        self.changes: list[Change] = []

    async def get(self, stream: str) -> SubjectState | None:
        if stream not in self._now:
            self._now[stream] = await self._store.subject(stream) if self._may_be(stream) else None
        return self._now[stream]

    def put(self, turned: Turned | None) -> None:
        if turned is None or not turned.is_news:
            return
        if self._known is not None:
            self._known.add(turned.state.stream)
        self._now[turned.state.stream] = turned.state
        self.changes.append(Change(subject=turned.state, subject_before=turned.before, events=turned.events))

    def _may_be(self, stream: str) -> bool:
        return self._known is None or stream in self._known


class Detectors:
    """Judges what one sandbox's recorder is about to write."""

    def __init__(self, sandbox: str, store: Store, clock: Clock, history: History, wanted: Detection) -> None:
        self._sandbox = sandbox
        self._store = store
        self._clock = clock
        self._history = history
        self._wanted = wanted
        self._known: set[str] | None = None

    async def follow(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Return these changes, and those that follow from them. Raises StoreUnavailable."""
        if not any(change.events for change in changes):
            return changes
        subjects, now = Subjects(self._store, await self._streams()), self._clock.now()
        followed = [await self._loudness(change, subjects, now) for change in changes]
        followed = [await self._compared(change, now) for change in followed]
        for change in followed:
            for event in change.events:
                await self._flapping(event, subjects, now)
        await self._audiences(followed, subjects, now)
        return [*followed, *subjects.changes]

    async def _streams(self) -> set[str]:
        if self._known is None:
            prefixes = (
                f"audience/{self._sandbox}/", f"status/{self._sandbox}/",
                *(f"{flapping.PREFIX}{what}{self._sandbox}" for what in FLAPS),
            )  # fmt: skip
            found = [await self._store.subjects(prefix) for prefix in prefixes]
            self._known = {subject.stream for some in found for subject in some}
        return self._known

    async def _loudness(self, change: Change, subjects: Subjects, now: datetime) -> Change:
        """Return the change, an unknown status in it made quiet that was told in the last 24 hours already."""
        events = []
        for event in change.events:
            if event.type is EventType.JOB_UNKNOWN_STATUS:
                before = await subjects.get(oddness.status_stream(self._sandbox, event.kind, event.status))
                turned = oddness.status(before, self._sandbox, event.kind, event.status, now)
                subjects.put(turned)
                events.append(event if turned else replace(event, severity=Severity.INFO))
            else:
                events.append(event)
        return replace(change, events=tuple(events))

    async def _compared(self, change: Change, now: datetime) -> Change:
        """Return the change; that a job ended, or is too old, says how long such jobs take, as they took until then."""
        job = change.job
        if job is None or not any(map(_is_timed, change.events)):
            return change
        if any(event.type is EventType.JOB_OVERDUE for event in change.events):  # seldom, and somebody waits for it
            await self._history.refresh(job.key.kind)
        else:
            await self._history.refresh_if_old(job.key.kind)
        usual, eta = self._history.usual(job), self._history.eta(job, now)

        def known(event: Event) -> dict[str, Any]:
            if event.type is EventType.JOB_OVERDUE:
                return telling.expectation(usual, eta)
            return telling.expectation(usual, None) if job.ended_at else {}

        events = (
            replace(one, details=one.details | known(one)) if _is_timed(one) else one for one in change.events
        )  # fmt: skip
        return replace(change, events=tuple(events))

    async def _flapping(self, event: Event, subjects: Subjects, now: datetime) -> None:
        if self._wanted.habit.times == 0:
            return
        for effect in effects_of(event)[:1]:
            if effect.turn is Turn.ADDS or not effect.subject.startswith(FLAPS):
                continue
            before = await subjects.get(flapping.PREFIX + effect.subject)
            fails = effect.turn is Turn.OPENS
            turned = flapping.heard(
                before, effect.subject, now, self._wanted.habit, fails=fails,
                sandbox=event.sandbox, kind=event.kind, last_job_id=event.job_id,
            )  # fmt: skip
            subjects.put(turned)

    async def _audiences(self, changes: Sequence[Change], subjects: Subjects, now: datetime) -> None:
        if not self._wanted.audiences:
            return
        counted = [
            change.job for change in changes
            if change.job and change.job.facts.profiles
            and any(event.type is EventType.JOB_SUCCEEDED for event in change.events)
        ]  # fmt: skip
        if not counted:
            return
        await self._history.refresh("segment_job")
        earlier: dict[str, list[Size]] = {}
        for job in sorted(counted, key=lambda one: one.over_at):
            judge = _Judge(self._history, job, earlier, self._wanted.tolerance)
            large = len(job.facts.profiles) > _IN_A_THREAD
            for segment, size, verdict in await asyncio.to_thread(judge) if large else judge():
                before = await subjects.get(audience.stream_of(self._sandbox, segment))
                turned = audience.turned(before, self._sandbox, segment, size, verdict, now, job_id=job.key.id)
                subjects.put(turned)


def _is_timed(event: Event) -> bool:
    """True for what says how long a job takes: that it ended, or is older than its fixed limit."""
    return event.type in _ENDS or (event.type is EventType.JOB_OVERDUE and event.reason == "limit")


class _Judge:
    """Judges all that one evaluation counted. earlier: what others counted in the same decision, by segment."""

    def __init__(self, history: History, job: JobState, earlier: dict[str, list[Size]], tolerance: Tolerance) -> None:
        self._history = history
        self._job = job
        self._earlier = earlier
        self._tolerance = tolerance

    def __call__(self) -> list[tuple[str, Size, Verdict]]:
        found = []
        for segment, members in self._job.facts.profiles.items():
            size = Size(at=self._job.over_at, size=members)
            more = self._earlier.setdefault(segment, [])
            known = [*self._history.sizes(segment, but=self._job.key.id), *more]
            more.append(size)
            if known and known[-1].at >= size.at:
                continue  # a newer evaluation was judged already
            if verdict := audience.judge(known, size, self._tolerance):
                found.append((segment, size, verdict))
        return found
