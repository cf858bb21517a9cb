"""What a scenario can name when it begins: the segments and datasets that sandboxes hold then."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from segwatch.emulator import archive, seed
from segwatch.emulator.sandbox import Sandbox


def new_sandbox(name: str) -> Sandbox:
    """Return a sandbox with what every new one holds."""
    return Sandbox(name=name, definitions=seed.definitions(name), datasets=seed.datasets(name))


def sandbox_in(folder: Path | None) -> Callable[[str], Sandbox]:
    """Return what gives a sandbox as a directory keeps it; a new one where it keeps none of that name.

    folder: need not be there, and is not changed; None keeps nothing.
    """
    kept: dict[str, Sandbox] = {}
    if folder is not None:
        try:
            for sandbox, shelf, name, one in archive.peek(folder):
                box = kept.setdefault(sandbox, Sandbox(name=sandbox, definitions={}, datasets={}))
                dict(box.shelves())[shelf][name] = one
        except (OSError, sqlite3.Error):
            kept.clear()  # whoever opens the directory next says what is wrong with it
    return lambda name: kept.get(name) or new_sandbox(name)
