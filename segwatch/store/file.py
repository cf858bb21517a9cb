"""The database file: who may open it, how, and which version of the schema is in it."""

import fcntl
import os
import sqlite3
import sys
import time
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from segwatch.store.base import StoreBlank, StoreCorrupt, StoreError, StoreGone, StoreHeld
from segwatch.store.faults import fault_of
from segwatch.store.holder import DAEMON, Holder

APPLICATION_ID = 0x53474D57  # "SGMW", in the file's header: tells our files from other people's
BUSY_TIMEOUT_S = 10.0  # how long a write waits for a command that writes beside the daemon

Access = Literal["create", "write", "read", "look"]


def connect(path: Path, access: Access) -> sqlite3.Connection:
    """Return a connection in autocommit mode. Raises sqlite3.Error.

    Only "create" makes a file: a store whose file somebody removed must say so, not begin an empty one. "look" reads
    from a read-only disk too, for one who does not stay: it would miss what is written once the disk is back.
    """
    if access == "create" or access == "write":
        return _opened(
            path,
            "mode=rwc" if access == "create" else "mode=rw",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "journal_size_limit = 67108864",
            "cache_size = -32768",  # 32 MB: ids are hashes, so new rows fall all over their indexes
        )
    try:
        return _opened(path, "mode=ro", "query_only = ON")
    except sqlite3.OperationalError:
        if access == "read" or path.with_name(path.name + "-wal").exists():
            raise
    # WAL wants to create two files beside the database. On a read-only disk it cannot, and nothing changes either.
    return _opened(path, "immutable=1", "query_only = ON")


