"""What exists before anybody did anything, and what chance decides, all by the seed."""

import random
import zlib
from uuid import UUID, uuid5

from segwatch.emulator.engine import Facts, Kind, Script, Step
from segwatch.emulator.settings import Dialect, Json

ORG = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
SANDBOX = "prod"
PROFILE_SCHEMA = "_xdm.context.profile"
UNION_SCHEMA = "https://ns.adobe.com/xdm/context/profile__union"
MERGE_POLICY_ID = "9c9c9c9c-aaaa-4bbb-8ccc-dddddddddddd"
DATASET_ID = "65a1b2c3d4e5f60718293a4b"
EXTERNAL_AUDIENCE_ID = "e5c0ffee-0001-4000-8000-000000000001"
FIRST_EXPORT_ID = 24_115
SEEDED_AT_MS = 1_764_990_000_000

# names and queries of the segments that every sandbox begins with
_SEGMENTS = (
    ("Lives in the Netherlands", 'homeAddress.country = "NL"'),
    ("Adults with a newsletter", "person.birthYear <= 2007 and optInOut.email = true"),
    (
        "Bought this week",
        "select e from xEvent where e.commerce.purchases.value > 0 and e.timestamp occurs <= 7 days before now",
    ),
    ("Gold and platinum members", 'loyalty.tier in ["gold", "platinum"]'),
    (
        "Left a basket",
        '(exists e from xEvent where e.eventType = "commerce.productListAdds"'
        " and e.timestamp occurs <= 14 days before now)"
        ' and not (exists e from xEvent where e.eventType = "commerce.purchases"'
        " and e.timestamp occurs <= 14 days before now)",
    ),
    (
        "Not seen for 45 days",
        "(exists e from xEvent where e.timestamp occurs > 45 days before now)"
        " and not (exists e from xEvent where e.timestamp occurs <= 45 days before now)",
    ),
    ("Visits by phone", 'xEvent[device.type = "mobile"].count() >= 3'),
    ("Runners", '"running" in interests'),
    ("Big spenders", "select e from xEvent where e.commerce.order.priceTotal > 100"),
    ("Works abroad", "workAddress.country != homeAddress.country"),
)
SEGMENT_IDS = tuple(f"a1b2c3d4-{n:04d}-4000-8000-{n:012d}" for n in range(1, len(_SEGMENTS) + 1))
_SANDBOX_IDS = UUID("c0ffee00-1111-11ee-8f5d-7f27416c0000")

SEGMENT_FAILURE: list[Json] = [
    {
        "code": "8.0000018E7",
        "msg": "Segmentation aborted: 3 of 200 partitions could not be read.",
        "callStack": "com.adobe.aep.unifiedprofile.segmentation.SegmentationException",
    }
]
EXPORT_FAILURE: list[Json] = [
    {
        "code": "0090000009",
        "msg": "Error writing profiles to output path 'adl://snapshot.example.net/snapshot'",
        "callStack": "com.adobe.aep.unifiedprofile.common.logging.Logger",
    },
    {"code": "unknown", "msg": "Job aborted.", "callStack": "org.apache.spark.SparkException: Job aborted."},
]
EXPORT_CANCELLED: list[Json] = [{"code": "unknown", "msg": "Job cancelled by user request.", "callStack": ""}]


def sandbox_document(name: str) -> Json:
    """Return the `sandbox` object that segment jobs, definitions and schedules carry."""
    return {
        "sandboxId": "c0ffee00-1111-11ee-8f5d-7f27416c0001" if name == SANDBOX else str(uuid5(_SANDBOX_IDS, name)),
        "sandboxName": name,
        "type": "production" if name == SANDBOX else "development",
        "default": name == SANDBOX,
    }


def definitions(sandbox: str) -> dict[str, Json]:
    """Return the segment definitions of a new sandbox, by id. AEP contract 6.2."""
    return {
        segment_id: definition(
            segment_id=segment_id,
            sandbox=sandbox,
            org=ORG,
            at_ms=SEEDED_AT_MS + number * 1000,
            body={
                "name": name,
                "description": f"{name} (from the emulator's seed)",
                "expression": {"type": "PQL", "format": "pql/text", "value": pql},
                "dataGovernancePolicy": {"excludeOptOut": True},
            },
        )
        for number, (segment_id, (name, pql)) in enumerate(zip(SEGMENT_IDS, _SEGMENTS, strict=True))
    }


