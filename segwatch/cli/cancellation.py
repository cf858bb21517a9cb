"""What commands do that cancel a job: that somebody wants its end is on disk before the platform hears of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from segwatch.cli.following import sources_of
from segwatch.cli.platform import Calling
from segwatch.cli.progress import tell
from segwatch.cli.session import ledger
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.source import Source
from segwatch.jobs.model import JobKey, JobState, Missing, Observation, Status
from segwatch.kinds.base import load_kinds
from segwatch.store.base import Change, Conflict, Store
from segwatch.upstream.errors import Fate, NotFound, RateLimited, Refused, Unauthorized, UpstreamError

_TRIES = 10  # the daemon may write the job at the same moment
_IN_DOUBT = (
    "whether that takes effect is not known: should {id} fail now, segwatch tells it, and submits it again only if"
    " somebody asks"
)


async def cancelled(platform: Calling, key: JobKey) -> str:
    """Ask the platform to cancel a job, and return ""; for one that had ended already ask nothing, and return how.

    Raises UpstreamError; ends the command where the wish cannot be noted before. Once the platform agreed the job
    counts as cancelled, however it calls the end that follows, unless that tells of another cause. Such a failure, or
    one where no word of it came, is left to a person: it may be what was asked for.
    """
    async with ledger(platform.settings) as store:
        seen = await _seen(store, sources_of(platform)[key.kind], key)
        if isinstance(seen, Observation) and seen.status.is_final:
            return seen.word
        asked_at = await _asked(store, seen, key, there=platform.client.clock_shows)
        try:
            await platform.client.call(load_kinds()[key.kind].cancel(key.id))
        except UpstreamError as error:
            if not _is_without_effect(error):
                tell(_IN_DOUBT.format(id=key.id))
            elif asked_at:
                await _marked(store, key, lambda job: _taken_back(job, asked_at))
            raise
        now = SystemClock().now()
        await _marked(store, key, lambda job: replace(job, cancel_at=job.cancel_at or now))
    return ""


async def _seen(store: Store, source: Source, key: JobKey) -> Observation | Missing | None:
    """Return what the platform tells of the job; None when it does not answer about one that is recorded.

    Such a one may be cancelled all the same. Raises UpstreamError.
    """
    try:
        return await source.one(key.id)
    except UpstreamError:
        if await store.job(key) is None:
            raise
        return None


async def _asked(
    store: Store, seen: Observation | Missing | None, key: JobKey, *, there: datetime | None
) -> datetime | None:
    """Write that the job is to be cancelled; return when, or None where there was nothing to write.

    there: the time by the platform's clock, if it is known.
    One that nobody has recorded is written as the platform tells it, and left to the daemon to tell of.
    """
    now = SystemClock().now()
    if await store.job(key) is None:
        if not isinstance(seen, Observation):
            return None  # the platform itself says so
        job = JobState(
            key=key, status=seen.status, word=seen.word, asked_at=seen.asked_at, discovered_at=now,
            since=seen.asked_at, created_at=seen.created_at, facts=seen.facts, root=key.id, looks=0, unlisted=True,
            cancel_asked_at=now, cancel_there=there,
        )  # fmt: skip
        try:
            await store.commit([Change(job=job)])
            return now
        except Conflict:
            pass  # the daemon has found it meanwhile

    def mark(job: JobState) -> JobState:
        return job if job.cancel_asked_at else replace(job, cancel_asked_at=now, cancel_there=there)

    return now if await _marked(store, key, mark) else None


async def _marked(store: Store, key: JobKey, mark: Callable[[JobState], JobState]) -> bool:
    """Write the mark of a job that has not ended; return False where it changes nothing, or the job has ended."""
    for last in (*[False] * _TRIES, True):
        job = await store.job(key)
        if job is None or (job.status.is_final and job.status is not Status.VANISHED) or mark(job) == job:
            return False
        try:
            await store.commit([Change(job=mark(job), job_before=job)])
            return True
        except Conflict:
            if last:
                raise
    return False


def _taken_back(job: JobState, asked_at: datetime) -> JobState:
    """Return the job without that mark; the mark of another command stays."""
    return replace(job, cancel_asked_at=None, cancel_there=None) if job.cancel_asked_at == asked_at else job


def _is_without_effect(error: UpstreamError) -> bool:
    return error.fate is Fate.NOT_SENT or isinstance(error, RateLimited | Unauthorized | NotFound | Refused)
