"""What one sandbox holds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.lake.model import EXTERNAL_SEGMENT_ID
from segwatch.emulator.settings import Json

SANDBOX_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,254}")
ALL_SEGMENTS = "*"
HISTORY = "history"  # the origin of jobs that had ended before anybody looked


class JobBook:
    """The jobs of one kind in one sandbox, in the two orders that callers poll by."""

    def __init__(self) -> None:
        self.created: dict[str | int, Job] = {}
        self.changed: dict[str | int, Job] = {}

    def note_change(self, job: Job) -> None:
        self.created.setdefault(job.id, job)
        self.changed.pop(job.id, None)
        self.changed[job.id] = job

    def remove(self, job: Job) -> None:
        del self.created[job.id]
        del self.changed[job.id]


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """One sandbox: what it holds is visible under its name only."""

    name: str
    definitions: dict[str, Json]
    datasets: dict[str, Json]
    schedules: dict[str, Json] = field(default_factory=dict)
    batches: dict[str, Json] = field(default_factory=dict)
    queries: dict[str, Json] = field(default_factory=dict)
    books: dict[Kind, JobBook] = field(default_factory=lambda: {kind: JobBook() for kind in Kind})

    def knows(self, segment_id: str) -> bool:
        """Whether somebody can be in the segment: it is defined here, or comes from outside."""
        return segment_id in self.definitions or segment_id == EXTERNAL_SEGMENT_ID

    def has_history(self, job_id: str) -> bool:
        """Whether the job of that id is here, and of a history."""
        job = self.books[Kind.SEGMENT_JOB].created.get(job_id)
        return job is not None and job.origin == HISTORY

    def batch_count(self, kind: Kind, request: Json) -> int:
        """Return how many batches a job of that kind has."""
        if kind is Kind.SEGMENT_JOB or not request["destination"].get("segmentPerBatch"):
            return 1
        segments = (request.get("filter") or {}).get("segments")
        return len(segments) if segments else len(self.definitions)

    def shelves(self) -> Iterator[tuple[str, dict[str, Json]]]:
        """Yield what it holds besides its jobs, by name: documents under their ids."""
        yield "definitions", self.definitions
        yield "datasets", self.datasets
        yield "schedules", self.schedules
        yield "batches", self.batches
        yield "queries", self.queries


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of a job that is submitted next. errors: None shows the usual ones."""

    status: str
    errors: list[Json] | None = None
