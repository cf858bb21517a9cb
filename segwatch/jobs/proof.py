"""What a list and a record prove, on a platform that shows things late and tells little of them at first.

window: `settle_window`, how long the platform may hold a request.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from segwatch.jobs.model import JobState, Observation
from segwatch.jobs.resubmission import Resubmission

_RECORD_AGE = timedelta(minutes=10)
CLOCKS_APART = timedelta(minutes=10)
CLOCKS_EVER_APART = timedelta(days=1)  # more is no clock's error
REACH = timedelta(minutes=30)  # longer than a POST takes to show an effect, shorter than the way to the next hour


def patience(window: timedelta, lag: timedelta = timedelta()) -> timedelta:
    """Return how long a list must have been silent to prove something: three windows, and twice the lag seen."""
    return max(3 * window, 2 * lag)


def lag(jobs: Iterable[JobState], since: datetime) -> timedelta:
    """Return the longest after a job's creation that a sweep did not show it, of those created after `since`.

    since: when we first began to watch. That we did not look for long, in an outage, says nothing of the list.
    """
    spans = [
        job.missed_at - job.created_at for job in jobs if job.missed_at and job.created_at and job.created_at >= since
    ]
    return max([timedelta(), *spans])


def ripens_in(age: timedelta, window: timedelta) -> timedelta:
    """Return how long to wait until a record that names no limits is believed: a young one may not tell them yet.

    age: how long its job has been known. Zero or less once it is believed.
    """
    return patience(window) - age


def believed_after(window: timedelta) -> timedelta:
    """Return how long a job must be known for its record to be believed that it is another one than ours.

    Else an export without a filter would be a doubt for ever, and a person who asks again would be stuck.
    """
    return max(_RECORD_AGE, 2 * patience(window))


def earliest(failed: JobState) -> datetime | None:
    """Return the earliest creation that an answer to this failure can show; None when that cannot be told.

    A job is older than our first sight of it. Where its own time says otherwise it comes from a clock that is ahead, or
    is a mistake, and what really came after it would look older.
    """
    return failed.created_at and min(failed.created_at, failed.discovered_at)


def is_since(job: JobState, posted_at: datetime, posted_there: datetime) -> bool:
    """Return whether the job may have been created by a POST of that time, whatever separates the two clocks.

    One that was created much later is somebody else's: the same export may run every night, or every hour.
    posted_at: by our clock. posted_there: by the platform's.
    """
    after = job.created_at - posted_there if job.created_at else job.discovered_at - posted_at
    return job.discovered_at >= posted_at - CLOCKS_APART and -CLOCKS_APART <= after <= REACH


def is_soon_after(row: Observation, posted_at: datetime, failed: JobState) -> bool:
    """Return whether an export that is newer than the failed one came early enough to be the effect of that POST.

    posted_at: by the platform's clock. Where it tells no dates that is ours, and it may be ahead of ours, by as much at
    least as the failed job seemed younger than our first sight of it.
    """
    ahead = max(timedelta(), failed.created_at - failed.discovered_at) if failed.created_at else timedelta()
    return row.created_at is None or row.created_at <= posted_at + REACH + ahead


def doubt_about(reply: Observation, answer: Resubmission, known: JobState | None) -> str:
    """Return why this cannot be the job that the POST of `answer` brought about; "" when it can.

    known: what segwatch knows of a job of that id. It may have been found while the POST was under way, not before.
    """
    posted_at = answer.posted_at or answer.since
    if reply.key.id == answer.failed.id:
        return "it is the failed one"
    if reply.key.id in answer.known or (known and known.discovered_at < posted_at):
        return "it was there before"
    if reply.created_at is not None and reply.created_at < (answer.posted_there or posted_at) - CLOCKS_APART:
        return "it was created before"
    return ""
