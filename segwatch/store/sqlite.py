"""The embedded store: one SQLite file in WAL mode, one thread that writes, one that reads."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from segwatch.alerts.grouping import Group
from segwatch.alerts.model import Alert
from segwatch.alerts.silences import Silence
from segwatch.deliveries.model import Delivery, Stage
from segwatch.deliveries.names import Naming
from segwatch.jobs.model import JobKey, JobState
from segwatch.jobs.order import Order, OrderStep
from segwatch.jobs.quota import Used
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.subject import SubjectState
from segwatch.pipelines.model import Run
from segwatch.store import alerts, forgetting, names, orders, reads, runs, silences, threads, upkeep, writes
from segwatch.store.base import Change, LoggedEvent, OutboxDepth, StoreCorrupt, StoreError
from segwatch.store.claim import Claim
from segwatch.store.faults import fault_of
from segwatch.store.filters import AlertFilter, EventFilter, JobFilter, RunFilter
from segwatch.store.holder import DAEMON
from segwatch.store.rows import micros
from segwatch.store.snapshots import Snapshots
from segwatch.store.writer import OnCommit, Writer

T = TypeVar("T")


class SqliteStore:
    """`Store` on one file. See there for what each method promises.

    exclusive: be the daemon: hold the lock, make the file, migrate it. Without it: a command beside a running daemon.
    readonly: only look; implies not exclusive. on_commit: told of each COMMIT, on the loop: its seconds. holder: what
    whoever holds it is, as in Holder.
    """

    def __init__(
        self, path: Path, *, exclusive: bool = True, readonly: bool = False, on_commit: OnCommit | None = None,
        holder: str = DAEMON,
    ) -> None:  # fmt: skip
        self._path = path
        self._readonly = readonly
        self._on_commit = on_commit
        self._claim = Claim(path, exclusive=exclusive and not readonly, readonly=readonly, holder=holder)
        self._writer: Writer | None = None
        self._snapshots: Snapshots | None = None

    async def claim(self) -> None:
        await asyncio.to_thread(self._claim.hold)

    async def open(self) -> None:
        if self._snapshots is not None:
            return
        try:
            await asyncio.to_thread(self._claim.take)
        except BaseException:
            self._claim.release()
            raise
        if not self._readonly:
            self._writer = Writer(
                self._claim.to_write, path=str(self._path), on_commit=self._on_commit, verify=self._claim.verify
            )
        self._snapshots = Snapshots(self._claim.to_read, path=str(self._path))

    async def close(self) -> None:
        # The writer last: the last connection folds the WAL into the file, which a reading one cannot.
        if self._snapshots is not None:
            await self._snapshots.close()
        if self._writer is not None:
            await self._writer.close()
        self._snapshots = self._writer = None
        self._claim.release()

    async def commit(self, changes: Sequence[Change]) -> None:
        await self._write(lambda db: writes.apply(db, changes))

    async def writable(self) -> None:
        await self._write(writes.beat)

    async def job(self, key: JobKey) -> JobState | None:
        return await self._read(lambda db: reads.job(db, key))

    async def jobs(self, wanted: JobFilter, *, limit: int | None = None) -> list[JobState]:
        return await self._read(lambda db: reads.jobs(db, wanted, limit))

    async def position(self, sandbox: str, kind: str) -> Position:
        return await self._read(lambda db: reads.position(db, sandbox, kind))

    async def subject(self, stream: str) -> SubjectState | None:
        return await self._read(lambda db: reads.subject(db, stream))

    async def subjects(self, prefix: str) -> list[SubjectState]:
        return await self._read(lambda db: reads.subjects(db, prefix))

    async def events(self, wanted: EventFilter, *, after: int = 0, limit: int | None = None) -> list[LoggedEvent]:
        return await self._read(lambda db: reads.events(db, wanted, after, limit))

    async def position_before(self, since: datetime) -> int:
        return await self._read(lambda db: reads.position_before(db, since))

    async def log(self, types: Sequence[str], *, after: int, until: int, limit: int) -> list[LoggedEvent]:
        return await self._read(lambda db: reads.log(db, types, after, until, limit))

    async def resubmission(self, failed: JobKey) -> Resubmission | None:
        return await self._read(lambda db: reads.resubmission(db, failed))

    async def resubmissions(
        self, sandbox: str = "", *, steps: Sequence[Step] = (), since: datetime | None = None
    ) -> list[Resubmission]:
        return await self._read(lambda db: reads.resubmissions(db, sandbox, steps, since))

    async def order(self, id: str) -> Order | None:
        return await self._read(lambda db: orders.order(db, id))

    async def orders(
        self, sandbox: str = "", *, kind: str = "", steps: Sequence[OrderStep] = (), owner: str = "",
        fingerprint: str = "", since: datetime | None = None,
    ) -> list[Order]:  # fmt: skip
        return await self._read(lambda db: orders.orders(db, sandbox, kind, steps, owner, fingerprint, since))

    async def used(self, sandbox: str, *, day: datetime, year: datetime) -> Used:
        return await self._read(lambda db: orders.used(db, sandbox, day, year))

    async def run(self, id: str) -> Run | None:
        return await self._read(lambda db: runs.run(db, id))

    async def runs(self, wanted: RunFilter, *, limit: int | None = None) -> list[Run]:
        return await self._read(lambda db: runs.runs(db, wanted, limit))

    async def followed_since(self, sandbox: str, pipeline: str, now: datetime) -> datetime:
        return await self._write(lambda db: runs.followed_since(db, sandbox, pipeline, now))

    async def silence(self, id: str) -> Silence | None:
        return await self._read(lambda db: silences.silence(db, id))

    async def silences(self, *, untold: bool = False) -> list[Silence]:
        return await self._read(lambda db: silences.silences(db, untold))

    async def names(self) -> list[Naming]:
        return await self._read(names.names)

    async def keep_names(self, found: Sequence[Naming]) -> None:
        await self._write(lambda db: names.keep(db, found))

    async def alert_cursor(self) -> int:
        return await self._read(alerts.cursor)

    async def alerts(self, wanted: AlertFilter, *, limit: int | None = None) -> list[Alert]:
        return await self._read(lambda db: alerts.alerts(db, wanted, limit))

    async def alert_groups(self) -> list[Group]:
        return await self._read(alerts.groups)

    async def channels_told(self, event_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return await self._read(lambda db: alerts.channels_told(db, event_ids))

    async def due_deliveries(
        self, channel: str, *, now: datetime, limit: int, farthest: timedelta | None = None, stream: str = ""
    ) -> list[Delivery]:
        return await self._read(lambda db: reads.due_deliveries(db, channel, stream, now, limit, farthest))

    async def next_delivery_at(self, channel: str, *, stream: str = "") -> datetime | None:
        return await self._read(lambda db: reads.next_delivery_at(db, channel, stream))

    async def settle(self, settled: Sequence[Delivery]) -> None:
        await self._write(lambda db: writes.settle(db, settled))

    async def deliveries(
        self,
        *,
        id: str = "",
        channel: str = "",
        stages: Sequence[Stage] = (),
        event_id: str = "",
        limit: int | None = None,
    ) -> list[Delivery]:
        return await self._read(lambda db: reads.deliveries(db, id, channel, stages, event_id, limit))

    async def promise(self, deliveries: Sequence[Delivery]) -> int:
        return await self._write(lambda db: writes.promise(db, deliveries))

    async def outbox_depth(self) -> list[OutboxDepth]:
        return await self._read(reads.outbox_depth)

    async def believed(self) -> datetime | None:
        return await self._read(reads.believed)

    async def believe(self, now: datetime) -> None:
        await self._write(lambda db: writes.believe(db, now))

    async def forget(self, before: datetime, *, at_most: int | None = None) -> int:
        before_us, deleted = micros(before), 0
        await self._write(partial(forgetting.note_forgetting, before_us=before_us))
        after: tuple[int, int] | None = (-(1 << 62), 0)
        # each turn is one short transaction: others write in between
        while after is not None and (at_most is None or deleted < at_most):
            left = None if at_most is None else at_most - deleted
            some, after = await self._write(
                partial(forgetting.forget_jobs, before_us=before_us, after=after, at_most=left)
            )
            deleted += some
        own = (forgetting.forget_runs, forgetting.forget_silences, forgetting.forget_orders, forgetting.forget_subjects)
        for forget in (*own, forgetting.forget_alerts, forgetting.forget_notices):
            while await self._write(partial(forget, before_us=before_us)):
                pass
        await self._write(partial(threads.forget, before_us=before_us))
        await self._write(partial(names.forget, before_us=before_us))
        for stream in await self._read(forgetting.streams_beside_jobs):
            while await self._write(partial(forgetting.forget_events, stream=stream, before_us=before_us)):
                pass
        return deleted

    async def check(self) -> list[str]:
        try:
            return await self._aside(_faults)
        except StoreCorrupt as exc:
            return [str(exc)]

    async def backup(self, target: str) -> int:
        copy = Path(target)
        try:
            return await self._aside(lambda db: upkeep.backup(db, copy))
        except OSError as exc:
            raise fault_of(exc, target) from exc

    async def _write(self, do: Callable[[sqlite3.Connection], T]) -> T:
        if self._writer is None:
            raise StoreError(f"{self._path} is {'open for reading only' if self._readonly else 'not open'}")
        return await self._writer.run(do)

    async def _read(self, do: Callable[[sqlite3.Connection], T]) -> T:
        if self._snapshots is None:
            raise StoreError(f"{self._path} is not open")
        return await self._snapshots.run(do)

    async def _aside(self, do: Callable[[sqlite3.Connection], T]) -> T:
        """Run what takes long on a connection and a thread of its own."""

        def run() -> T:
            try:
                with closing(self._claim.aside()) as db:
                    return do(db)
            except sqlite3.Error as exc:
                raise fault_of(exc, str(self._path)) from exc

        return await asyncio.to_thread(run)


def _faults(db: sqlite3.Connection) -> list[str]:
    db.execute("BEGIN")  # one snapshot: rules that span tables must not see half of a later commit
    return list(upkeep.faults(db))
