"""The batches of a sandbox, as the catalog knows them. AEP contract 7.2."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from segwatch.emulator.lake import batch_files
from segwatch.emulator.lake.model import Extract, WrittenBatch
from segwatch.emulator.settings import Json

_UNIFIED_PROFILE_ERROR = "UPEX-1001"


class BatchStatus(StrEnum):
    """The platform's words for what becomes of a batch here, out of its many."""

    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch of a dataset. order: equal for exports that ask for the same, of which the newest counts.

    Times in epoch ms; ended_ms is None while it is written. errors: {code, description, rows} each.
    """

    id: str
    org: str
    dataset_id: str
    order: str
    status: BatchStatus
    created_ms: int
    updated_ms: int
    ended_ms: int | None = None
    records: int = 0
    records_failed: int = 0
    size_bytes: int = 0
    errors: list[Json] = field(default_factory=list)


Batches = dict[str, Batch]
Datasets = Mapping[str, Json]


def begin(
    batches: Batches, datasets: Datasets, orders: Iterable[Extract], *, dataset_id: str, org: str, at_ms: int
) -> None:
    """Note that an export begins to write; a batch that is known already stays as it is."""
    for order in orders:
        if order.batch_id in batches:
            continue
        batches[order.batch_id] = Batch(
            id=order.batch_id,
            org=org,
            dataset_id=dataset_id,
            order=_key(order),
            status=BatchStatus.PROCESSING,
            created_ms=at_ms,
            updated_ms=at_ms,
        )
        _show_on_dataset(batches[order.batch_id], datasets)


def succeed(batches: Batches, datasets: Datasets, written: WrittenBatch, *, at_ms: int) -> None:
    """Note what a batch holds: from now on it can be read, and queried."""
    _end(
        batches,
        datasets,
        replace(
            batches[written.batch_id],
            status=BatchStatus.SUCCESS,
            records=written.records,
            size_bytes=sum(part.length_bytes for part in written.parts),
        ),
        at_ms,
    )


def fail(
    batches: Batches,
    datasets: Datasets,
    batch_id: str,
    errors: list[Json],
    *,
    folder: Path,
    at_ms: int,
    records: int = 1,
) -> None:
    """Note that a batch failed, with the errors of its job, and leave on disk what a reader finds of it.

    records: how many could not be written. The rows that are shown are made up: nothing was wrong with any.
    """
    row_errors = [
        {
            "code": str(error.get("code", "unknown")),
            "description": str(error.get("msg", "")),
            "rows": [f"0-{records - 1}" if records > 1 else "0"],
        }
        for error in errors
    ] or [{"code": _UNIFIED_PROFILE_ERROR}]
    rows = [{"_row": number, "_batch": batch_id} for number in range(min(records, 10))]
    batch_files.keep_failure(folder, batch_id, row_errors, rows)
    failed = replace(batches[batch_id], status=BatchStatus.FAILURE, errors=row_errors, records_failed=records)
    _end(batches, datasets, failed, at_ms)


def abort(batches: Batches, datasets: Datasets, batch_id: str, *, at_ms: int) -> None:
    """Note that nothing will come of a batch: its job was cancelled."""
    _end(batches, datasets, replace(batches[batch_id], status=BatchStatus.ABORTED), at_ms)


def current(batches: Batches, dataset_id: str) -> list[Batch]:
    """Return the batches that make up a dataset: the newest of each order, so that who left a segment is gone."""
    newest: Batches = {}
    for batch in batches.values():
        if batch.dataset_id == dataset_id and batch.status is BatchStatus.SUCCESS:
            known = newest.get(batch.order)
            if known is None or (known.ended_ms or 0) <= (batch.ended_ms or 0):
                newest[batch.order] = batch
    return sorted(newest.values(), key=lambda batch: (batch.ended_ms or 0, batch.id))


def _end(batches: Batches, datasets: Datasets, batch: Batch, at_ms: int) -> None:
    batches[batch.id] = replace(batch, updated_ms=at_ms, ended_ms=at_ms)
    _show_on_dataset(batches[batch.id], datasets)


def _show_on_dataset(batch: Batch, datasets: Datasets) -> None:
    dataset = datasets.get(batch.dataset_id)
    if dataset is None:  # deleted since
        return
    dataset["lastBatchId"] = batch.id
    dataset["lastBatchStatus"] = batch.status.value
    if batch.status is BatchStatus.SUCCESS:
        dataset["lastSuccessfulBatch"] = batch.id


def _key(order: Extract) -> str:
    """Return what two extracts have in common that ask for the same, whichever job they are of."""
    asked = asdict(order) | {"batch_id": None}
    for one in asked["segments"] or ():
        one["namespace"], one["statuses"] = one["namespace"].lower(), sorted(one["statuses"])
    asked["segments"] = sorted(asked["segments"] or (), key=json.dumps)
    asked["fields"] = sorted(asked["fields"] or ())
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
