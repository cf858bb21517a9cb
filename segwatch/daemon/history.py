"""What the jobs of a sandbox were like that succeeded of late: how long they took, what they counted."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from segwatch.daemon.clock import Clock
from segwatch.jobs.band import HISTORY, Size
from segwatch.jobs.baseline import Eta, Usual, eta, usual
from segwatch.jobs.model import JobState, Status
from segwatch.jobs.plausible import Yield
from segwatch.store.base import Store
from segwatch.store.filters import JobFilter

_READ_MAX = 2000  # jobs of a kind at the first time: a bound on memory, and eight weeks of most sandboxes
_HELD_MAX = 2 * _READ_MAX
_OVERLAP = timedelta(minutes=10)  # clocks are set, and a commit is later than the time that it writes
_OLD = timedelta(minutes=10)
_SPANS = 60  # what took longer a season ago says little


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    at: datetime
    born_at: datetime
    span: timedelta | None
    work: str
    segments: tuple[str, ...]
    profiles: Mapping[str, int]
    exported: int | None
    names_batches: bool


class History:
    """Reads the store's jobs once, and from then on only what has changed there since."""

    def __init__(self, sandbox: str, store: Store, clock: Clock) -> None:
        self._sandbox = sandbox
        self._store = store
        self._clock = clock
        self._read_at: dict[str, datetime] = {}
        self._runs: defaultdict[str, dict[str, _Run]] = defaultdict(dict)
        self._usual: dict[tuple[str, str], tuple[Usual | None, list[timedelta]]] = {}
        self._sizes: dict[str, list[tuple[str, Size]]] | None = None

    async def refresh(self, kind: str) -> None:
        """Take in what succeeded since the last time. Raises StoreUnavailable."""
        now, read_at = self._clock.now(), self._read_at.get(kind)
        wanted = JobFilter(
            sandbox=self._sandbox, kind=kind, statuses=(Status.SUCCEEDED,),
            since=now - HISTORY if read_at is None else read_at - _OVERLAP,
        )  # fmt: skip
        runs = self._runs[kind]
        found = await self._store.jobs(wanted, limit=_READ_MAX)
        if fresh := {job.key.id: run for job in found if runs.get(job.key.id) != (run := _run_of(job))}:
            runs |= fresh
            if len(runs) > _HELD_MAX:
                self._runs[kind] = dict(sorted(runs.items(), key=lambda one: one[1].at)[-_READ_MAX:])
            self._usual.clear()
            self._sizes = None
        self._read_at[kind] = now

    async def refresh_if_old(self, kind: str) -> None:
        """Take in what succeeded since, if that was not done of late. Raises StoreUnavailable."""
        read_at = self._read_at.get(kind)
        if read_at is None or abs(self._clock.now() - read_at) >= _OLD:
            await self.refresh(kind)

    def usual(self, job: JobState) -> Usual | None:
        """Return how long jobs take that do the same work; of a work hardly known, all of the kind."""
        return self._like(job)[0]

    def eta(self, job: JobState, now: datetime) -> Eta | None:
        """Return how much longer the job is expected to take, by such jobs; None where too few are known."""
        return eta(now - job.born_at, self._like(job)[1])

    def _like(self, job: JobState) -> tuple[Usual | None, list[timedelta]]:
        kind, work = job.key.kind, job.facts.work
        own = self._of_work(kind, work)
        return own if own[0] or not work else self._of_work(kind, "")

    def sizes(self, segment: str, *, but: str = "") -> list[Size]:
        """Return how many members each evaluation counted, in the order of time. but: a job that is left out."""
        if self._sizes is None:
            sizes: defaultdict[str, list[tuple[str, Size]]] = defaultdict(list)
            for job_id, run in sorted(self._runs["segment_job"].items(), key=lambda one: one[1].at):
                for name, members in run.profiles.items():
                    sizes[name].append((job_id, Size(at=run.at, size=members)))
            self._sizes = dict(sizes)
        return [size for job_id, size in self._sizes.get(segment, ()) if job_id != but]

    def members(self, segments: Sequence[str], at: datetime) -> int | None:
        """Return the members of these segments together, as counted last before `at`; None where one is not known."""
        found = [[one for one in self.sizes(segment) if one.at <= at] for segment in segments]
        return int(sum(sizes[-1].size for sizes in found)) if found and all(found) else None

    def yields(self, job: JobState) -> list[Yield]:
        """Return what the same order exported before this job, the oldest first."""
        work = job.facts.work
        earlier = sorted(
            (run for id_, run in self._runs[job.key.kind].items() if run.work == work and id_ != job.key.id),
            key=lambda run: run.at,
        )
        return [
            Yield(exported=run.exported, members=self.members(run.segments, run.born_at))
            for run in earlier[-_SPANS:]
            if run.exported is not None and run.at <= job.over_at and work
        ]

    def names_batches(self, kind: str) -> bool:
        """Return whether any job of the kind named what it wrote: not every version of the API does."""
        return any(run.names_batches for run in self._runs[kind].values())

    def _of_work(self, kind: str, work: str) -> tuple[Usual | None, list[timedelta]]:
        if (kind, work) not in self._usual:
            runs = [run for run in self._runs[kind].values() if run.span and (not work or run.work == work)]
            spans = [run.span for run in sorted(runs, key=lambda run: run.at)[-_SPANS:] if run.span]
            self._usual[kind, work] = usual(spans), spans
        return self._usual[kind, work]


def _run_of(job: JobState) -> _Run:
    span = max(job.ended_at - job.born_at, timedelta()) if job.ended_at else None
    return _Run(
        at=job.over_at, born_at=job.born_at, span=span, work=job.facts.work, segments=job.facts.segments,
        profiles=job.facts.profiles, exported=job.facts.exported, names_batches=bool(job.facts.batches),
    )  # fmt: skip
