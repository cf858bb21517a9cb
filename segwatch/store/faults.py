"""What SQLite and the operating system say, in the words of the store."""

import sqlite3

from segwatch.store.base import StoreCorrupt, StoreUnavailable

_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk is full. Free some space; writing resumes by itself",
    sqlite3.SQLITE_READONLY: "the disk or the file is read-only. Make it writable; writing resumes by itself",
    sqlite3.SQLITE_IOERR: "the disk reports an I/O error. See the kernel's log; writing resumes when it works again",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened. Check that it exists and its owner and permissions",
    sqlite3.SQLITE_PERM: "the file may not be opened. Check its owner and permissions",
    sqlite3.SQLITE_BUSY: "another process holds the file's write lock. Look for a long-running `segwatch` or `sqlite3`",
    sqlite3.SQLITE_LOCKED: "the file is locked",
    sqlite3.SQLITE_NOMEM: "memory is used up",
}
_CORRUPT = {
    sqlite3.SQLITE_CORRUPT: "the file is damaged. Stop segwatch, keep a copy, and restore a backup",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database. Point store.url at another file, or restore a backup",
}


def fault_of(exc: Exception, path: str) -> Exception:
    """Return what a caller should see: StoreUnavailable, StoreCorrupt, or `exc` itself when it is a bug."""
    if isinstance(exc, sqlite3.Error):
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended code is the plain one
        fault: Exception
        if code in _UNAVAILABLE:
            fault = StoreUnavailable(f"{path}: {_UNAVAILABLE[code]} ({exc})")
        elif code in _CORRUPT:
            fault = StoreCorrupt(f"{path}: {_CORRUPT[code]} ({exc})")
        else:
            return exc
        fault.__cause__ = exc
        return fault
    if isinstance(exc, OSError):
        unusable = StoreUnavailable(f"{path}: {exc.strerror or exc}. Check the disk, the folder and its permissions")
        unusable.__cause__ = exc
        return unusable
    return exc
