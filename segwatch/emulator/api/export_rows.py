"""How an export job looks on the wire. AEP contract 4.3 to 4.6."""

from collections import Counter

from segwatch.emulator import seed
from segwatch.emulator.api.rows import errors_shown, span
from segwatch.emulator.engine import Job
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

_ECHOED = ("filter", "fields", "mergePolicy", "additionalFields", "schema")
_USUAL_STATUSES = ["realized", "existing"]


def export_row(world: World, job: Job) -> Json:
    """Return the whole job."""
    quirks = world.quirks
    unit_ms = 1000 if Quirk.SECONDS_EPOCHS in quirks else 1
    row: Json = {
        "id": job.id,
        "jobType": "BATCH",
        "status": job.status,
        "profileInstanceId": "ups",
        "imsOrgId": job.org,
        "requestId": job.facts.request_id,
        "computeGatewayJobId": _gateway_ids(job),
        "metrics": _metrics(world, job),
        "destination": _destination(world, job),
        "creationTime": job.created_ms // unit_ms,
        "updateTime": job.updated_ms // unit_ms,
    }
    row |= {name: job.request[name] for name in _ECHOED if name in job.request}
    if errors := errors_shown(world, job, usual=seed.EXPORT_FAILURE):
        row["errors"] = errors
    if Quirk.EXTRA_FIELDS in quirks:
        row["x_extra"] = {"shard": job.facts.compute_job_id % 7}
    return row


def dataset_id(request: Json) -> str | None:
    """Return the dataset that an export is for, by either spelling of its key. AEP contract 13.3."""
    destination = request.get("destination")
    if not isinstance(destination, dict):
        return None
    found = destination.get("datasetId") or destination.get("dataSetId")
    return found if isinstance(found, str) else None


def exported_segments(world: World, job: Job) -> list[Json]:
    """Return the segments that an export is for; without a filter all of the sandbox's."""
    segments: list[Json] | None = (job.request.get("filter") or {}).get("segments")
    return segments or [{"segmentId": known} for known in world.sandbox(job.sandbox).definitions]


def _gateway_ids(job: Job) -> Json:
    if job.started_ms is None:
        return {}
    export_id, push_id = job.facts.gateway_ids
    return {"exportJob": export_id} | ({"pushJob": push_id} if job.status == "SUCCEEDED" else {})


def _destination(world: World, job: Job) -> Json:
    quirks = world.quirks
    batch_ids = [""] * len(job.facts.batch_ids) if job.status == "FAILED" else job.facts.batch_ids
    if not job.request["destination"].get("segmentPerBatch"):
        single: Json = {
            "datasetId": dataset_id(job.request),
            "segmentPerBatch": False,
            "batchId": batch_ids[0],
        }
        if Quirk.NO_BATCH_ID in quirks:
            del single["batchId"]
        return single
    batches: list[Json] = [
        {
            "segmentId": segment["segmentId"],
            "segmentNs": segment.get("segmentNs", "ups"),
            "status": segment.get("status", _USUAL_STATUSES),
            "batchId": batch_id,
        }
        # definitions that came after the job have no batch in it
        for segment, batch_id in zip(exported_segments(world, job), batch_ids, strict=False)
    ]
    if Quirk.NO_BATCH_ID in quirks:
        for batch in batches:
            del batch["batchId"]
    shown = batches[0] if Quirk.OBJECT_BATCHES in quirks else batches
    return {"dataSetId": dataset_id(job.request), "segmentPerBatch": True, "batches": shown}


def _metrics(world: World, job: Job) -> Json:
    if job.ended_ms is None:
        return {"totalTime": {"startTimeInMs": job.created_ms}}
    metrics: Json = {"totalTime": span(job.created_ms, job.ended_ms)}
    start_ms, end_ms = job.started_ms, job.ended_ms
    if start_ms is None:
        return metrics
    written_ms = end_ms - (end_ms - start_ms) // 10
    metrics["profileExportTime"] = span(start_ms, written_ms)
    if job.status != "SUCCEEDED":
        return metrics
    metrics["aCPDatasetWriteTime"] = span(written_ms, end_ms)
    if world.settings.dialect == "current":
        metrics |= _counters(world, job)
    return metrics


def _counters(world: World, job: Job) -> Json:
    """Return what the batches hold; for a job that only walked a script, what the seed makes up."""
    if (written := world.bench.written.get(job.id)) is not None:
        by_namespace: Counter[str] = Counter()
        for batch in written:
            by_namespace.update(batch.by_namespace)
        return {
            "totalExportedProfileCounter": sum(batch.records for batch in written),
            "exportedProfileByNamespaceCounter": dict(by_namespace),
        }
    size = sum(
        seed.audience_size(world.settings.seed, segment["segmentId"], job.facts.audience_u)
        for segment in exported_segments(world, job)
    )
    return {
        "totalExportedProfileCounter": size,
        "exportedProfileByNamespaceCounter": {"email": size, "ecid": size * 93 // 100},
    }
