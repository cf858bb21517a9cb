"""A POST that makes a job: what a failed one may have done, and how one under way ends when we are told to stop."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from segwatch.jobs.submission import Posted
from segwatch.upstream.errors import Fate, NotFound, RateLimited, Refused, Unauthorized, Unavailable, UpstreamError

T = TypeVar("T")


def posted(error: UpstreamError) -> Posted:
    """Return what a failed POST may have done. Whatever is not surely without effect counts as lost."""
    match error:
        case UpstreamError(fate=Fate.NOT_SENT) | RateLimited() | Unauthorized(status=401):
            how = Posted.How.NOT_SENT
        case Refused() | NotFound() | Unauthorized():
            how = Posted.How.REJECTED
        case Unavailable(fate=Fate.ANSWERED, status=500 | 503):
            how = Posted.How.DECLINED
        case _:  # also 502 and 504: a gateway speaks there, not the service that may have taken the job
            how = Posted.How.LOST
    return Posted(how=how, why=str(error), retry_after=wish(error))


def wish(error: UpstreamError) -> timedelta | None:
    """Return how long the platform wants us to wait."""
    return error.retry_after if isinstance(error, RateLimited) else None


async def finished(post: Coroutine[Any, Any, T], *, grace_s: float, name: str) -> T:
    """Let a POST under way end even when we are told to stop: its answer is worth the wait. name: of its task."""
    task = asyncio.create_task(post, name=name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=grace_s)
        task.cancel()  # without effect on a task that is done
        await asyncio.gather(task, return_exceptions=True)
        raise
