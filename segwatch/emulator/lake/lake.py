"""One DuckDB, and the threads that work in it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import gettempdir
from threading import Lock
from typing import TypeVar
from uuid import uuid4

import duckdb
from duckdb import DuckDBPyConnection

from segwatch.emulator.lake import tables

Result = TypeVar("Result")
Work = Callable[[DuckDBPyConnection], Result]

_MEMORY_LIMIT = "1200MB"
_THREADS = 2


class Lake:
    """The data of a local platform. path: the database's file; None keeps it in memory.

    Work runs in threads of the lake's own, each piece on a cursor of its own, so that the event loop goes on answering.
    What is long, or writes, waits for its like only (`compute`), and short questions never wait for it (`answer`).
    """

    def __init__(self, path: Path | None) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {"memory_limit": _MEMORY_LIMIT, "threads": _THREADS}
        if path is None:
            # created by the engine when work does not fit into memory; its own choice is the working directory
            config["temp_directory"] = str(Path(gettempdir()) / f"segwatch-lake-{uuid4().hex}")
        self._connection = duckdb.connect(str(path) if path else ":memory:", config=config)
        # PQL and the wire mean UTC, whatever the host's own zone is
        self._connection.execute("SET TimeZone = 'UTC'")
        tables.create(self._connection)
        self._preparing: DuckDBPyConnection | None = None
        self._is_halted = False
        self._halting = Lock()
        self._computing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lake-compute")
        self._answering = ThreadPoolExecutor(max_workers=2, thread_name_prefix="lake-answer")

    def prepare(self, work: Work[None]) -> None:
        """Do the work that comes before anybody asks, in this thread; `halt`, from another one, ends it."""
        with self._connection.cursor() as cursor:
            self._preparing = cursor
            try:
                if self._is_halted:
                    raise InterruptedError
                work(cursor)
            finally:
                with self._halting:  # nobody interrupts a cursor that is closed
                    self._preparing = None

    def halt(self) -> None:
        """Let the preparation fail; one that is over stays as it is."""
        self._is_halted = True
        with self._halting:
            if self._preparing is not None:
                self._preparing.interrupt()

    async def compute(self, work: Work[Result]) -> Result:
        """Return what a piece of work returns that is long, or writes; one at a time: two that write may conflict."""
        return await self._in(self._computing, work)

    async def answer(self, work: Work[Result]) -> Result:
        """Return what a short question returns, which writes nothing."""
        return await self._in(self._answering, work)

    async def _in(self, pool: ThreadPoolExecutor, work: Work[Result]) -> Result:
        def on_cursor() -> Result:
            with self._connection.cursor() as cursor:
                return work(cursor)

        return await asyncio.get_running_loop().run_in_executor(pool, on_cursor)

    def close(self) -> None:
        """Let what runs be the last, then close; a second call does nothing."""
        self._connection.interrupt()
        for pool in (self._computing, self._answering):
            pool.shutdown(wait=True, cancel_futures=True)
        self._connection.close()