def definition(*, segment_id: str, sandbox: str, org: str, at_ms: int, body: Json) -> Json:
    """Return a definition as the platform shows it: what the body leaves open is filled in. AEP contract 6.2."""
    enabled = {"batch": True, "continuous": False, "synchronous": False}
    return {
        "id": segment_id,
        "name": body["name"],
        "description": body.get("description", ""),
        "schema": {"name": PROFILE_SCHEMA},
        "imsOrgId": org,
        "sandbox": sandbox_document(sandbox),
        "profileInstanceId": "ups",
        "mergePolicyId": body.get("mergePolicyId", MERGE_POLICY_ID),
        "expression": body["expression"],
        "evaluationInfo": body.get("evaluationInfo", {name: {"enabled": on} for name, on in enabled.items()}),
        "dataGovernancePolicy": body.get("dataGovernancePolicy", {"excludeOptOut": True}),
        **({"ttlInDays": body["ttlInDays"]} if "ttlInDays" in body else {}),
        "creationTime": at_ms,
        "updateTime": at_ms,
        "updateEpoch": at_ms // 1000,
    }


def dataset(*, name: str, sandbox: str, org: str, at_ms: int, body: Json, view_id: str, own_id: str) -> Json:
    """Return a dataset as the catalog shows it, always with `tags` and `classification`. AEP contract 7.1."""
    table = "".join(letter if letter.isalnum() else "_" for letter in name.lower()) or "dataset"
    tags = body.get("tags")
    return {
        "name": name,
        "description": body.get("description", ""),
        "imsOrg": org,
        "sandboxId": sandbox_document(sandbox)["sandboxId"],
        "version": "1.0.0",
        "created": at_ms,
        "updated": at_ms,
        "createdUser": "svc@AdobeID",
        "createdClient": "emulator",
        "updatedUser": "svc@AdobeID",
        "schemaRef": body["schemaRef"],
        "fileDescription": body.get("fileDescription", {"persisted": True}),
        "tags": {"adobe/pqs/table": [table], "unifiedProfile": ["enabled:true"]}
        | (tags if isinstance(tags, dict) else {}),
        "classification": {"dataBehavior": "record", "managedBy": "CUSTOMER"},
        "viewId": view_id,
        "files": f"@/dataSetFiles?dataSetId={own_id}",
    }


def datasets(sandbox: str) -> dict[str, Json]:
    """Return the datasets of a new sandbox, by id: one that exports can be written to."""
    body = {
        "schemaRef": {"id": UNION_SCHEMA, "contentType": "application/vnd.adobe.xed+json;version=1"},
        "fileDescription": {"persisted": True, "containerFormat": "parquet", "format": "parquet"},
    }
    seeded = dataset(
        name="Segment Export",
        sandbox=sandbox,
        org=ORG,
        at_ms=SEEDED_AT_MS,
        body=body,
        view_id=DATASET_ID[:-1] + "c",
        own_id=DATASET_ID,
    )
    return {DATASET_ID: seeded}


def holds_profiles(dataset: Json) -> bool:
    """Whether exports can be written to a dataset. AEP contract 4.2."""
    return bool(dataset["schemaRef"].get("id") == UNION_SCHEMA)


def export_of(segment_ids: list[str], dataset_id: str) -> Json:
    """Return what asks for the members of segments; ["*"] for everybody's."""
    wanted = [] if segment_ids == ["*"] else [{"segmentId": one} for one in segment_ids]
    return {
        **({"filter": {"segments": wanted}} if wanted else {}),
        "mergePolicy": {"id": MERGE_POLICY_ID, "version": 1},
        "schema": {"name": PROFILE_SCHEMA},
        "destination": {"datasetId": dataset_id, "segmentPerBatch": False},
    }


def chance(seed: int, topic: str, ordinal: int) -> random.Random:
    """Return the chance of the n-th thing of its topic: the same one whatever else happened before."""
    return random.Random(f"{seed}/{topic}/{ordinal}")


def uuid_by(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def facts(rng: random.Random, *, batches: int) -> Facts:
    """Return what chance decides about a job besides its script."""
    return Facts(
        request_id=uuid_by(rng),
        compute_job_id=rng.randrange(90_000, 9_000_000),
        gateway_ids=(uuid_by(rng), uuid_by(rng)),
        batch_ids=tuple(f"{rng.getrandbits(128):032x}" for _ in range(batches)),
        audience_u=rng.random(),
    )


def natural_script(kind: Kind, dialect: Dialect, rng: random.Random, outcome: str) -> Script:
    """Return the usual path to an outcome, lasting as long as the documents' samples did. AEP contract 12."""
    short, wait, work = rng.uniform(2, 8), rng.uniform(5, 30), rng.uniform(100, 780)
    if kind is Kind.EXPORT_JOB:
        path = [("NEW", short), ("PROCESSING", 1.5 * work)]
    elif dialect == "seed":
        path = [("PROCESSING", work)]
    else:
        path = [("NEW", short), ("QUEUED", wait), ("PROCESSING", work)]
    steps = (Step(status=status, seconds=seconds) for status, seconds in path)
    return (*steps, Step(status=outcome, seconds=0))


def audience_size(seed: int, segment_id: str, u: float) -> int:
    """Return how many profiles a segment has: steady per segment, within half a percent per run."""
    usual = 1_000 + zlib.crc32(f"{seed}/{segment_id}".encode()) % 9_000
    return round(usual * (0.995 + 0.01 * u))
