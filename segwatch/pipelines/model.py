"""A pipeline's plan, and one run of it."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

_FARTHEST = timedelta(hours=1)  # longer than any look is put off


class Step(StrEnum):
    """What a run does, in this order; steps that its plan does not have are passed."""

    EVALUATE = "evaluate"  # order the evaluation, or take the one that triggered the run
    EVALUATION = "evaluation"  # wait for it
    DATASET = "dataset"  # find or make it
    EXPORT = "export"  # order the export, or adopt the one that the platform started
    EXPORTING = "exporting"  # wait for it, through its resubmissions
    CHECK = "check"
    DOWNLOAD = "download"
    COMMAND = "command"


class RunState(StrEnum):
    """Where a run stands. WAITING: a person wished for it, and nobody has begun."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        """True while there is something to do."""
        return self in (RunState.WAITING, RunState.RUNNING)


class Reason(StrEnum):
    """Why a run failed."""

    DEADLINE = "deadline"  # a step took longer than it may
    QUOTA = "quota"  # no evaluation is left, or only the last one
    EVALUATION = "evaluation"  # the segment job did not succeed
    DATASET = "dataset"  # there is none that an export can write to
    REJECTED = "rejected"  # the platform understood the order and will not
    UNDECIDED = "undecided"  # whether an order went through cannot be known
    EXPORT = "export"  # the export did not succeed, nor did any that was submitted for it
    CHECK = "check"  # what was written is not what should be there
    DOWNLOAD = "download"
    COMMAND = "command"
    SETTINGS = "settings"  # the plan cannot be carried out as it is written
    INTERNAL = "internal"  # an error of our own


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a pipeline is told to do: a run's own copy of its settings, which a reload does not change.

    after: `manual`, `schedule` or `segment_job`. dataset: an id, or a name to find or make.
    adopt_export: `same`, `any` or `never`. download: a folder, "" for none. channels: told of the run's end, whatever
    the routes say; None in a run that an older version began, and then those of the settings are. has_command: likewise
    of such a run, its command is in the settings.
    """

    after: str = "manual"
    schedule: str = ""
    segments: tuple[str, ...] = ()
    segment_ns: str = "ups"
    statuses: tuple[str, ...] = ("realized",)
    dataset: str = ""
    fields: tuple[str, ...] = ()
    event_fields: tuple[str, ...] = ()
    merge_policy: str = ""
    segment_per_batch: bool = False
    adopt_export: str = "same"
    adopt_within: timedelta = timedelta(seconds=60)
    min_profiles: int = 0
    download: str = ""
    command: tuple[str, ...] = field(default=(), repr=False)  # its arguments may hold a secret
    has_command: bool = False
    command_timeout: timedelta = timedelta(seconds=60)
    step_deadline: timedelta = timedelta(hours=4)
    spend_last_evaluation: bool = False
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """A step that is behind the run. took_s: seconds. note: what there is to say of it, "" for nothing."""

    step: Step
    at: datetime
    took_s: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a plan.

    cause: `job/<segment job id>`, or `person/<random>`. since: when it came to its step. due_at: not before.
    tries: failed attempts at the step. members: segment id -> profiles. evaluated_at: the end of the evaluation, by the
    platform's clock where it tells; exports from before it hold older members. export_job: the first one;
    current_export: the one that it led to. batchless: looks at it that found it succeeded and without a batch.
    why: what it waits for, or in the end why it failed. sequence: how many events the run has had. version: counts the
    writes of its row.
    """

    id: str
    pipeline: str
    sandbox: str
    cause: str
    plan: Plan
    state: RunState
    step: Step
    began_at: datetime
    since: datetime
    due_at: datetime
    ended_at: datetime | None = None
    tries: int = 0
    segment_job: str = ""
    adopted_evaluation: bool = False
    members: dict[str, int] = field(default_factory=dict)
    evaluated_at: datetime | None = None
    dataset: str = ""
    export_job: str = ""
    current_export: str = ""
    adopted_export: bool = False
    batches: tuple[str, ...] = ()
    batchless: int = 0
    exported: int | None = None
    files: int = 0
    bytes: int = 0
    reason: str = ""
    why: str = ""
    force: bool = False
    done: tuple[StepDone, ...] = ()
    sequence: int = 0
    version: int = 0

    @property
    def stream(self) -> str:
        """The name under which this run's events are ordered."""
        return f"pipeline/{self.sandbox}/{self.pipeline}/{self.id}"

    def is_due(self, now: datetime) -> bool:
        """True when there is something to do now.

        Nothing is put off for longer than an hour: what is due later than that was put off by a clock that was wrong.
        """
        return self.state.is_open and (self.due_at <= now or self.due_at - now > _FARTHEST)


def person(wish: str) -> str:
    """Return the cause of a run that a person wished for. wish: a name that no other wish has."""
    return f"person/{wish}"


def job(segment_job: str) -> str:
    """Return the cause of a run that a segment job begins."""
    return f"job/{segment_job}"


def run_id(sandbox: str, pipeline: str, cause: str) -> str:
    """Return the id that every process arrives at for this cause."""
    return hashlib.sha256(f"{sandbox}/{pipeline}/{cause}".encode()).hexdigest()[:16]