def _opened(path: Path, options: str, *pragmas: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?{options}"
    db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    try:
        for pragma in (*pragmas, "temp_store = MEMORY"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # reads the file: a fault shows here, not later
    except BaseException:
        db.close()
        raise
    return db


_PUT_BACK = "Put the same file back, and writing resumes by itself; or restore a backup and restart segwatch"


_NAME_BYTES = 512
_TRIES, _TRY_S = 4, 0.05  # a command that waits for the lock looks whether it is free by taking it for a moment


class Lock:
    """The right to be the one who drives what a file says, by whatever name. It ends with the process, however that
    ends.

    Two locks: a file beside the database, which tells who holds it, and the database itself, which a hard link in
    another folder cannot get around. The name is the one that symbolic links and relative paths lead to.
    """

    def __init__(self, path: Path, what: str) -> None:
        """Take the lock; makes the database's file if there is none. Raises StoreHeld, StoreUnavailable.

        what: as in Holder, of ourselves.
        """
        self._fds: list[int] = []
        self._path = path
        real = Path(os.path.realpath(path))
        self._companions = (real.with_name(real.name + "-wal"), real.with_name(real.name + "-shm"))
        self._beside: dict[Path, os.stat_result] = {}
        beside = real.with_name(real.name + ".lock")
        try:
            fd = self._open(beside, os.O_RDWR)
            self._take(fd, path)
            with suppress(OSError):  # a full disk: the lock holds all the same, only without its holder's name
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{os.getpid()}\n{what}\n".encode(), 0)
            self._database = self._open(real, os.O_RDONLY)
            # SQLite locks ranges of the file by fcntl, which on Linux never meets flock; elsewhere it may
            if sys.platform == "linux":
                self._take(self._database, path, named=False)
        except BaseException:
            self.release()
            raise

    def verify(self, *, written: bool = False) -> None:
        """Raise StoreGone unless the path still leads to the file that we hold.

        SQLite does not look: it would go on writing into a file that has no name any more. written: something was
        written just now, so the write-ahead log and its index are there, and must stay as well.
        """
        self._same(self._path, os.fstat(self._database))
        for path in self._companions:
            if path in self._beside:
                self._same(path, self._beside[path])
            elif written:
                self._beside[path] = self._found(path)

    def reopened(self) -> None:
        """Expect other files beside the database: the last connection that had them open may have been closed."""
        self._beside.clear()

    def _same(self, path: Path, ours: os.stat_result) -> None:
        if not os.path.samestat(self._found(path), ours):
            raise StoreGone(f"{path} was replaced by another file. {_PUT_BACK}")

    def _found(self, path: Path) -> os.stat_result:
        try:
            return path.stat()
        except FileNotFoundError as exc:
            raise StoreGone(f"{path} was removed. {_PUT_BACK}") from exc
        except OSError as exc:
            raise fault_of(exc, str(path)) from exc

    def release(self) -> None:
        """Let go, after every connection is closed; the lock file stays: two holders could lock two files of one name.

        (Closing the database's file drops what SQLite of this process has locked of it.)
        """
        while self._fds:
            os.close(self._fds.pop())

    def _open(self, path: Path, how: int) -> int:
        try:
            fd = os.open(path, how | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise fault_of(exc, str(path)) from exc
        self._fds.append(fd)
        return fd

    def _take(self, fd: int, path: Path, *, named: bool = True) -> None:
        try:
            for _ in range(_TRIES):
                with suppress(BlockingIOError):
                    return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                time.sleep(_TRY_S)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = _told(fd) if named else Holder(pid="", what=DAEMON)
            then = "Stop it first" if holder.is_daemon else "Wait for its end, or stop it"
            raise StoreHeld(f"{path} is in use by {holder}. {then}, or set another store.url.", holder=holder) from exc
        except OSError as exc:
            raise fault_of(exc, str(path)) from exc


def holder(path: Path) -> Holder | None:
    """Return who holds the file now, None when nobody does. Raises StoreUnavailable.

    The database itself is not touched: to close a descriptor of it would drop what SQLite of this process has locked.
    """
    real = Path(os.path.realpath(path))
    try:
        fd = os.open(real.with_name(real.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise fault_of(exc, str(path)) from exc
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(fd)
    finally:
        os.close(fd)
    return None


def _told(fd: int) -> Holder:
    """Return who says to have the lock; an older version told of the daemon's process only, and wrote nothing else."""
    pid, what, *_ = [*os.pread(fd, _NAME_BYTES, 0).decode(errors="replace").split("\n"), "", ""]
    return Holder(pid=pid.strip(), what=what.strip() or DAEMON)


def migrations() -> list[str]:
    """Return the SQL of each version of the schema, the first at index 0."""
    folder = resources.files("segwatch.store") / "schema"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    for number, entry in enumerate(files, start=1):
        if int(entry.name[:4]) != number:
            raise StoreError(f"segwatch is not wholly installed: schema {number:04} is missing beside {entry.name}")
    return [entry.read_text(encoding="utf-8") for entry in files]


def version(db: sqlite3.Connection, path: Path) -> int:
    """Return the schema's version in the file, 0 when it is empty. Raises StoreCorrupt for what we cannot work on."""
    found, owner, tables = db.execute(
        "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id),"
        " (SELECT count(*) FROM sqlite_schema)"
    ).fetchone()
    if tables and owner != APPLICATION_ID:
        raise StoreCorrupt(f"{path} is a database of another program. Point store.url at another file.")
    if found > len(migrations()):
        raise StoreCorrupt(
            f"{path} was written by a newer segwatch (schema {found}; this one knows {len(migrations())})."
            " Install that version again, or restore a backup made before the upgrade."
        )
    return int(found)


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the newest schema, wholly or not at all: nobody beside us sees it half way."""
    steps = migrations()[version(db, path) :]
    if not steps:
        return
    try:
        db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {';'.join(steps)};"
            f" PRAGMA user_version = {len(migrations())}; COMMIT;"
        )
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def prepare(path: Path, access: Access) -> None:
    """Make sure that the file is there and of this version; "create" makes and migrates it if need be."""
    try:
        if access != "create" and not path.exists():
            raise StoreError(f"{path} does not exist. `segwatch run` creates it; or check store.url in the settings.")
        with closing(connect(path, access)) as db:
            if access == "create":
                migrate(db, path)
            elif (found := version(db, path)) < len(migrations()):
                raise (StoreError if found else StoreBlank)(
                    f"{path} has schema {found}, this segwatch needs {len(migrations())}."
                    " Run `segwatch db migrate` while the daemon is stopped, or restart the daemon with this version."
                )
    except (sqlite3.Error, OSError) as exc:
        raise fault_of(exc, str(path)) from exc
