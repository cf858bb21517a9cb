"""How a segment job looks on the wire. AEP contract 3.3 to 3.5."""

from segwatch.emulator import seed
from segwatch.emulator.api.rows import errors_shown, span
from segwatch.emulator.engine import Job
from segwatch.emulator.lake.model import Counters
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import ALL_SEGMENTS, World

_NOT_OF_NEW_SEED_JOBS = ("computeGatewayJobId", "requestId", "modelName", "errors")


def segment_row(world: World, job: Job, *, created: bool = False) -> Json:
    """Return the whole job. created: as the answer to its POST, which says less in the `seed` dialect."""
    row = described(world, job)
    if world.settings.dialect == "seed" and created:
        for name in _NOT_OF_NEW_SEED_JOBS:
            row.pop(name, None)
    else:
        row["metrics"] = _metrics(world, job)
    return row


def described(world: World, job: Job) -> Json:
    """Return the job without its metrics; cheap, for filters over thousands of jobs."""
    row = _head(world, job)
    row |= _seed_part(world, job) if world.settings.dialect == "seed" else _current_part(world, job)
    unit_ms = 1000 if Quirk.SECONDS_EPOCHS in world.quirks else 1
    updated_ms = job.updated_ms if world.settings.dialect == "seed" else job.updated_ms // 1000 * 1000
    row["creationTime"] = job.created_ms // unit_ms
    row["updateTime"] = updated_ms // unit_ms
    if Quirk.EXTRA_FIELDS in world.quirks:
        row["x_extra"] = {"shard": job.facts.compute_job_id % 7}
    return row


def _head(world: World, job: Job) -> Json:
    href = f"/segment/jobs/{job.id}"
    row: Json = {
        "id": job.id,
        "status": job.status,
        "imsOrgId": job.org,
        "profileInstanceId": "ups",
        "computeJobId": job.facts.compute_job_id,
        "segments": _segments(world, job),
        "_links": {
            "cancel": {"href": href, "method": "DELETE"},
            "checkStatus": {"href": href, "method": "GET"},
        },
    }
    if "properties" in job.request:
        row["properties"] = job.request["properties"]
    return row


def _current_part(world: World, job: Job) -> Json:
    properties = job.request.get("properties")
    request_id = f"{properties.get('scheduleId')}-{job.created_ms}" if properties else job.facts.request_id
    return {
        "sandbox": seed.sandbox_document(job.sandbox),
        "source": "scheduler" if properties else "api",
        "batchId": _batch_id(job),
        "computeGatewayJobId": job.facts.gateway_ids[0] if job.started_ms is not None else "",
        "errors": errors_shown(world, job, usual=seed.SEGMENT_FAILURE),
        "requestId": request_id,
        "schema": {"name": seed.PROFILE_SCHEMA},
        "updateEpoch": job.updated_ms // 1000,
    }


def _seed_part(world: World, job: Job) -> Json:
    part: Json = {
        "computeGatewayJobId": job.facts.gateway_ids[0],
        "requestId": job.facts.request_id,
        "modelName": seed.PROFILE_SCHEMA,
    }
    if errors := errors_shown(world, job, usual=seed.SEGMENT_FAILURE):
        part["errors"] = errors
    return part


def _batch_id(job: Job) -> str:
    raw = job.facts.batch_ids[0]
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


def _segments(world: World, job: Job) -> list[Json]:
    if job.request["segments"] == [ALL_SEGMENTS]:
        return [{"segmentId": ALL_SEGMENTS}]
    return [_segment(world, job, segment_id) for segment_id in job.request["segments"]]


def _segment(world: World, job: Job, segment_id: str) -> Json:
    definition = world.sandbox(job.sandbox).definitions.get(segment_id)
    if definition is None:  # deleted since
        return {"segmentId": segment_id}
    policy_id = definition["mergePolicyId"]
    segment: Json = {"id": segment_id, "expression": definition["expression"]}
    segment |= {"version": 1} if world.settings.dialect == "seed" else {"mergePolicyId": policy_id}
    segment["mergePolicy"] = {"id": policy_id, "version": 1}
    return {"segmentId": segment_id, "segment": segment}


def _metrics(world: World, job: Job) -> Json:
    total: Json = {"startTimeInMs": job.created_ms}
    metrics: Json = {"totalTime": total, "profileSegmentationTime": {}}
    if job.ended_ms is None:
        return metrics
    metrics["totalTime"] = span(job.created_ms, job.ended_ms)
    if job.started_ms is not None:
        metrics["profileSegmentationTime"] = span(job.started_ms, job.ended_ms)
    if job.status == "SUCCEEDED":
        metrics |= _counters(world, job)
    return metrics


def _counters(world: World, job: Job) -> Json:
    if (counted := world.bench.counters.get(job.id)) is not None:
        return _counted(world, counted)
    asked = job.request["segments"]
    segment_ids = world.sandbox(job.sandbox).definitions if asked == [ALL_SEGMENTS] else asked
    u = job.facts.audience_u
    sizes = {segment_id: seed.audience_size(world.settings.seed, segment_id, u) for segment_id in segment_ids}
    counters: Json = {
        "segmentedProfileCounter": sizes,
        "segmentedProfileByNamespaceCounter": {
            segment_id: {"email": size, "ecid": size * 93 // 100} for segment_id, size in sizes.items()
        },
    }
    if world.settings.dialect == "current":
        profiles = 120_000 + round(1_000 * u)
        counters["totalProfiles"] = profiles
        counters["totalProfilesByMergePolicy"] = {seed.MERGE_POLICY_ID: profiles}
        counters["segmentedProfileByStatusCounter"] = {
            segment_id: {"realized": size, "exited": size // 60} for segment_id, size in sizes.items()
        }
    return counters


def _counted(world: World, counted: Counters) -> Json:
    """Return what an evaluation counted. `realized` is everybody in it, except under a quirk. AEP contract C5."""
    segments = counted.segments
    counters: Json = {
        "segmentedProfileCounter": {name: one.members for name, one in segments.items()},
        "segmentedProfileByNamespaceCounter": {name: dict(one.by_namespace) for name, one in segments.items()},
    }
    if world.settings.dialect == "current":
        apart = Quirk.EXISTING_STATUS in world.quirks
        counters["totalProfiles"] = counted.profiles
        counters["totalProfilesByMergePolicy"] = {seed.MERGE_POLICY_ID: counted.profiles}
        counters["segmentedProfileByStatusCounter"] = {
            name: {"realized": one.realized, "existing": one.existing, "exited": one.exited}
            if apart
            else {"realized": one.members, "exited": one.exited}
            for name, one in segments.items()
        }
    return counters
