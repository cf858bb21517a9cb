"""What became of an order's job, read back once it is ordered: by then no failure may look as if nothing had been."""

import shlex
from collections.abc import Awaitable
from typing import TypeVar

from segwatch.cli.progress import tell
from segwatch.jobs.model import Observation
from segwatch.jobs.order import Order
from segwatch.upstream.errors import UpstreamError

T = TypeVar("T")

NOT_KNOWN = "not known yet"
"""The status that is shown of a job which cannot be read back."""


async def read_back(reading: Awaitable[T], order: Order) -> T | None:
    """Return the order's job as the platform tells it; None, and a note on stderr, where it does not answer."""
    try:
        return await reading
    except UpstreamError as error:
        is_export = order.kind == "export_job"
        what, show = ("export", "export show") if is_export else ("evaluation", "jobs show")
        tell(
            f"{order.sandbox}: {what} {order.job_id} is ordered, but could not be read back: {error};"
            f" `segwatch {show} {shlex.quote(order.job_id)}` tells more later"
        )
        return None


def word_of(followed: Observation | None) -> str:
    """Return the status to show of a job that could not be read back. followed: as it was seen at its end."""
    return followed.word if followed else NOT_KNOWN
