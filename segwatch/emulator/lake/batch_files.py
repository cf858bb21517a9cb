"""The files of a batch on disk: found by their names, never by a path that somebody sends.

<folder>/<batch>/part-00000.snappy.parquet ...    what was written
<folder>/<batch>/manifest.json                    what that is; the last file of a batch that is complete
<folder>/<batch>/failed/, meta/                   what a failed export leaves behind
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from segwatch.emulator.lake.model import Part, WrittenBatch
from segwatch.emulator.settings import Json

_MANIFEST = "manifest.json"
# names of R, the Data Access API's reference. AEP contract 8
ROW_ERRORS = "row_errors"
INPUT_FILES = "input_files"
ROW_ERRORS_SAMPLE = "row_errors_sample.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file that a reader may have, or (path None) a directory of such files. name: as it is asked for."""

    name: str
    path: Path | None
    length_bytes: int


def keep_manifest(batch: Path, written: WrittenBatch) -> None:
    """Note beside the files what they are."""
    (batch / _MANIFEST).write_text(json.dumps(asdict(written)))


def written(folder: Path, batch_id: str) -> WrittenBatch | None:
    """Return what an export wrote; None if it has not, or has not finished."""
    if not batch_id.isalnum():
        return None
    try:
        noted = json.loads((folder / batch_id / _MANIFEST).read_text())
    except FileNotFoundError:
        return None
    return WrittenBatch(**noted | {"parts": tuple(Part(**part) for part in noted["parts"])})


def parts(folder: Path, batch_id: str) -> list[Entry]:
    """Return the parts of a batch, in their order; none unless it is complete."""
    found = written(folder, batch_id)
    return [
        Entry(name=part.name, path=folder / batch_id / part.name, length_bytes=part.length_bytes)
        for part in (found.parts if found else ())
    ]


def entries(folder: Path, batch_id: str, room: str) -> dict[str, Entry]:
    """Return what lies in a room (`failed`, `meta`) of a batch, by the name under which it is asked for."""
    root = folder / batch_id / room
    if not batch_id.isalnum() or not root.is_dir():
        return {}
    try:
        return {
            path.relative_to(root).as_posix(): Entry(
                name=path.relative_to(root).as_posix(),
                path=None if path.is_dir() else path,
                length_bytes=0 if path.is_dir() else path.stat().st_size,
            )
            for path in sorted(root.rglob("*"))
        }
    except FileNotFoundError:  # it is being removed
        return {}


def keep_failure(folder: Path, batch_id: str, errors: list[Json], rows: list[Json]) -> None:
    """Leave what a reader finds of an export that failed. rows: some of those that could not be written.

    Parts that were complete by then are not for reading, and go.
    """
    root = folder / batch_id
    shutil.rmtree(root, ignore_errors=True)
    for room in ("failed", f"meta/{ROW_ERRORS}", f"meta/{INPUT_FILES}"):
        (root / room).mkdir(parents=True)
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (root / "failed" / "part-00000.json").write_text(lines)
    sample = "".join(f"{json.dumps(row | {'_errors': errors})}\n" for row in rows)
    (root / "meta" / ROW_ERRORS_SAMPLE).write_text(sample)
    (root / "meta" / ROW_ERRORS / "part-00000.json").write_text(sample)
    inputs = {"batchId": batch_id, "files": [{"path": "part-00000.json", "rows": len(rows)}]}
    (root / "meta" / INPUT_FILES / "fileMetaData1.json").write_text(json.dumps(inputs))


def remove(folder: Path, batch_id: str) -> None:
    """Remove all files of a batch."""
    if batch_id.isalnum():
        shutil.rmtree(folder / batch_id, ignore_errors=True)
