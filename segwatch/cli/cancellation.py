"""What commands do that cancel a job: that somebody wants its end is on disk before the platform hears of it."""

from dataclasses import replace
from datetime import datetime

from segwatch.cli.following import sources_of
from segwatch.cli.platform import Calling
from segwatch.cli.session import ledger
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.source import Source
from segwatch.jobs.model import JobKey, JobState, Missing, Observation, Status
from segwatch.kinds.base import load_kinds
from segwatch.store.base import Change, Conflict, Store
from segwatch.upstream.errors import Fate, NotFound, RateLimited, Refused, Unauthorized, UpstreamError

_TRIES = 10  # the daemon may write the job at the same moment


async def cancelled(platform: Calling, key: JobKey) -> str:
    """Ask the platform to cancel a job, and return ""; for one that had ended already ask nothing, and return how.

    Raises UpstreamError; ends the command where the wish cannot be noted before. However the platform calls the end
    that follows, the job counts as cancelled then, and is not submitted again.
    """
    async with ledger(platform.settings) as store:
        seen = await _seen(store, sources_of(platform)[key.kind], key)
        if isinstance(seen, Observation) and seen.status.is_final:
            return seen.word
        noted_at = await _noted(store, seen, key)
        try:
            await platform.client.call(load_kinds()[key.kind].cancel(key.id))
        except UpstreamError as error:
            if noted_at and _is_without_effect(error):
                await _marked(store, key, noted_at, None)
            raise
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


async def _noted(store: Store, seen: Observation | Missing | None, key: JobKey) -> datetime | None:
    """Write that the job is to be cancelled; return when, or None where there was nothing to write.

    One that nobody has recorded is written as the platform tells it, and left to the daemon to tell of.
    """
    now = SystemClock().now()
    if await store.job(key) is None:
        if not isinstance(seen, Observation):
            return None  # the platform itself says so
        job = JobState(
            key=key, status=seen.status, word=seen.word, asked_at=seen.asked_at, discovered_at=now,
            since=seen.asked_at, created_at=seen.created_at, facts=seen.facts, root=key.id, looks=0, unlisted=True,
            cancel_at=now,
        )  # fmt: skip
        try:
            await store.commit([Change(job=job)])
            return now
        except Conflict:
            pass  # the daemon has found it meanwhile
    return now if await _marked(store, key, None, now) else None


async def _marked(store: Store, key: JobKey, old: datetime | None, new: datetime | None) -> bool:
    """Replace one mark of a job that has not ended by another; return False where it has another one, or has ended."""
    for last in (*[False] * _TRIES, True):
        job = await store.job(key)
        if job is None or job.cancel_at != old or (job.status.is_final and job.status is not Status.VANISHED):
            return False
        try:
            await store.commit([Change(job=replace(job, cancel_at=new), job_before=job)])
            return True
        except Conflict:
            if last:
                raise
    return False


def _is_without_effect(error: UpstreamError) -> bool:
    return error.fate is Fate.NOT_SENT or isinstance(error, RateLimited | Unauthorized | NotFound | Refused)
