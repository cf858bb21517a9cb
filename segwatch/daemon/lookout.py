"""What exports exist since one failed: the look before and after a submission."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from segwatch.daemon.clock import Clock
from segwatch.daemon.listing import Inconclusive, TooLittle, is_before, listed, told_of
from segwatch.daemon.source import Source
from segwatch.daemon.unlisted import told_by_id
from segwatch.jobs import proof, tracker
from segwatch.jobs.model import Facts, JobState, Observation, Status
from segwatch.jobs.posts import Made, Posts
from segwatch.jobs.reading import CREATION_OVERLAP
from segwatch.jobs.resubmission import Resubmission

_RECORDS_MAX = 100  # read one by one in one look; what they tell is remembered, so that the next look reads the rest
_REMEMBERED_MAX = 2000
_NO_POSTS = Posts()
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Every export created since the failed one, as far as the platform shows it.

    doubtful: ids of rows that may be equal to the export that is wanted, since neither they nor their records tell
    enough, and of those that a POST of ours may have brought about. equal: ids of those that our own POSTs have asked
    for as it is asked for now, whatever their records tell. itself: the failed one, where the list shows it.
    cut: why the list does not go back to the failed export, so that what it does not show proves nothing.
    """

    rows: tuple[Observation, ...]
    doubtful: frozenset[str] = frozenset()
    equal: frozenset[str] = frozenset()
    itself: Observation | None = None
    cut: TooLittle | None = None


