"""One thread that reads, on its own connection: WAL lets it see the last commit while the writer is at work."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from segwatch.store.base import StoreError
from segwatch.store.faults import fault_of

T = TypeVar("T")


class Snapshots:
    """Runs functions on a connection that cannot write. connect: opens it, again after a fault."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, path: str) -> None:
        self._connect = connect
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._closing = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="segwatch-store-reader")

    async def run(self, do: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `do` returns."""
        if self._closing:
            raise StoreError(f"{self._path}: the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, do)

    async def close(self) -> None:
        """Finish the reads that began, then close the connection. Safe to call twice."""
        if not self._closing:
            self._closing = True
            self._thread.submit(self._drop)
        await asyncio.to_thread(self._thread.shutdown)

    def _read(self, do: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._db is None:
                self._db = self._connect()
            return do(self._db)
        except sqlite3.Error as exc:
            self._drop()
            raise fault_of(exc, self._path) from exc

    def _drop(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
