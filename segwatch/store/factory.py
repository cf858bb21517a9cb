"""From `store.url` to a store."""

from pathlib import Path

from segwatch.store.base import Store, StoreError
from segwatch.store.sqlite import SqliteStore
from segwatch.store.writer import OnCommit


def store_of(url: str, *, exclusive: bool = True, readonly: bool = False, on_commit: OnCommit | None = None) -> Store:
    """Return the store that `url` names, not yet open. Raises StoreError that says what to write instead.

    `sqlite:///var/lib/segwatch.db` is an absolute path, `sqlite://segwatch.db` lies below the working directory. The
    text behind the scheme is the path as it is: nothing is decoded. The rest is as in `SqliteStore`.
    """
    scheme, separator, rest = url.partition("://")
    if scheme != "sqlite" or not separator:
        # The rest of the address may hold a password.
        told = f"begins with {scheme}://" if separator else "names no engine"
        raise StoreError(f"store.url {told}. Write sqlite:///var/lib/segwatch/segwatch.db.")
    if not rest.strip("/"):
        raise StoreError(f"store.url is {url}, which names no file. Write sqlite:///var/lib/segwatch/segwatch.db.")
    return SqliteStore(Path(rest), exclusive=exclusive, readonly=readonly, on_commit=on_commit)
