"""The figures of a digest, read from the store a page at a time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from segwatch.alerts.labels import labels_of_job
from segwatch.alerts.model import Alert
from segwatch.alerts.silences import SilenceState
from segwatch.deliveries.scope import Scope
from segwatch.jobs.events import Event, rfc3339
from segwatch.jobs.model import JobState, Status
from segwatch.jobs.summary import COUNTED, LISTED_MAX, Past, Tally
from segwatch.store.base import Store
from segwatch.store.filters import AlertFilter, JobFilter

_PAGE = 200  # events: one may hold the sizes of some thousand audiences
_PAST = timedelta(weeks=4)
_PAST_RUNS = 200  # of a sandbox: the newest ones tell all audiences that are still counted
_EVALUATION = "segment_job"  # the kind that counts audiences
_ACTIVE_MAX = 5000
_COUNTED = tuple(type_.value for type_ in COUNTED)
_ACTIVE = tuple(status for status in Status if not status.is_final)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of the log: what is behind position `after`, up to `upto`.

    began: when it begins, for the sizes that audiences had before. since, until: without what is of before or of later;
    None where the positions alone say what belongs to it.
    """

    began: datetime
    after: int
    upto: int
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, event: Event) -> bool:
        """Return whether the event belongs to it by its time."""
        return (self.since is None or self.since <= event.at) and (self.until is None or event.at < self.until)


async def stretch_behind(store: Store, since: datetime, position: int | None) -> Stretch:
    """Return all that is in the log by now: from the position on, or without one from `since`. Raises StoreError."""
    upto = await _newest(store)
    if position is not None:
        return Stretch(began=since, after=position, upto=upto)
    return Stretch(began=since, after=await store.position_before(since), upto=upto, since=since)


async def stretch_between(store: Store, since: datetime, until: datetime) -> Stretch:
    """Return all from `since` to `until`. Raises StoreError."""
    after, upto = await store.position_before(since), await store.position_before(until)
    return Stretch(began=since, after=after, upto=upto, since=since, until=until)


async def watched_since(store: Store, scope: Scope) -> datetime | None:
    """Return when somebody began to watch what the channel may see; None if nobody ever did. Raises StoreError."""
    # who is told of no job has alerts and pipelines to look at: those were watched as long as anything was
    streams = scope.streams or [(sandbox, kind) for sandbox in scope.watched for kind in scope.all_kinds]
    began = [began_at for one in streams if (began_at := (await store.position(*one)).began_at)]
    return min(began, default=None)


async def figures(
    store: Store, scope: Scope, stretch: Stretch, now: datetime, *, on_page: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Return what a digest tells. on_page: called again and again while it is read. Raises StoreError.

    What comes back holds JSON values only, the figures of `Tally` and how things stand now. sandboxes: of which the
    channel may see anything; silent: those of them in which no job or pipeline ended and no job is active. kinds: the
    kinds of job of which it may see anything, if not of all. active, overdue: jobs now. open_alerts, silences: how
    many; alerts, silenced: the first of them. dead_letters: of this channel; of all for a scope that is nobody's.
    """
    seen, streams = scope.sandboxes, scope.streams
    counting = [sandbox for sandbox, kind in streams if kind == _EVALUATION]
    tally = Tally(await _past(store, scope, counting, stretch.began, on_page))
    after = stretch.after
    while page := await store.log(_COUNTED, after=after, until=stretch.upto, limit=_PAGE):
        on_page()
        events = [one.event for one in page]
        # in a thread, since one evaluation may count thousands of audiences
        await asyncio.to_thread(_take, tally, events, scope, stretch)
        after = page[-1].position
    counted = await asyncio.to_thread(tally.figures)
    active = [job for one in seen for job in await _active(store, one) if scope.covers_job(labels_of_job(job))]
    busy = {row["sandbox"] for row in (*counted["work"], *counted["pipelines"])} | {job.key.sandbox for job in active}
    idle = {sandbox for sandbox, _ in streams or scope.pipelines} - busy
    alerts = [one for one in await store.alerts(AlertFilter(open_only=True)) if scope.covers_alert(one)]
    silences = [
        one
        for one in await store.silences(untold=True)
        if one.state(now) is SilenceState.ACTIVE and scope.covers_silence(one.matchers)
    ]
    dead = sum(one.dead for one in await store.outbox_depth() if scope.channel in ("", one.channel))
    return {
        "sandboxes": list(seen),
        "silent": [one for one in seen if one in idle],
        **({} if scope.kinds == scope.all_kinds else {"kinds": list(scope.kinds)}),
        **counted,
        "active": len(active),
        "overdue": sum(job.overdue_at is not None or job.slow_at is not None for job in active),
        "open_alerts": len(alerts),
        "alerts": [_row(one) for one in sorted(alerts, key=_worst_first)[:LISTED_MAX]],
        "silences": len(silences),
        "silenced": [
            {"id": one.id, "matchers": one.what, "until": one.ends_at and rfc3339(one.ends_at)}
            for one in silences[:LISTED_MAX]
        ],
        "dead_letters": dead,
    }


async def _past(
    store: Store, scope: Scope, sandboxes: Sequence[str], before: datetime, on_page: Callable[[], None]
) -> Past:
    past = Past()
    for sandbox in sandboxes:
        wanted = JobFilter(
            sandbox=sandbox, kind=_EVALUATION, statuses=(Status.SUCCEEDED,), since=before - _PAST, until=before
        )
        jobs = await store.jobs(wanted, limit=_PAST_RUNS)
        await asyncio.to_thread(past.take, [job for job in jobs if scope.covers_job(labels_of_job(job))])
        on_page()
    return past


async def _active(store: Store, sandbox: str) -> list[JobState]:
    return await store.jobs(JobFilter(sandbox=sandbox, statuses=_ACTIVE), limit=_ACTIVE_MAX)


async def _newest(store: Store) -> int:
    return await store.position_before(datetime.max.replace(tzinfo=UTC))


def _take(tally: Tally, events: Sequence[Event], scope: Scope, stretch: Stretch) -> None:
    tally.take(event for event in events if stretch.holds(event) and scope.covers_event(event))


def _worst_first(alert: Alert) -> tuple[int, datetime, str]:
    return -alert.severity.rank, alert.since, alert.subject


def _row(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id, "title": alert.title, "since": rfc3339(alert.since), "severity": alert.severity.value,
        "sandbox": alert.sandbox,
    }  # fmt: skip
