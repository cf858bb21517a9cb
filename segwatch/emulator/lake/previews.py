"""The first rows of a dataset, for whoever wants to see what it looks like."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from segwatch.emulator.lake import batch_files
from segwatch.emulator.lake.queries import MEMORY_LIMIT, OutOfMemory, Session, SqlError
from segwatch.emulator.settings import Json

ROWS = 100


def first_rows(folder: Path, batch_ids: Sequence[str]) -> list[Json]:
    """Return the first rows of some batches, 100 at most.

    Raises MemoryError where these are too heavy, FileNotFoundError where a file is taken away meanwhile, and ValueError
    where one cannot be read.
    """
    paths = [entry.path for batch_id in batch_ids for entry in batch_files.parts(folder, batch_id) if entry.path]
    try:
        session = Session({"preview": paths})
        try:
            return session.run(f"SELECT * FROM preview LIMIT {ROWS}").rows
        finally:
            session.close()
    except OutOfMemory as exc:
        raise MemoryError(f"The first {ROWS} rows need more than the {MEMORY_LIMIT} that a preview has") from exc
    except (SqlError, duckdb.Error) as exc:
        if not all(path.exists() for path in paths):
            raise FileNotFoundError("A file was taken away meanwhile") from exc
        raise ValueError(f"The files of the dataset cannot be read: {exc}") from exc
