"""From `store.url` to a store."""

from pathlib import Path

from segwatch.errors import BadValue
from segwatch.store import file
from segwatch.store.base import Store
from segwatch.store.holder import DAEMON, Holder
from segwatch.store.sqlite import SqliteStore
from segwatch.store.writer import OnCommit


def file_of(url: str) -> Path:
    """Return the database file that `url` names: the text behind `sqlite://` as it is, nothing is decoded.

    Raises BadValue, which does not repeat the URL: it may hold a password.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or scheme != "sqlite":
        raise BadValue(". This version keeps its data in SQLite. Write sqlite:/// and an absolute path.")
    path = "/" + rest.lstrip("/")
    if not rest.startswith("///") or path.startswith(("/./", "/../")) or path.endswith("/"):
        raise BadValue(
            ", which names no file by its absolute path. Write such as sqlite:///var/lib/segwatch/segwatch.db."
        )
    return Path(path)


def holder_of(url: str) -> Holder | None:
    """Return who drives what the store says, None when nobody does. Raises BadValue, StoreUnavailable."""
    return file.holder(file_of(url))


def store_of(
    url: str, *, exclusive: bool = True, readonly: bool = False, on_commit: OnCommit | None = None,
    holder: str = DAEMON,
) -> Store:  # fmt: skip
    """Return the store that `url` names, not yet open. The rest is as in `SqliteStore`. Raises BadValue."""
    return SqliteStore(file_of(url), exclusive=exclusive, readonly=readonly, on_commit=on_commit, holder=holder)
