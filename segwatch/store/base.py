"""What a store must do. Every engine passes the same contract tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from segwatch.alerts.alerting import Alerting
from segwatch.alerts.grouping import Group
from segwatch.alerts.model import Alert
from segwatch.alerts.silences import Silence
from segwatch.deliveries.model import Delivery, Stage
from segwatch.deliveries.names import Naming
from segwatch.errors import SegwatchError
from segwatch.jobs.events import Event
from segwatch.jobs.model import JobKey, JobState
from segwatch.jobs.order import Order, OrderStep
from segwatch.jobs.quota import Spend, Used
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.subject import SubjectState
from segwatch.pipelines.model import Run
from segwatch.store.filters import AlertFilter, EventFilter, JobFilter, RunFilter
from segwatch.store.holder import Holder


class StoreError(SegwatchError):
    """The store cannot do it."""


class StoreUnavailable(StoreError):
    """The disk is full, read-only or gone: nothing was written; the same call may work later."""


class StoreGone(StoreUnavailable):
    """The file was removed or replaced under us: nothing that is written there would be found again."""


class Conflict(StoreError):
    """Somebody else changed a row since it was read: read again and decide again."""


class Spent(StoreError):
    """The allowance does not admit another evaluation: nothing was written. used: what the count was."""

    def __init__(self, text: str, *, used: Used) -> None:
        super().__init__(text)
        self.used = used


class StoreHeld(StoreError):
    """Somebody else has this store."""

    def __init__(self, text: str, *, holder: Holder) -> None:
        super().__init__(text)
        self.holder = holder


class StoreBlank(StoreError):
    """The file is there and nothing is in it: somebody is just making it, or died when they began."""


class StoreCorrupt(StoreError):
    """The file is not what segwatch wrote, or newer than this version understands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one decision leads to. It is written whole or not at all.

    job: the new state; `job_before` is what it was decided on (None: the job was unknown). The row on disk must still
    agree with `job_before`, else Conflict: in all that only a decision changes (sequence, status, word, since, root,
    attempt, overdue_at, cancel_asked_at, cancel_at), and it must hold no later look (`asked_at`). What looks refresh
    (looks, misses, errors, facts, the platform's times) may be newer in `job_before` than on disk, since looks without
    news need not be saved.
    `resubmission_before`, `subject_before`, `order_before`, `run_before` and `silence_before` must equal what is on
    disk; None means that there is nothing. One job may be the `new_id` of one resubmission in its sandbox, and the
    `job_id` of one placed order of its kind; none is the effect both of a resubmission (SUBMITTED) and of an order
    (PLACED), else Conflict.
    Of equal orders and resubmissions one may be POSTING, else Conflict. reckoned: the names of the POSTs that the look
    before this one knew of; it becomes POSTING only if no other equal one, and none for the same dataset (of a
    resubmission: that of `job`), was made, else Conflict. No clock is asked.
    spend: counted in the same transaction, the order itself left out; Spent where the allowance does not admit it.
    One run of a pipeline has a cause, else Conflict. The alerts must know of the log as far as `alerting` says.
    events: each the next of its stream; a sequence that is in the log is a Conflict, a gap a ValueError.
    deliveries: of events that are in the log by then; those already promised are left as they are.
    """

    job: JobState | None = None
    job_before: JobState | None = None
    resubmission: Resubmission | None = None
    resubmission_before: Resubmission | None = None
    subject: SubjectState | None = None
    subject_before: SubjectState | None = None
    order: Order | None = None
    order_before: Order | None = None
    spend: Spend | None = None
    reckoned: frozenset[str] = frozenset()
    run: Run | None = None
    run_before: Run | None = None
    silence: Silence | None = None
    silence_before: Silence | None = None
    position: Position | None = None
    alerting: Alerting | None = None
    events: tuple[Event, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxDepth:
    """How much waits for one channel. oldest: when the oldest pending promise was made."""

    channel: str
    pending: int
    dead: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event with its place in the whole log."""

    position: int
    event: Event


class Store(Protocol):
    """The only owner of what must not be lost. Every call may raise StoreUnavailable."""

    async def claim(self) -> None:
        """Hold the store against a second daemon. Nothing in it is read, so this is fast however large it is.

        `open` does the same first. Raises StoreError that names the holder, StoreUnavailable when the disk fails us.
        """

    async def open(self) -> None:
        """Open, migrate if the file is older than this version, and hold it against a second daemon."""

    async def close(self) -> None:
        """Finish what was accepted, then close. Safe to call twice."""

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write all changes in one transaction, durable when this returns. Raises Conflict, with nothing written.

        A cancelled caller does not know whether it was written: it was, whole, unless it still waited for its turn.
        """

    async def writable(self) -> None:
        """Return when something was durably written just now; raises StoreUnavailable. For readiness."""

    async def job(self, key: JobKey) -> JobState | None:
        """Return one job."""

    async def jobs(self, wanted: JobFilter, *, limit: int | None = None) -> list[JobState]:
        """Return jobs, the last changed first: by their last transition or event."""

    async def position(self, sandbox: str, kind: str) -> Position:
        """Return how far the reader came; a blank position for a stream never read."""

    async def subject(self, stream: str) -> SubjectState | None:
        """Return the health of a sandbox, a channel or the like; None while nothing was ever said of it."""

    async def subjects(self, prefix: str) -> list[SubjectState]:
        """Return the health of everything whose stream begins so, by stream."""

    async def events(self, wanted: EventFilter, *, after: int = 0, limit: int | None = None) -> list[LoggedEvent]:
        """Return logged events behind position `after`, oldest first; with after=0 the newest `limit` of them."""

    async def position_before(self, since: datetime) -> int:
        """Return a position of the log behind which all events since then are; the last one if there are none."""

    async def log(self, types: Sequence[str], *, after: int, until: int, limit: int) -> list[LoggedEvent]:
        """Return the first `limit` events of these types behind position `after`, up to `until`, oldest first."""

    async def resubmission(self, failed: JobKey) -> Resubmission | None:
        """Return what was done about this failed job."""

    async def resubmissions(
        self, sandbox: str = "", *, steps: Sequence[Step] = (), since: datetime | None = None
    ) -> list[Resubmission]:
        """Return resubmissions, oldest first; since: whose step changed at or after this time."""

    async def order(self, id: str) -> Order | None:
        """Return one order."""

    async def orders(
        self, sandbox: str = "", *, kind: str = "", steps: Sequence[OrderStep] = (), owner: str = "",
        fingerprint: str = "", since: datetime | None = None,
    ) -> list[Order]:  # fmt: skip
        """Return orders, oldest first; since: whose step changed at or after this time. Empty arguments match all."""

    async def used(self, sandbox: str, *, day: datetime, year: datetime) -> Used:
        """Return how many evaluations on demand were begun since the day and the year began, as far as is known.

        Counted are orders that spend, and the jobs that were seen and that neither a schedule nor an order began.
        """

    async def run(self, id: str) -> Run | None:
        """Return one run of a pipeline."""

    async def runs(self, wanted: RunFilter, *, limit: int | None = None) -> list[Run]:
        """Return runs, the last begun first."""

    async def followed_since(self, sandbox: str, pipeline: str, now: datetime) -> datetime:
        """Return since when the pipeline is followed: from `now` on, by the platform's clock, if nobody asked yet."""

    async def silence(self, id: str) -> Silence | None:
        """Return one silence."""

    async def silences(self, *, untold: bool = False) -> list[Silence]:
        """Return silences, oldest first. untold: without those whose end was told."""

    async def names(self) -> list[Naming]:
        """Return what is known of names, also where the platform knows none."""

    async def keep_names(self, found: Sequence[Naming]) -> None:
        """Write names as the platform told them; the last word counts."""

    async def alert_cursor(self) -> int:
        """Return the position of the last event that the alerts know of; 0 when they know of none."""

    async def alerts(self, wanted: AlertFilter, *, limit: int | None = None) -> list[Alert]:
        """Return alerts, the open ones first, then the last changed."""

    async def alert_groups(self) -> list[Group]:
        """Return all groups that have something left to tell."""

    async def channels_told(self, event_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return to which channels these events were promised; an event that nobody was promised is left out."""

    async def due_deliveries(
        self, channel: str, *, now: datetime, limit: int, farthest: timedelta | None = None, stream: str = ""
    ) -> list[Delivery]:
        """Return pending deliveries that may be tried now, the longest due first, at most one for each stream.

        stream: only those of this one.
        farthest: nothing is ever put off for longer, so what is due later than that was put off by a clock that was
        wrong, and is due now.

        A delivery waits for every earlier pending one of its stream: order per job is kept. Nothing is leased: a
        delivery in flight is returned again, so ask for `limit` beyond those in flight. Each comes with the thread that
        its channel has about its alert, and with the alerts that it ends.
        """

    async def next_delivery_at(self, channel: str, *, stream: str = "") -> datetime | None:
        """Return when the next delivery of this channel, or of one stream to it, falls due; None if none is pending."""

    async def settle(self, settled: Sequence[Delivery]) -> None:
        """Write what became of attempts, and the threads that they began or ended.

        A delivery that is settled already stays as it is.
        """

    async def deliveries(
        self,
        *,
        id: str = "",
        channel: str = "",
        stages: Sequence[Stage] = (),
        event_id: str = "",
        limit: int | None = None,
    ) -> list[Delivery]:
        """Return deliveries, newest event first; empty arguments match everything."""

    async def promise(self, deliveries: Sequence[Delivery]) -> int:
        """Make promises again (replay): new rows are added, delivered and dead ones become pending. Return how many."""

    async def outbox_depth(self) -> list[OutboxDepth]:
        """Return the depth of each channel that ever had a delivery."""

    async def forget(self, before: datetime, *, at_most: int | None = None) -> int:
        """Delete finished jobs that last changed before `before`, with their events; return the jobs deleted.

        A chain of resubmissions goes whole, and stays while one of its jobs is younger or active, a delivery of its
        events is pending or dead, or a resubmission is open. Old events of sandboxes and channels go likewise, and runs
        of pipelines and silences that have ended, with their events. Alerts go when they are over and in no group, and
        what was told of a group when it has nothing left to tell. Orders go when they have ended; those of evaluations
        are kept for 400 days more, since they count against the year. So does what is remembered of subjects that never
        told anything, and names that nobody has asked for since.
        at_most: so many jobs, and what belongs to the last one's chain.
        """

    async def believed(self) -> datetime | None:
        """Return the time that was believed last; without one that of the newest event; None in an empty store."""

    async def believe(self, now: datetime) -> None:
        """Keep the time that is believed now, for the next start."""

    async def check(self) -> list[str]:
        """Return what is wrong with the file, a line each; empty when it is sound."""

    async def backup(self, target: str) -> int:
        """Copy the live store to a new file and return its size in bytes. Raises StoreError when the file exists."""
