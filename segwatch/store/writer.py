"""One thread that writes, so that callers who come together share one fsync (group commit)."""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from segwatch.store.base import StoreError
from segwatch.store.faults import fault_of

T = TypeVar("T")

BATCH = 256  # callers in one COMMIT: past this the fsync is paid for, and the first caller would only wait longer
WAITING = 1024  # works handed over and not yet written; further callers wait on the loop

OnCommit = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class _Work:
    do: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class Writer:
    """Runs functions on the one writing connection, each whole or not at all, many in one durable transaction.

    connect: opens the connection, in the writer's thread; called again after the disk failed. on_commit: told of each
    COMMIT, on the loop: how long the transaction took in seconds.
    verify: asked before each transaction, and after it with True; raises StoreGone when the file is not ours any more.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], *, path: str, on_commit: OnCommit | None,
        verify: Callable[[bool], None] = lambda written: None,
    ) -> None:  # fmt: skip
        self._connect = connect
        self._verify = verify
        self._path = path
        self._on_commit = on_commit
        self._db: sqlite3.Connection | None = None
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(WAITING)
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._was_full = False
        self._thread = threading.Thread(target=self._run, name="segwatch-store-writer", daemon=True)
        self._thread.start()

    async def run(self, do: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `do` returns, once it is on disk. When `do` raises, nothing of it is written.

        Cancellation while waiting for room writes nothing; later the work is written, once, though nobody waits for it.
        """
        await self._room.acquire()
        if self._closing:
            self._room.release()
            raise StoreError(f"{self._path}: the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Work(do, future))  # nothing awaits between room and queue: accepted is accepted
        return await future

    async def close(self) -> None:
        """Write what was accepted, then close the connection. Safe to call twice."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        stop = False
        try:
            while not stop:
                first = self._queue.get()
                if first is None:
                    break
                batch = [first]
                while len(batch) < BATCH and not stop:
                    try:
                        work = self._queue.get_nowait()
                    except queue.Empty:
                        break
                    if work is None:
                        stop = True
                    else:
                        batch.append(work)
                self._answer(batch, *self._write(batch))
        finally:
            self._drop()

    def _write(self, batch: list[_Work]) -> tuple[list[Any], float | None]:
        """Return an outcome for each work, and the seconds that the transaction took; None when it failed."""
        began = time.perf_counter()
        try:
            if self._db is None:
                self._db = self._connect()
            self._verify(False)
            self._db.execute("BEGIN IMMEDIATE")
            # A savepoint remembers every page that it touches, and SQLite walks that list for each statement: a first
            # sweep of 5,000 jobs takes up to ten times longer in one. Alone, a caller needs none.
            alone = len(batch) == 1
            outcomes = [work.do(self._db) if alone else _apply(self._db, work) for work in batch]
            # Should an fsync fail here and the machine stop before the next write, the next start may find these rows
            # after all. That is no second write: whoever tries again reads first, or meets a Conflict.
            self._db.execute("COMMIT")
            self._verify(True)  # nobody may rely on what went into a file that was just removed
            if self._was_full:
                self._was_full = False
                self._fold(self._db)
        except Exception as exc:  # noqa: BLE001 - whatever it was, each caller of this batch must hear of it
            self._roll_back(exc)
            return [_Raised(fault_of(exc, self._path)) for _ in batch], None
        return outcomes, time.perf_counter() - began

    def _roll_back(self, exc: Exception) -> None:
        if self._db is not None and not isinstance(exc, sqlite3.Error):
            with suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                return  # also when the file is gone: a new connection would begin new files beside those of the reader
        if self._db is not None and getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            self._was_full = True
            with suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._fold(self._db)
        # A connection opened while the disk was read-only stays so: only a new one can see that the disk is back.
        self._drop()

    def _fold(self, db: sqlite3.Connection) -> None:
        """Shorten the log: it keeps the room of what was rolled back, and on a small disk would take all that comes."""
        with suppress(sqlite3.Error):  # there is no room for that either
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _drop(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):  # it would only repeat what the callers were told
                self._db.close()  # rolls back what is open
            self._db = None

    def _answer(self, batch: list[_Work], outcomes: list[Any], took_s: float | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._resolve, batch, outcomes, took_s)

    def _resolve(self, batch: list[_Work], outcomes: list[Any], took_s: float | None) -> None:
        for work, outcome in zip(batch, outcomes, strict=True):
            self._room.release()
            if work.future.done():
                continue  # its caller was cancelled
            if isinstance(outcome, _Raised):
                work.future.set_exception(outcome.error)
            else:
                work.future.set_result(outcome)
        if self._on_commit is not None and took_s is not None:
            self._on_commit(took_s)


def _apply(db: sqlite3.Connection, work: _Work) -> Any:
    """Run one caller's work so that its failure leaves the others of the batch untouched."""
    db.execute("SAVEPOINT caller")
    try:
        result = work.do(db)
    except Exception as exc:
        if isinstance(exc, sqlite3.Error) and isinstance(fault_of(exc, ""), StoreError):
            raise  # the disk or the file, not this caller
        db.execute("ROLLBACK TO caller")
        result = _Raised(exc)
    db.execute("RELEASE caller")
    return result
