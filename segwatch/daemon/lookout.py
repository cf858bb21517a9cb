"""What exports exist since one failed: the look before and after a submission."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from segwatch.daemon.clock import Clock
from segwatch.daemon.listing import Inconclusive, is_before, listed
from segwatch.daemon.source import Source
from segwatch.jobs import proof, tracker
from segwatch.jobs.model import Facts, JobState, Missing, Observation, Status
from segwatch.jobs.reading import CREATION_OVERLAP
from segwatch.jobs.resubmission import Resubmission

_RECORDS_MAX = 100  # read one by one in one look
_REMEMBERED_MAX = 2000
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Every export created since the failed one, as far as the platform shows it. asked_at: before the first page.

    doubtful: ids of rows that may be equal to the export that is wanted, since neither they nor their records tell
    enough, and of those that a POST of ours may have brought about.
    """

    rows: tuple[Observation, ...]
    asked_at: datetime
    doubtful: frozenset[str] = frozenset()


class Lookout:
    """Reads the list back to the failed job. Every call may raise UpstreamError.

    jobs: what segwatch knows of this kind and sandbox by other ways. believed_after: how long it must have known a job
    for that one's record to be taken at its word.
    """

    def __init__(
        self, source: Source, clock: Clock,
        jobs: Callable[[], Iterable[JobState]] = tuple, *, believed_after: timedelta = timedelta(minutes=10),
    ) -> None:  # fmt: skip
        self._source = source
        self._kind = source.kind
        self._clock = clock
        self._jobs = jobs
        self._believed_after = believed_after
        self._told: dict[str, Facts] = {}  # by records that told enough: what an export was to do never changes

    async def look(
        self, answer: Resubmission, failed: JobState, beat: Callable[[], None], claimed: frozenset[str] = frozenset()
    ) -> Look:
        """Return all exports since `failed` was created. Raises Inconclusive.

        claimed: ids of jobs that answer some other failure, so that no POST of this answer can have made them.
        The list must go back to the failed job, or beyond it: one that ends before says nothing about what it left out.
        """
        asked_at = self._clock.now()
        shown = await self._listed(failed, beat)
        known = {job.key.id: job for job in self._jobs()}
        rows = {job.key.id: seen_of(job) for job in known.values() if _came_after(job, failed)} | shown
        for id_, row in rows.items():
            told = [row.facts, self._told.get(id_), _facts_of(known.get(id_), row)]
            rows[id_] = replace(row, facts=max(filter(None, told), key=lambda facts: len(facts.request)))
        unsure = [row for row in rows.values() if self._is_unsure(row, answer, failed, claimed)]
        if len(unsure) > _RECORDS_MAX:
            raise Inconclusive(f"{len(unsure)} exports were created since of which the list tells too little")
        doubtful = set()
        for row in unsure:
            record = await self._source.one(row.key.id)
            beat()
            if isinstance(record, Missing):
                if row.key.id in shown:
                    doubtful.add(row.key.id)
                else:
                    del rows[row.key.id]  # it was there once, and is gone from the list as well
                continue
            if len(record.facts.request) >= len(row.facts.request):
                row = rows[row.key.id] = replace(row, facts=record.facts)
            if not self._is_unsure(row, answer, failed, claimed):
                self._remember(row)
            elif not self._is_believed(known.get(row.key.id), answer, asked_at):
                doubtful.add(row.key.id)
        return Look(rows=tuple(rows.values()), asked_at=asked_at, doubtful=frozenset(doubtful))

    async def _listed(self, failed: JobState, beat: Callable[[], None]) -> dict[str, Observation]:
        list_ = await listed(self._source, beat, horizon=_horizon(failed), anchor=failed.key.id)
        if failed.key.id not in list_.rows and not list_.goes_back:
            raise Inconclusive("the list does not go back to the failed export")
        return list_.rows

    def _is_unsure(self, row: Observation, answer: Resubmission, failed: JobState, claimed: frozenset[str]) -> bool:
        """True for a row that could be equal if we knew all of it; one that is known to be equal leaves no doubt.

        Another dataset or other segments tell it apart. Once we have made our POST nothing else does: what is new may
        be its effect though the record differs, since the platform may have filled in or changed what it recorded.
        """
        if answer.fingerprint and row.facts.fingerprint == answer.fingerprint:
            return False
        if not _is_since(row, failed) or self._kind.is_another(row.facts, answer.request):
            return False
        return self._kind.may_be(row.facts.request, answer.request) or (
            _is_new(row.key.id, answer) and row.key.id not in claimed
        )

    def _is_believed(self, job: JobState | None, answer: Resubmission, now: datetime) -> bool:
        """True when the record of a job that we have known for long will not tell more.

        Where it may be ours only a person's wish lets us go on.
        """
        if job is None or (_is_new(job.key.id, answer) and not answer.manual):
            return False
        return now - job.discovered_at >= self._believed_after

    def _remember(self, row: Observation) -> None:
        if len(self._told) >= _REMEMBERED_MAX:
            self._told.clear()
        self._told[row.key.id] = row.facts


def _is_new(id_: str, answer: Resubmission) -> bool:
    """True for what was not there before our POST, and so may be its effect."""
    return answer.posted_at is not None and id_ not in answer.known


def _is_since(row: Observation, failed: JobState) -> bool:
    return row.key != failed.key and not is_before(row, proof.earliest(failed))


def _came_after(job: JobState, failed: JobState) -> bool:
    since = proof.earliest(failed)
    is_newer = job.created_at is not None and since is not None and job.created_at >= since
    return is_newer and job.status is not Status.VANISHED and job.key != failed.key


def _facts_of(job: JobState | None, row: Observation) -> Facts | None:
    return None if job is None or tracker.is_another(job, row) else job.facts


def seen_of(job: JobState) -> Observation:
    """Return what was last seen of a job that we know."""
    return Observation(
        key=job.key, status=job.status, word=job.word, asked_at=job.asked_at, created_at=job.created_at,
        updated_at=job.updated_at, started_at=job.started_at, ended_at=job.ended_at, errors=job.errors, facts=job.facts,
    )  # fmt: skip


def _horizon(failed: JobState) -> datetime | None:
    """Return how far back the list must be read; None for a failed job of unknown age: as far as to that job itself."""
    since = proof.earliest(failed)
    return since and max(since, _LONG_AGO) - CREATION_OVERLAP
