"""Whether files that are to come have a place."""

import os
import tempfile
from pathlib import Path


def fault(folder: Path) -> str:
    """Return why no file can be put below the folder, made or still to be made; "" when one can.

    A folder is made there and removed again: what `access` says holds neither for root nor on every file system.
    """
    there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not there.is_dir():
        why = f"{there} is no folder"
    else:
        try:
            with tempfile.TemporaryDirectory(prefix=".segwatch-", dir=there):
                return ""
        except OSError as error:
            why = f"nothing can be written to {there}: {error.strerror or error}"
    return f"cannot be {'made' if there != folder else 'used'}, since {why}"
