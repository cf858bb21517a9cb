"""Waits for one job, and shows how it goes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from segwatch.cli.output import Exit, fail, span
from segwatch.cli.patience import Patience
from segwatch.cli.platform import Calling, exit_of, told
from segwatch.cli.progress import Bar, tell
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.source import Source
from segwatch.jobs import baseline
from segwatch.jobs.model import Missing, Observation, Status
from segwatch.kinds.base import load_kinds
from segwatch.store.base import Store
from segwatch.store.filters import JobFilter
from segwatch.upstream.errors import RateLimited, Unavailable, UpstreamError

_SOONEST_S, _LATEST_S = 1.0, 15.0
_MISSES_MAX = 3  # 404s in a row, until we believe that the job is gone
_ENOUGH = 5  # jobs like this one, which then tell more than all of its kind
_HISTORY = 200


def sources_of(calling: Calling) -> dict[str, Source]:
    """Return what asks for each kind of job in this sandbox."""
    places = asyncio.Semaphore(4)
    return {
        name: Source(
            kind, calling.client, calling.budget, SystemClock(), unreadable=lambda part, count: None, places=places
        )
        for name, kind in load_kinds().items()
    }


async def follow(calling: Calling, kind: str, job_id: str, *, store: Store, patience: Patience) -> Observation:
    """Return the job once it has ended, with a bar until then; an estimate comes of the sandbox's own history.

    When the patience ends the command does so with 1; the job goes on. Ctrl-C does so at once, with 130.
    """
    source = sources_of(calling)[kind]
    title = f"{calling.sandbox.name} {kind} {job_id}"
    with Bar(title) as bar:
        try:
            async with patience.limit():
                return await _ended(source, job_id, store, bar, title)
        except TimeoutError:
            fail(Exit.FAILED, f"{title} has not ended after {span(patience.given or timedelta())}; it goes on")
        except asyncio.CancelledError:
            bar.close()
            tell(f"{title} goes on")
            raise
        except UpstreamError as error:
            fail(exit_of(error), f"{title} goes on, but cannot be followed: {told(error)}")


async def _ended(source: Source, job_id: str, store: Store, bar: Bar, title: str) -> Observation:
    clock = SystemClock()
    began, misses = clock.ran_s(), 0
    spans: Sequence[timedelta] | None = None
    while True:
        waited = timedelta(seconds=clock.ran_s() - began)
        try:
            seen = await source.one(job_id)
        except (Unavailable, RateLimited) as error:
            bar.update(0, phase="no answer", rest=f"asking again: {error}")
            await asyncio.sleep(_LATEST_S)
            continue
        misses = misses + 1 if isinstance(seen, Missing) else 0
        if misses >= _MISSES_MAX:
            fail(Exit.FAILED, f"{title} is gone: the platform answers again and again that it does not know it")
        if isinstance(seen, Observation):
            if spans is None:
                spans = await history(source, store, like=seen)
            elapsed = max(timedelta(), clock.now() - seen.created_at) if seen.created_at else waited
            _show(bar, seen, elapsed, spans)
            if seen.status.is_final:
                return seen
        await asyncio.sleep(min(_LATEST_S, max(_SOONEST_S, waited.total_seconds() / 20)))


async def history(source: Source, store: Store | None, *, like: Observation) -> list[timedelta]:
    """Return how long jobs of this kind took: those over the same segments and dataset where there are enough.

    They come from the store; where that knows too few, from the platform's newest page. A failed call tells none.
    """
    found: list[tuple[bool, timedelta]] = []
    if store is not None:
        wanted = JobFilter(sandbox=source.sandbox, kind=source.kind.name, statuses=(Status.SUCCEEDED,))
        found = [
            (_is_like(job.facts.segments, job.facts.dataset, like), job.over_at - job.born_at)
            for job in await store.jobs(wanted, limit=_HISTORY)
        ]
    if baseline.estimate(took for _, took in found) is None:
        try:
            page = await source.page(source.kind.list_newest(limit=source.kind.page_size))
        except UpstreamError:
            return []
        found = [
            (_is_like(row.facts.segments, row.facts.dataset, like), row.ended_at - row.created_at)
            for row in page.rows
            if row.status is Status.SUCCEEDED and row.ended_at and row.created_at
        ]
    alike = [took for is_like, took in found if is_like]
    return alike if len(alike) >= _ENOUGH else [took for _, took in found]


def _is_like(segments: tuple[str, ...], dataset: str, like: Observation) -> bool:
    return set(segments) == set(like.facts.segments) and dataset == like.facts.dataset


def _show(bar: Bar, seen: Observation, elapsed: timedelta, spans: Sequence[timedelta]) -> None:
    if seen.status.is_final:
        return bar.update(1, total=1, phase=seen.word)
    eta = baseline.eta(elapsed, spans)
    if eta is None or not eta.longer:
        known = baseline.estimate(spans)
        rest = f"longer than each of {known.count} before" if known else "no history yet"
        return bar.update(0, phase=seen.word, rest=rest)
    rest = f"about {span(eta.left)} left (median of {len(spans)})"
    return bar.update(elapsed.total_seconds(), total=(elapsed + eta.left).total_seconds(), phase=seen.word, rest=rest)
