"""How a run names and words what it orders: its orders, its dataset, its folder, the body of its export."""

from pathlib import Path
from string import hexdigits
from typing import Any

from segwatch.pipelines.model import Plan, Run, Step
from segwatch.upstream.export_body import EventList, ExportBody, SegmentFilter

_DATASET_ID_DIGITS = 24


def order_id(run: Run, step: Step) -> str:
    """Return the id of the order that a run makes at a step."""
    return f"{run.id}/{step.value}"


def is_dataset_id(name: str) -> bool:
    """Return whether a plan's `dataset` is an id, not a name (AEP contract 7.1)."""
    return len(name) == _DATASET_ID_DIGITS and all(digit in hexdigits for digit in name)


def folder_of(run: Run) -> Path:
    """Return where the run's files go."""
    return Path(run.plan.download) / run.id


def export_body(plan: Plan, dataset: str) -> dict[str, Any]:
    """Return the order of the plan's export. Raises ValueError for what cannot be ordered."""
    return ExportBody(
        dataset=dataset,
        fields=plan.fields,
        merge_policy=plan.merge_policy,
        segments=tuple(
            SegmentFilter(segment_id=one, namespace=plan.segment_ns, statuses=plan.statuses) for one in plan.segments
        ),
        events=EventList(fields=plan.event_fields) if plan.event_fields else None,
        per_batch=plan.segment_per_batch,
    ).document()
