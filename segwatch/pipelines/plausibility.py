"""Whether what an export wrote is there, and can be what it should be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from segwatch.pipelines.model import Plan

_GROWTH = 1.1  # profiles stream in between the end of an evaluation and its export


class BatchState(StrEnum):
    """Whether a batch can be read."""

    READY = "ready"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSeen:
    """One batch as the catalog shows it. word: its status, in the platform's words. Counts that it omits are None."""

    id: str
    state: BatchState
    word: str
    records_written: int | None = None
    records_failed: int | None = None


def unfinished(batches: Sequence[BatchSeen]) -> str:
    """Return which batch is not written yet, in words; "" when all of them are."""
    return next((f"batch {one.id} is {one.word}" for one in batches if one.state is BatchState.PENDING), "")


def fault(batches: Sequence[BatchSeen], plan: Plan, *, exported: int | None, members: Mapping[str, int]) -> str:
    """Return what cannot be right with these batches, none of which is pending; "" when nothing speaks against them.

    exported: profiles that the export says it wrote. members: what the evaluation counted, by segment. What nobody
    told is no fault: the platform leaves out counts at will (AEP contract 13).
    """
    if not batches:
        return "the export names no batch"
    for batch in batches:
        if batch.state is BatchState.FAILED:
            return f"batch {batch.id} is {batch.word}"
        if batch.records_failed:
            return f"batch {batch.id} has {batch.records_failed:,} records that could not be written"
    written = _sum([batch.records_written for batch in batches])
    if written is not None and exported is not None and written != exported:
        return f"the export counts {exported:,} profiles, its batches hold {written:,} records"
    count = exported if written is None else written
    if count is None:
        return "" if plan.min_profiles == 0 else f"no count was told, and min_profiles is {plan.min_profiles:,}"
    if count < plan.min_profiles:
        return f"{count:,} profiles were exported, fewer than min_profiles = {plan.min_profiles:,}"
    most = _most(plan, members)
    if most is not None and count > most * _GROWTH:
        return f"{count:,} profiles were exported, but the evaluation counted only {most:,} members"
    return ""


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _most(plan: Plan, members: Mapping[str, int]) -> int | None:
    """Return how many members all segments together can have; None where that is not known.

    Only of the members of now: who has left a segment is not counted by its evaluation.
    """
    if plan.statuses != ("realized",) or any(segment not in members for segment in plan.segments):
        return None
    return sum(members[segment] for segment in plan.segments)