class Lookout:
    """Reads the list back to the failed job, and what our own POSTs have led to. Every call may raise UpstreamError.

    jobs: what segwatch knows of this kind and sandbox by other ways. age: how long ago our clock showed that time,
    though it may have been set since. believed_after: how long a job must be known for its record to be taken at its
    word.
    """

    def __init__(
        self, source: Source, clock: Clock, jobs: Callable[[], Iterable[JobState]] = tuple,
        *, age: Callable[[datetime], timedelta], believed_after: timedelta = timedelta(minutes=10),
    ) -> None:  # fmt: skip
        self._source = source
        self._clock = clock
        self._kind = source.kind
        self._jobs = jobs
        self._age = age
        self._believed_after = believed_after
        self._told: dict[str, Facts] = {}  # by records that told enough: what an export was to do never changes

    async def look(
        self, answer: Resubmission, failed: JobState, beat: Callable[[], None], posts: Posts = _NO_POSTS,
        *, may_be_cut: bool = False,
    ) -> Look:  # fmt: skip
        """Return all exports since `failed` was created. Raises Inconclusive; not so where the look `may_be_cut`.

        posts: what our POSTs have led to, read before this look. What answers another failure or an order is no effect
        of a POST of this answer; what the list does not show of it is asked for by its id.
        The list must go back to the failed job, or beyond it: one that ends before says nothing about what it left out.
        """
        cut: TooLittle | None = None
        try:
            shown = await self._listed(failed, beat)
        except TooLittle as error:
            if not may_be_cut:
                raise
            shown, cut = error.rows, error
        known = {job.key.id: job for job in self._jobs()}
        rows = {job.key.id: seen_of(job) for job in known.values() if _came_after(job, failed)} | shown
        rows = {id_: self._best_told(row, known.get(id_)) for id_, row in rows.items()}
        claimed, equal = posts.claimed(besides=failed.key) | posts.ordered, posts.equal(answer.fingerprints)
        ours = {one.key.id: one for one in posts.made()}
        hidden = [
            one for id_, one in ours.items() if id_ not in rows and self._matters(one, answer, failed, known.get(id_))
        ]
        unlisted = await told_by_id(self._source, self._clock, beat, hidden, is_gone=self._is_gone)
        rows |= unlisted.rows
        doubtful = {*unlisted.doubtful}
        whole = self._told.keys() | unlisted.rows.keys()
        unsure = [
            row for id_, row in rows.items()
            if id_ not in equal | doubtful and self._is_unsure(row, answer, failed, claimed, cut=id_ not in whole)
        ]  # fmt: skip
        for row in unsure[:_RECORDS_MAX]:
            record = await told_of(self._source, row.key.id)
            beat()
            if not isinstance(record, Observation):
                ordered = ours.get(row.key.id)
                if record is None or row.key.id in shown or (ordered and not await self._is_gone(ordered)):
                    doubtful.add(row.key.id)
                else:
                    del rows[row.key.id]  # it was there once, and is gone from the list as well
                continue
            tells_more = len(record.facts.request) >= len(row.facts.request)
            if tells_more:
                row = rows[row.key.id] = replace(row, facts=record.facts)
            if not self._is_unsure(row, answer, failed, claimed, cut=not tells_more):
                self._remember(row)
            elif not self._is_believed(known.get(row.key.id), answer):
                doubtful.add(row.key.id)
        if len(unsure) > _RECORDS_MAX:
            raise Inconclusive(f"{len(unsure)} exports were created since of which the list tells too little")
        itself = shown.get(failed.key.id)
        if itself and tracker.is_another(failed, itself):
            itself = None
        return Look(rows=tuple(rows.values()), doubtful=frozenset(doubtful), equal=equal, itself=itself, cut=cut)

    def _matters(self, made: Made, answer: Resubmission, failed: JobState, known: JobState | None) -> bool:
        """True for what our POST made since the failed job, and may be equal; not for what we saw vanish."""
        if made.key == failed.key or (known and known.status is Status.VANISHED):
            return False
        created_at, since = (known and known.created_at) or made.created_at, proof.earliest(failed)
        slack = timedelta()
        if created_at is None:
            created_at, slack = made.posted_there, proof.CLOCKS_APART
        if since is None:  # then only our clock tells, of whatever it was at that time
            since, slack = failed.discovered_at, proof.CLOCKS_EVER_APART
        if created_at and created_at < since - slack:
            return False
        return bool(made.asked & answer.fingerprints) or not self._kind.is_another(made.facts, answer.request)

    async def _is_gone(self, made: Made) -> bool:
        return made.posted_at is None or self._age(made.posted_at) >= self._believed_after

    async def _listed(self, failed: JobState, beat: Callable[[], None]) -> dict[str, Observation]:
        list_ = await listed(self._source, beat, horizon=_horizon(failed), anchor=failed.key.id)
        if failed.key.id not in list_.rows and not list_.goes_back:
            raise Inconclusive("the list does not go back to the failed export")
        return list_.rows

    def _best_told(self, row: Observation, known: JobState | None) -> Observation:
        """Return the row with the most that is told of its order: by a record, by the list, or by earlier sweeps."""
        told = [self._told.get(row.key.id), row.facts, _facts_of(known, row)]
        return replace(row, facts=max(filter(None, told), key=lambda facts: len(facts.request)))

    def _is_unsure(
        self, row: Observation, answer: Resubmission, failed: JobState, claimed: frozenset[str], *, cut: bool = False
    ) -> bool:
        """True for a row that could be equal if we knew all of it; one that is known to be equal leaves no doubt.

        cut: no record told it, only a list, so that what looks equal may order more. Another dataset or other segments
        tell it apart. Once we have made our POST nothing else does: what is new may be its effect though the record
        differs, since the platform may have filled in or changed what it recorded.
        """
        if not _is_since(row, failed) or self._kind.is_another(row.facts, answer.request, cut=cut):
            return False
        if row.facts.fingerprint in answer.fingerprints:
            return cut
        return self._kind.may_be(row.facts.request, answer.request) or (
            _is_new(row.key.id, answer) and row.key.id not in claimed
        )

    def _is_believed(self, job: JobState | None, answer: Resubmission) -> bool:
        """True when the record of a job that we have known for long will not tell more.

        Where it may be ours only a person lets us go on, who has asked since our POST.
        """
        if job is None or (_is_new(job.key.id, answer) and not answer.asked_anew):
            return False
        return self._age(job.discovered_at) >= self._believed_after

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
        updated_at=job.updated_at, started_at=job.started_at, ended_at=job.ended_at, end_is_told=job.end_is_told,
        errors=job.errors, facts=job.facts,
    )  # fmt: skip


def _horizon(failed: JobState) -> datetime | None:
    """Return how far back the list must be read; None for a failed job of unknown age: as far as to that job itself."""
    since = proof.earliest(failed)
    return since and max(since, _LONG_AGO) - CREATION_OVERLAP
