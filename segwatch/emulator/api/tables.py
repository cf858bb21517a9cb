"""The datasets of a sandbox as SQL sees them."""

from pathlib import Path

from segwatch.emulator.api.datasets import table_of
from segwatch.emulator.lake import batch_files, batches
from segwatch.emulator.world import Sandbox


def batches_by_table(sandbox: Sandbox) -> dict[str, list[str]]:
    """Return the batches that make up each table, by its name: that of the dataset, and the dataset's id.

    Datasets may share a name (the tutorials' is the seed's); then it means the newest of them that holds anything.
    """
    held: dict[str, list[str]] = {}
    for dataset_id, dataset in sandbox.datasets.items():
        held[dataset_id] = batches.current(sandbox.batches, dataset_id)
        table = table_of(dataset)
        held[table] = held[dataset_id] or held.get(table, [])
    return held


def files_by_table(folder: Path, held: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the files of each table, as paths within the folder; looks on the disk."""
    return {
        table: [f"{batch_id}/{entry.name}" for batch_id in batch_ids for entry in batch_files.parts(folder, batch_id)]
        for table, batch_ids in held.items()
    }
