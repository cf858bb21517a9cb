"""What no change of a job tells: what takes too long, exports that cannot be right, tokens that end, odd replies."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from segwatch.alerts.effects import subject_of
from segwatch.daemon.bus import News
from segwatch.daemon.clock import Clock
from segwatch.daemon.detectors import FLAPS, Detection, Subjects
from segwatch.daemon.history import History
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.source import Source
from segwatch.jobs import expiry, flapping, oddness, plausible, tracker
from segwatch.jobs.events import EventType
from segwatch.jobs.model import JobKey, JobState, Missing, Status
from segwatch.jobs.plausible import Doubt
from segwatch.store.base import Change, Store, StoreError
from segwatch.store.filters import AlertFilter
from segwatch.upstream.errors import UpstreamError
from segwatch.upstream.tokens import TokenSource

log = structlog.get_logger()

_EXPORT = "export_job"
_EVERY_MAX_S = 10.0
_RARELY = timedelta(minutes=10)
_JUDGED_WITHIN = timedelta(hours=6)  # what ended longer ago was looked at before a restart, or is no news any more
_LOOKS = 3  # at a record that names no batch: it may be told of later than the end
_BETWEEN_LOOKS = 2  # intervals
_SHAPES_MAX = 50
_SEEN_WITHIN = timedelta(minutes=2)


@dataclass(slots=True, kw_only=True)
class _Check:
    """An export that is to be judged. looks: at its record."""

    key: JobKey
    due: datetime
    looks: int = 0


@dataclass(slots=True)
class Oddities:
    """The replies and rows that could not be read since somebody asked: part and shape of each, once."""

    shapes: dict[tuple[str, str], None] = field(default_factory=dict)

    def note(self, part: str, shape: str) -> None:
        """Keep one; of very many different ones only the first."""
        if shape and len(self.shapes) < _SHAPES_MAX:
            self.shapes[part, shape] = None

    def take(self) -> list[tuple[str, str]]:
        """Return them, and begin anew."""
        found, self.shapes = list(self.shapes), {}
        return found


class Inspector:
    """The worker that looks at one sandbox from aside, every ten seconds at least.

    exports: where records of exports come from. interval: that of the polling. began: when this process began to watch.
    """

    def __init__(
        self, recorder: Recorder, store: Store, clock: Clock, history: History, wanted: Detection,
        *, exports: Source, tokens: TokenSource, oddities: Oddities, interval: timedelta, began: datetime,
    ) -> None:  # fmt: skip
        self._recorder = recorder
        self._sandbox = recorder.sandbox
        self._store = store
        self._clock = clock
        self._history = history
        self._wanted = wanted
        self._exports = exports
        self._tokens = tokens
        self._oddities = oddities
        self._interval = interval
        self._began = began
        self._checks: dict[JobKey, _Check] = {}
        self._rarely_at = clock.now()

    def heard(self, news: News) -> None:
        """Note an export that succeeded: it is judged when its record can be read."""
        job, event = news.job, news.event
        if job and event.type is EventType.JOB_SUCCEEDED and job.key.kind == _EXPORT and event.sandbox == self._sandbox:
            self._check(job)

    async def run(self, beat: Callable[[], None]) -> None:
        """Look, for ever."""
        every_s = min(self._interval.total_seconds(), _EVERY_MAX_S)
        is_loaded = False
        while True:
            beat()
            try:
                if not is_loaded:
                    await self._recorder.load()
                    for job in self._recorder.known(_EXPORT):
                        if job.status is Status.SUCCEEDED and job.sequence and not job.judged_at:
                            self._check(job)
                    is_loaded = True
                await self._look(beat)
            except StoreError as error:
                log.warning("inspection_failed", sandbox=self._sandbox, error=str(error))
            await self._clock.sleep(every_s)

    async def _look(self, beat: Callable[[], None]) -> None:
        await self._slow()
        await self._judge_exports(beat)
        await self._write(self._token)
        if shapes := self._oddities.take():
            await self._write(lambda subjects, now: self._replies(shapes, subjects, now))
        if self._clock.now() >= self._rarely_at:
            self._rarely_at = self._clock.now() + _RARELY
            await self._write(self._habits)

    # jobs that take too long

    async def _slow(self) -> None:
        if not self._wanted.overdue_factor:
            return
        for kind in self._recorder.policies:
            if self._recorder.active(kind):
                await self._history.refresh(kind)
            if any(self._slowed(job) for job in self._recorder.active(kind)):
                await self._recorder.write(lambda kind=kind: self._slow_ones(kind))  # type: ignore[misc]

    async def _slow_ones(self, kind: str) -> Sequence[Change]:
        return [
            change for job in self._recorder.active(kind) if (change := self._slowed(job)) is not None
        ]  # fmt: skip

    def _slowed(self, job: JobState) -> Change | None:
        """Return what tells that the job takes longer than such jobs do, if it was seen to run on just now."""
        now = self._clock.now()
        if job.slow_at or job.overdue_at or now - job.asked_at > max(_SEEN_WITHIN, 4 * self._interval):
            return None
        usual = self._history.usual(job)
        if usual is None:
            return None
        limit = usual.limit(self._wanted.overdue_factor, self._wanted.overdue_slack)
        after, events = tracker.slow(job, now, usual, limit, self._history.eta(job, now))
        return Change(job=after, job_before=job, events=events) if events else None

    # exports that cannot be right

    def _check(self, job: JobState) -> None:
        now = self._clock.now()
        if self._wanted.exports and now - job.over_at <= _JUDGED_WITHIN:
            self._checks.setdefault(job.key, _Check(key=job.key, due=now))

    async def _judge_exports(self, beat: Callable[[], None]) -> None:
        for check in [one for one in self._checks.values() if one.due <= self._clock.now()]:
            beat()
            job = await self._recorder.fresh(check.key)
            if job is None or self._clock.now() - job.over_at > _JUDGED_WITHIN:
                del self._checks[check.key]
            elif job.facts.batches or check.looks >= _LOOKS:
                await self._judge(job)
                del self._checks[check.key]
            else:
                await self._look_again(check)

    async def _look_again(self, check: _Check) -> None:
        """Read the record of an export of which no list told a batch; a list may leave it out, and a record be late."""
        check.due = self._clock.now() + _BETWEEN_LOOKS * self._interval
        try:
            seen = await self._exports.one(check.key.id)
        except UpstreamError as error:
            log.info("export_not_judged_yet", sandbox=self._sandbox, job_id=check.key.id, error=str(error))
            return
        check.looks += 1
        if isinstance(seen, Missing):  # gone: nobody can say more
            del self._checks[check.key]
            return
        position = await self._recorder.position(_EXPORT, self._began)
        await self._recorder.record(_EXPORT, [seen], position, listed=False)
        if seen.facts.batches:
            check.due = self._clock.now()

    async def _judge(self, job: JobState) -> None:
        await self._history.refresh(_EXPORT)
        await self._history.refresh("segment_job")
        tolerance = self._wanted.tolerance
        doubt = plausible.doubt(
            job.facts, self._history.members(job.facts.segments, job.born_at), self._history.yields(job),
            least_change=tolerance.least_change, least_members=tolerance.least_members,
            names_batches=self._history.names_batches(_EXPORT),
        )  # fmt: skip
        if doubt or await self._cannot_be_right(job):
            await self._recorder.write(lambda: self._judged(job.key, doubt))

    async def _cannot_be_right(self, job: JobState) -> bool:
        """True when the same order was told to have written what cannot be right, and that is not over."""
        _, events = tracker.plausible(job, self._clock.now())
        wanted = [AlertFilter(subject=subject_of(event), open_only=True) for event in events]
        found = [alert for one in wanted for alert in await self._store.alerts(one)]
        return any(EventType.EXPORT_IMPLAUSIBLE.value in alert.types for alert in found)

    async def _judged(self, key: JobKey, doubt: Doubt | None) -> Sequence[Change]:
        job, now = await self._recorder.fresh(key), self._clock.now()
        if job is None:
            return []
        after, events = tracker.implausible(job, now, doubt) if doubt else tracker.plausible(job, now)
        return [Change(job=after, job_before=job, events=events)] if events else []

    # what has a health of its own

    async def _write(self, decide: Callable[[Subjects, datetime], Awaitable[None]]) -> None:
        """Write what `decide` puts, if it is anything."""

        async def changes() -> Sequence[Change]:
            subjects = Subjects(self._store)
            await decide(subjects, self._clock.now())
            return subjects.changes

        if await changes():
            await self._recorder.write(changes)

    async def _token(self, subjects: Subjects, now: datetime) -> None:
        before = await subjects.get(expiry.stream_of(self._sandbox))
        turned = expiry.turned(
            before, self._sandbox, self._tokens.expires_at, now,
            warn_before=self._wanted.token_warning, trouble=self._tokens.trouble, renews=self._tokens.renews,
        )  # fmt: skip
        subjects.put(turned)

    async def _replies(self, shapes: Sequence[tuple[str, str]], subjects: Subjects, now: datetime) -> None:
        for part, shape in shapes:
            before = await subjects.get(oddness.reply_stream(self._sandbox, part, shape))
            subjects.put(oddness.reply(before, self._sandbox, part, shape, now))

    async def _habits(self, subjects: Subjects, now: datetime) -> None:
        """Tell of what has stopped to flap since it was heard of last."""
        for what in FLAPS:
            for subject in await self._store.subjects(f"{flapping.PREFIX}{what}{self._sandbox}"):
                if subject.stream.removeprefix(flapping.PREFIX + what).split("/")[0] == self._sandbox:
                    before = await subjects.get(subject.stream)
                    subjects.put(flapping.reviewed(before, now, self._wanted.habit) if before else None)
