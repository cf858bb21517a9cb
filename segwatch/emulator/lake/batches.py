"""The batches of a sandbox as the catalog knows them: documents under their ids, as datasets are. AEP contract 7.2.

A document is what is shown, and beside it `_order`, by which exports that ask for the same are known; "" for a batch
that no export wrote.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from segwatch.emulator.lake import batch_files
from segwatch.emulator.lake.model import Extract, WrittenBatch
from segwatch.emulator.settings import Json

PROCESSING, SUCCESS, FAILURE, ABORTED = "processing", "success", "failure", "aborted"

_ROWS_SHOWN = 10  # of a failed batch

Documents = dict[str, Json]


def begin(
    batches: Documents,
    datasets: Mapping[str, Json],
    orders: Iterable[Extract],
    *,
    dataset_id: str,
    org: str,
    at_ms: int,
) -> None:
    """Note that an export begins to write its batches; one that is known already stays as it is."""
    for order in orders:
        if order.batch_id not in batches:
            key = _key(order)
            _begin(order.batch_id, batches, datasets, dataset_id=dataset_id, org=org, at_ms=at_ms, order=key)


def take_in(
    batches: Documents,
    datasets: Mapping[str, Json],
    written: WrittenBatch,
    *,
    dataset_id: str,
    org: str,
    at_ms: int,
) -> None:
    """Note a batch that no export wrote: it can be read, and is no part of its dataset's table."""
    _begin(written.batch_id, batches, datasets, dataset_id=dataset_id, org=org, at_ms=at_ms, order="")
    succeed(batches, datasets, written, at_ms=at_ms)


def succeed(batches: Documents, datasets: Mapping[str, Json], written: WrittenBatch, *, at_ms: int) -> None:
    """Note what a batch holds: from now on it can be read, and queried."""
    counted = {
        "recordsRead": written.records,
        "recordsWritten": written.records,
        "recordsFailed": 0,
        "outputFileCount": len(written.parts),
        "outputByteSize": sum(part.length_bytes for part in written.parts),
    }
    _end(written.batch_id, batches, datasets, status=SUCCESS, at_ms=at_ms, metrics=counted)


def fail(
    batches: Documents,
    datasets: Mapping[str, Json],
    batch_id: str,
    errors: Iterable[Json],
    *,
    folder: Path,
    at_ms: int,
    records: int = 1,
) -> None:
    """Note that a batch failed, and leave on disk what a reader finds of it. Idempotent.

    errors: those of its job. records: how many could not be written. The rows that are left are made up: nothing was
    wrong with any of them.
    """
    if batches[batch_id]["status"] != PROCESSING:
        return
    told = [
        {
            "code": str(error.get("code", "unknown")),
            "description": str(error.get("msg", "")),
            "rows": [f"0-{records - 1}" if records > 1 else "0"],
        }
        for error in errors
    ]
    rows = [{"_row": number, "_batch": batch_id} for number in range(min(records, _ROWS_SHOWN))]
    batch_files.keep_failure(folder, batch_id, told, rows)
    counted = {"recordsRead": records, "recordsWritten": 0, "recordsFailed": records}
    _end(batch_id, batches, datasets, status=FAILURE, at_ms=at_ms, metrics=counted, errors=told)


def abort(batches: Documents, datasets: Mapping[str, Json], batch_id: str, *, at_ms: int) -> None:
    """Note that nothing will come of a batch: its job was cancelled."""
    _end(batch_id, batches, datasets, status=ABORTED, at_ms=at_ms, metrics={})


def dataset_of(batch: Json) -> str:
    """Return the id of the dataset that a batch is for."""
    return next(str(one["id"]) for one in batch["relatedObjects"] if one["type"] == "dataSet")


def current(batches: Documents, dataset_id: str) -> list[str]:
    """Return the batches that make up a dataset: the newest of each order, so that who left a segment is gone."""
    newest: dict[str, str] = {}
    ready = (
        (batch["metrics"]["endTime"], batch_id)
        for batch_id, batch in batches.items()
        if batch["status"] == SUCCESS and batch["_order"] and dataset_of(batch) == dataset_id
    )
    for _, batch_id in sorted(ready):
        order = batches[batch_id]["_order"]
        newest.pop(order, None)  # so that the batches stay in the order of their times
        newest[order] = batch_id
    return list(newest.values())


def shown(batch: Json) -> Json:
    """Return the document without what is ours."""
    return {name: value for name, value in batch.items() if not name.startswith("_")}


def _begin(
    batch_id: str,
    batches: Documents,
    datasets: Mapping[str, Json],
    *,
    dataset_id: str,
    org: str,
    at_ms: int,
    order: str,
) -> None:
    batches[batch_id] = {
        "imsOrg": org,
        "status": PROCESSING,
        "relatedObjects": [{"type": "dataSet", "id": dataset_id}, {"type": "batch", "id": batch_id}],
        "metrics": {"startTime": at_ms},
        "errors": [],
        "sandboxId": datasets.get(dataset_id, {}).get("sandboxId", ""),
        "availableDates": {},
        "version": "1.0.0",
        "created": at_ms,
        "updated": at_ms,
        "createdClient": "exp-profile",
        "createdUser": "svc@AdobeID",
        "updatedUser": "svc@AdobeID",
        "_order": order,
    }
    _show_on_dataset(batch_id, batches[batch_id], datasets)


def _end(
    batch_id: str,
    batches: Documents,
    datasets: Mapping[str, Json],
    *,
    status: str,
    at_ms: int,
    metrics: Json,
    errors: Iterable[Json] = (),
) -> None:
    batch = batches[batch_id]
    if batch["status"] != PROCESSING:
        return
    # a new document and not a changed one: somebody may be looking at the old
    batches[batch_id] = batch | {
        "status": status,
        "metrics": batch["metrics"] | {"endTime": at_ms} | metrics,
        "errors": list(errors),
        "updated": at_ms,
        "version": "1.0.1",
    }
    _show_on_dataset(batch_id, batches[batch_id], datasets)


def _show_on_dataset(batch_id: str, batch: Json, datasets: Mapping[str, Json]) -> None:
    dataset = datasets.get(dataset_of(batch))
    if dataset is None:  # deleted since
        return
    dataset["lastBatchId"] = batch_id
    dataset["lastBatchStatus"] = batch["status"]
    if batch["status"] == SUCCESS:
        dataset["lastSuccessfulBatch"] = batch_id


def _key(order: Extract) -> str:
    """Return what two extracts have in common that ask for the same, whichever job they are of."""
    asked = asdict(order) | {"batch_id": None}
    for one in asked["segments"] or ():
        one |= {"namespace": one["namespace"].lower(), "statuses": sorted(one["statuses"])}
    asked["segments"] = sorted(asked["segments"] or (), key=json.dumps)
    asked["fields"] = sorted(asked["fields"] or ())
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
