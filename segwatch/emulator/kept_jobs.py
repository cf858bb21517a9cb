"""Jobs as the archive keeps them: documents, and what becomes of one that cannot be read any more."""

from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from segwatch.emulator import seed
from segwatch.emulator.engine import Facts, Job, Kind, Move, Step
from segwatch.emulator.lake.model import Counters, WrittenBatch
from segwatch.emulator.sandbox import ALL_SEGMENTS
from segwatch.emulator.settings import Json


class _Segment(msgspec.Struct, rename="camel"):
    segment_id: str


class _Filter(msgspec.Struct):
    segments: list[_Segment] | None = None


class _Destination(msgspec.Struct, rename="camel"):
    dataset_id: str | None = None
    data_set_id: str | None = None


class _Export(msgspec.Struct):
    destination: _Destination
    filter: _Filter | None = None


class _Evaluation(msgspec.Struct):
    segments: list[str]


_NEEDED: dict[Kind, type[msgspec.Struct]] = {Kind.SEGMENT_JOB: _Evaluation, Kind.EXPORT_JOB: _Export}  # to be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptJob:
    """A job, what its evaluation counted, and what its export wrote. problem: why it could not be read as it was."""

    job: Job
    counters: Counters | None = None
    written: tuple[WrittenBatch, ...] | None = None
    problem: str | None = None


def document(job: Job, *, counters: Counters | None, written: tuple[WrittenBatch, ...] | None) -> Json:
    """Return what `restored` makes the same job of."""
    return {
        "kind": job.kind.value,
        "id": job.id,
        "sandbox": job.sandbox,
        "org": job.org,
        "origin": job.origin,
        "request": job.request,
        "facts": job.facts,
        "script": job.script,
        "errors": job.errors,
        "computed": job.computed,
        "cancel_asked": job.cancel_asked,
        "position": job.position,
        "moves": job.moves,
        "counters": counters,
        "written": written,
    }


def restored(kind: str, job_id: str, body: bytes, *, now_ms: int) -> KeptJob:
    """Return the job that a document is of; where it cannot be read, one in its place, with the problem.

    One job that nobody can read must not keep all others from being served.
    """
    try:
        return _read(kind, job_id, msgspec.json.decode(body, type=dict[str, Any]))
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError) as error:
        return KeptJob(job=_in_its_place(Kind(kind), job_id, body, now_ms=now_ms), problem=str(error))


def _read(kind: str, job_id: str, kept: Json) -> KeptJob:
    if (kept["kind"], str(kept["id"])) != (kind, job_id):
        raise ValueError(f"it says that it is {kept['kind']} {kept['id']}")
    msgspec.convert(kept["request"], _NEEDED[Kind(kind)])
    counters, written = kept.pop("counters"), kept.pop("written")
    job = Job(
        **kept
        | {
            "kind": Kind(kind),
            "facts": msgspec.convert(kept["facts"], Facts),
            "script": msgspec.convert(kept["script"], tuple[Step, ...]),
            "moves": msgspec.convert(kept["moves"], list[Move]),
        }
    )
    if not job.moves or not 0 <= job.position < len(job.script):
        raise ValueError("it is at no place of its script")
    return KeptJob(
        job=job,
        counters=None if counters is None else msgspec.convert(counters, Counters),
        written=None if written is None else msgspec.convert(written, tuple[WrittenBatch, ...]),
    )


def _in_its_place(kind: Kind, job_id: str, body: bytes, *, now_ms: int) -> Job:
    """Return a job of that id with as much of the other as can be read."""
    try:
        kept = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        kept = {}
    usual = (
        {"segments": [ALL_SEGMENTS]} if kind is Kind.SEGMENT_JOB else seed.export_of([ALL_SEGMENTS], seed.DATASET_ID)
    )
    moves: list[Move] = _as(kept, "moves", list[Move], [])
    return Job(
        kind=kind,
        id=job_id if kind is Kind.SEGMENT_JOB else int(job_id),
        sandbox=_as(kept, "sandbox", str, seed.SANDBOX),
        org=_as(kept, "org", str, seed.ORG),
        origin=_as(kept, "origin", str, "platform"),
        request=usual if _as(kept, "request", _NEEDED[kind], None) is None else kept["request"],
        facts=_as(kept, "facts", Facts, seed.facts(Random(job_id), batches=1)),
        script=(Step(status="NEW", seconds=0),),
        moves=moves or [Move(status="NEW", at_ms=now_ms)],
    )


def _as(kept: Json, name: str, kind: Any, usual: Any) -> Any:
    try:
        return msgspec.convert(kept.get(name), kind)
    except msgspec.MsgspecError:
        return usual
