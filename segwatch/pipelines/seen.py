"""What a run may learn at one of its steps."""

from dataclasses import dataclass
from datetime import timedelta

from segwatch.jobs.model import JobState
from segwatch.jobs.order import Order
from segwatch.pipelines.chain import Whereabouts
from segwatch.pipelines.model import Reason
from segwatch.pipelines.plausibility import BatchSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Nothing yet. after: how long to wait before the next look. why: what it waits for."""

    why: str
    after: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """It did not work, and may work later. retry_after: the wait that the other side asks for."""

    why: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Impossible:
    """It will not work later either."""

    reason: Reason
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStands:
    """Where the order of the step stands: of the evaluation, or of the export."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFound:
    """An export that the platform started by itself serves, where none of ours may be ordered."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationStands:
    """The evaluation, as it was last seen."""

    job: JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportStands:
    """Where the export is now: its own job, or one that was submitted for it."""

    at: Whereabouts


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetKnown:
    """The dataset is there. made: it was made just now."""

    id: str
    made: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesStand:
    """The batches of the export, as the catalog shows them."""

    batches: tuple[BatchSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """All files are on disk."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnded:
    """The local command has ended. code: its exit code. tail: the last line that it wrote to stderr."""

    code: int
    tail: str = ""


Seen = (
    Pending | Trouble | Impossible | OrderStands | ExportFound | EvaluationStands | ExportStands | DatasetKnown
    | BatchesStand | Downloaded | CommandEnded
)  # fmt: skip
