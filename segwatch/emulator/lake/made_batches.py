"""Batches made up to be downloaded: files of any size, for whoever tests what brings them to disk."""

import os
import random
import shutil
import threading
from pathlib import Path

from segwatch.emulator.lake import batch_files
from segwatch.emulator.lake.model import Part, WrittenBatch

MAGIC = b"PAR1"  # what a Parquet file begins and ends with
LEAST_BYTES = 2 * len(MAGIC)

_BLOCK_BYTES = 4 * 1024 * 1024


def write(
    folder: Path, batch_id: str, *, files: int, length_bytes: int, seed: int, halted: threading.Event
) -> WrittenBatch:
    """Write the files of a batch, and return what was written. They begin and end as Parquet does; between is noise.

    length_bytes: of each file, LEAST_BYTES or more. seed: equal ones make equal files. The batch appears as a whole.
    Raises InterruptedError, and leaves nothing, once it is halted.
    """
    unfinished = folder / f"{batch_id}.tmp"
    unfinished.mkdir(parents=True)
    try:
        return _written(unfinished, batch_id, files=files, length_bytes=length_bytes, seed=seed, halted=halted)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _written(
    unfinished: Path, batch_id: str, *, files: int, length_bytes: int, seed: int, halted: threading.Event
) -> WrittenBatch:
    parts = tuple(
        Part(name=f"part-{number:05}.snappy.parquet", length_bytes=length_bytes, records=0) for number in range(files)
    )
    for number, part in enumerate(parts):
        _write_noise(unfinished / part.name, length_bytes, random.Random(f"{seed}/{number}"), halted)
    written = WrittenBatch(batch_id=batch_id, parts=parts, records=0, by_namespace={})
    batch_files.keep_manifest(unfinished, written)
    os.rename(unfinished, unfinished.with_name(batch_id))
    return written


def _write_noise(path: Path, length_bytes: int, chance: random.Random, halted: threading.Event) -> None:
    left = length_bytes - LEAST_BYTES
    with path.open("wb") as file:
        file.write(MAGIC)
        while left:
            if halted.is_set():
                raise InterruptedError
            block = chance.randbytes(min(left, _BLOCK_BYTES))
            file.write(block)
            left -= len(block)
        file.write(MAGIC)
