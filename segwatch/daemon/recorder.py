"""Where observations become facts: decide, commit, then tell the house."""

import asyncio
from bisect import insort
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from segwatch import decision
from segwatch.daemon.bus import Bus, News
from segwatch.daemon.clock import Clock
from segwatch.deliveries.routing import Promise
from segwatch.jobs import reading
from segwatch.jobs.events import Event, EventType
from segwatch.jobs.model import JobKey, JobState, Missing, Observation, Status
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Step
from segwatch.store.base import Change, Conflict, Store
from segwatch.store.filters import JobFilter

Follow = Callable[[Sequence[Change]], Awaitable[Sequence[Change]]]

_REWRITE_AFTER = timedelta(seconds=60)  # how old "last looked at" on disk may grow while nothing else changes
_CONFLICTS_MAX = 3


class Recorder:
    """The one writer of a sandbox's jobs, with what it knows of them in memory.

    It holds every active job and those that ended within `remember`. All changes of a job pass through here one after
    the other, so that its events have an order; a change is published only when it is on disk.

    only_own: for one who is not the daemon. Of jobs that nobody has made its `own` it only keeps in mind how they are:
    nothing of them, of the sandbox, or of how far its lists were read is written, told or answered, so that a daemon
    finds it all as if nobody had looked.
    clock_behind: by how much the platform's clock is behind ours; None until a sweep has told it.
    """

    def __init__(
        self, sandbox: str, store: Store, clock: Clock, bus: Bus, promise: Promise,
        *, policies: dict[str, decision.Policy], remember: timedelta, only_own: bool = False,
        follow: Follow | None = None,
    ) -> None:  # fmt: skip
        """follow: returns the changes that are about to be written, and what follows from them."""
        self.sandbox = sandbox
        self.remember = remember
        self.policies = policies
        self.clock_behind: timedelta | None = None
        self._store = store
        self._clock = clock
        self._bus = bus
        self._promise = promise
        self._own: set[JobKey] | None = set() if only_own else None
        self._positions: dict[str, Position] = {}  # by kind; used only where they are not on disk
        self._follow = follow
        self._turn = asyncio.Lock()
        self._loaded = False
        self._jobs: dict[JobKey, JobState] = {}
        self._active: dict[str, dict[JobKey, JobState]] = {kind: {} for kind in policies}
        self._written: dict[JobKey, datetime] = {}
        self._created: dict[str, list[datetime]] = {kind: [] for kind in policies}

    async def load(self) -> None:
        """Read what the store knows of this sandbox, the first time that somebody asks for it."""
        async with self._turn:
            if not self._loaded:
                await self._read()
                self._loaded = True

    async def position(self, kind: str, began_at: datetime) -> Position:
        """Return how far the stream was read; began_at: when we began, if nobody ever did before.

        It is on disk before the first look: what ends from then on is told, however often we are killed meanwhile.
        """
        position = self._positions.get(kind) or await self._store.position(self.sandbox, kind)
        if position.began_at is None:
            position = replace(position, began_at=began_at)
            await self.save_position(position)
        return position

    async def own(self, key: JobKey) -> None:
        """Write, tell and answer what becomes of this job and of its chain from now on.

        What was only kept in mind of it is read anew: the disk knows less, or nothing.
        """
        if self._own is None or key in self._own:
            return
        async with self._turn:
            self._own.add(key)
            await self._read_again(key)

    def concerns(self, key: JobKey, root: str) -> bool:
        """True when what becomes of this job is ours to write. root: the first job of its chain."""
        return self._own is None or key in self._own or replace(key, id=root) in self._own

    async def _read(self) -> None:
        since = self._clock.now() - self.remember
        active = tuple(status for status in Status if not status.is_final)
        for wanted in (
            JobFilter(sandbox=self.sandbox, statuses=active),
            JobFilter(sandbox=self.sandbox, since=since),
        ):
            for job in await self._store.jobs(wanted):
                if job.key.kind in self.policies:
                    self._keep(job)

    def active(self, kind: str) -> list[JobState]:
        """Return the jobs that need a poller."""
        return list(self._active[kind].values())

    def known(self, kind: str) -> list[JobState]:
        """Return all jobs in memory."""
        return [job for job in self._jobs.values() if job.key.kind == kind]

    def job(self, key: JobKey) -> JobState | None:
        """Return the job as it is in memory."""
        return self._jobs.get(key)

    def created(self, kind: str) -> Sequence[datetime]:
        """Return when the known jobs were created, ascending."""
        return self._created[kind]

    async def record(
        self, kind: str, seen: Iterable[Observation | Missing], position: Position,
        *, listed: bool = True, behind: timedelta | None = None,
    ) -> list[JobState]:  # fmt: skip
        """Write what these sightings change, in one transaction, and return the jobs as they now are.

        position: where the stream's reader stood before this sweep. listed: they come from a list. behind: by how much
        the platform's clock is behind ours; as at the last call where it is left out. Raises StoreUnavailable, with
        nothing changed.
        """
        if behind is not None:
            self.clock_behind = behind
        latest = {sighting.key: sighting for sighting in seen}
        return await self._write(lambda: self._decide(kind, latest.values(), position, listed))

    async def write(self, decide: Callable[[], Awaitable[Sequence[Change]]]) -> None:
        """Write what `decide` returns, called while no other change of this sandbox can come between.

        For changes that start elsewhere than at an observation; promises of deliveries are added here.
        Called again after a Conflict, so it must read what it decides on each time.
        """
        await self._write(decide)

    async def fresh(self, key: JobKey) -> JobState | None:
        """Return the job from memory, else from the store."""
        return self._jobs.get(key) or await self._store.job(key)

    async def save_position(self, position: Position) -> None:
        """Write how far a complete sweep came; called after its rows were recorded."""
        if self._own is None:
            await self._store.commit([Change(position=position)])
        else:
            self._positions[position.kind] = position

    def forget_old(self) -> None:
        """Drop ended jobs from memory that no list shows any more; the store still knows them."""
        horizon = self._clock.now() - self.remember
        for key, job in list(self._jobs.items()):
            if job.status.is_final and job.asked_at < horizon:
                del self._jobs[key]
                self._written.pop(key, None)
                self._created[key.kind].remove(job.born_at)

    async def _decide(
        self, kind: str, seen: Iterable[Observation | Missing], position: Position, listed: bool
    ) -> list[Change]:
        now, policy, behind = self._clock.now(), self.policies[kind], self.clock_behind or timedelta()
        changes = []
        for sighting in seen:
            before = await self.fresh(sighting.key)
            news = isinstance(sighting, Missing) or reading.is_news(sighting, position, behind)
            made = decision.decide(before, sighting, now, policy, is_news=news)
            state = made.state or before
            if state and before is None and not listed:
                state = replace(state, unlisted=True)
            elif state and listed and isinstance(sighting, Observation) and (before is None or before.unlisted):
                missed_at = reading.missed_at(position, sighting, behind)
                state = replace(state, missed_at=missed_at, unlisted=False)
            if state is not None and state is not before:
                events = await self._with_whom_it_answered(state, made.events)
                changes.append(Change(job=state, job_before=before, events=events, resubmission=made.answer))
        return changes

    async def _with_whom_it_answered(self, job: JobState, events: Sequence[Event]) -> tuple[Event, ...]:
        """Return the events; that a resubmission has vanished says which failed job is without an answer now."""
        if job.attempt == 1 or all(event.type is not EventType.JOB_VANISHED for event in events):
            return tuple(events)
        answers = await self._store.resubmissions(self.sandbox, steps=(Step.SUBMITTED, Step.ADOPTED))
        failed = next((one.failed for one in answers if job.key == replace(one.failed, id=one.new_id)), None)
        told = {"failed_job_id": failed.id} if failed else {}
        return tuple(
            replace(one, details=one.details | told) if one.type is EventType.JOB_VANISHED else one for one in events
        )

    async def _write(self, decide: Callable[[], Awaitable[Sequence[Change]]]) -> list[JobState]:
        async with self._turn:
            changes: Sequence[Change] = ()
            for conflicts in range(1, _CONFLICTS_MAX + 1):
                changes = await decide()
                if self._follow:
                    changes = await self._follow(changes)
                try:
                    if weighty := [self._promised(change) for change in changes if self._matters(change)]:
                        await self._store.commit(weighty)
                    break
                except Conflict:
                    # somebody else wrote one of these rows: what memory holds may be old
                    for change in changes:
                        if change.job:
                            await self._read_again(change.job.key)
                    if conflicts == _CONFLICTS_MAX:
                        raise
            now = self._clock.now()
            for change in changes:
                if change.job:
                    self._keep(change.job, at=now if self._matters(change) else None)
            for change in changes:
                for event in change.events if self._is_ours(change) else ():
                    self._bus.publish(News(event=event, job=change.job))
            return [change.job for change in changes if change.job]

    def _promised(self, change: Change) -> Change:
        if not change.events:
            return change
        return replace(change, deliveries=(*change.deliveries, *self._promise(change.events, self._clock.now())))

    def _is_ours(self, change: Change) -> bool:
        if change.job is not None:
            return self.concerns(change.job.key, change.job.root)
        return self._own is None or change.subject is None  # else the sandbox's health, which the daemon tells of

    def _matters(self, change: Change) -> bool:
        """True when the disk must learn of it: not for one more look that changed nothing."""
        if not self._is_ours(change):
            return False
        before, after = change.job_before, change.job
        if change.events or change.resubmission or change.order or change.run or after is None or before is None:
            return True
        if replace(after, asked_at=before.asked_at, looks=before.looks) != before:
            return True
        written = self._written.get(after.key)
        return after.is_active and (written is None or after.asked_at - written >= _REWRITE_AFTER)

    def _keep(self, job: JobState, *, at: datetime | None = None) -> None:
        before = self._jobs.get(job.key)
        if before is None or before.born_at != job.born_at:
            if before is not None:
                self._created[job.key.kind].remove(before.born_at)
            insort(self._created[job.key.kind], job.born_at)
        self._jobs[job.key] = job
        if job.is_active:
            self._active[job.key.kind][job.key] = job
        else:
            self._active[job.key.kind].pop(job.key, None)
        if at is not None:
            self._written[job.key] = at

    async def _read_again(self, key: JobKey) -> None:
        job = await self._store.job(key)
        if job is not None:
            self._keep(job)
        elif known := self._jobs.pop(key, None):  # it ended long ago, and retention has deleted it
            self._active[key.kind].pop(key, None)
            self._created[key.kind].remove(known.born_at)
            self._written.pop(key, None)
