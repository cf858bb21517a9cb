"""Profiles out of a file of the user's own."""

from datetime import datetime
from pathlib import Path

from duckdb import DuckDBPyConnection


def load(cursor: DuckDBPyConnection, path: Path, *, now: datetime) -> None:
    """Create `profile`, and fill `identity`."""
    raise ValueError(f"{path} cannot be read.")
