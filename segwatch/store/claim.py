"""What one process has of a store's file: the right to drive it, and the connections to it."""

import sqlite3
import time
from pathlib import Path

from segwatch.store.base import StoreBlank
from segwatch.store.faults import fault_of
from segwatch.store.file import Access, Lock, connect, prepare

_MAKING_WAITS_S = (0.05,) * 20  # a file is made and filled in less


class Claim:
    """exclusive, readonly and holder: as in SqliteStore. Its methods block; `verify` and those after it raise
    StoreGone when the file that is held is no longer the one that its path leads to.
    """

    def __init__(self, path: Path, *, exclusive: bool, readonly: bool, holder: str) -> None:
        self._path = path
        self._exclusive = exclusive
        self._holder = holder
        self._glance: Access = "look" if readonly else "read"
        self._lock: Lock | None = None

    def hold(self) -> None:
        """Hold the file if it is for us alone, and make it if there is none. Raises StoreHeld, StoreUnavailable."""
        if self._exclusive and self._lock is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise fault_of(exc, str(self._path.parent)) from exc
            self._lock = Lock(self._path, self._holder)

    def take(self) -> None:
        """Hold the file, and have it hold this version's schema. Raises StoreError."""
        self.hold()
        access: Access = "create" if self._exclusive else self._glance
        for wait_s in _MAKING_WAITS_S:
            try:
                prepare(self._path, access)
            except StoreBlank:  # another process has made the file just now, and is about to fill it
                time.sleep(wait_s)
            else:
                return
        prepare(self._path, access)

    def release(self) -> None:
        """Let go, after every connection is closed. Safe to call twice."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def aside(self) -> sqlite3.Connection:
        """Return a connection for whoever looks for a moment, whatever the path leads to. Raises sqlite3.Error."""
        return connect(self._path, self._glance)

    def verify(self, written: bool = False) -> None:
        """Return if the file is the same. written: something was written just now, as in Lock."""
        if self._lock is not None:
            self._lock.verify(written=written)

    def to_write(self) -> sqlite3.Connection:
        """Return a connection that writes. Raises sqlite3.Error, too."""
        if self._lock is not None:
            self._lock.reopened()
        self.verify()
        return connect(self._path, "write")

    def to_read(self) -> sqlite3.Connection:
        """Return a connection that reads. Raises sqlite3.Error, too."""
        self.verify()
        return connect(self._path, self._glance)
