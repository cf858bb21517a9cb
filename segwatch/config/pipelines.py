"""Whole runs that the daemon drives: the settings of a pipeline."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from segwatch.config.sections import Section, setting
from segwatch.config.values import ChannelName, CountOrZero, Duration, SandboxName, Word
from segwatch.errors import BadValue
from segwatch.pipelines.model import Plan

_SEGMENTS_MAX = 20  # in one on-demand evaluation (AEP contract 12)


def _some(segments: tuple[str, ...]) -> tuple[str, ...]:
    if len(segments) > _SEGMENTS_MAX:
        tail = f", which names {len(segments)} segments. Name {_SEGMENTS_MAX} or fewer: one evaluation takes no more."
        raise BadValue(tail)
    if twice := next((one for one in segments if segments.count(one) > 1), None):
        raise BadValue(f", which names {twice} more than once. Name each segment once.")
    if "*" in segments:
        raise BadValue(', which has "*" for all of them. Name those to export.')
    return segments


def _folder(path: Path) -> Path:
    if not path.is_absolute():
        raise BadValue(", which is no absolute path. Write such as /var/lib/segwatch/exports.")
    return path


def _trimmed(name: str) -> str:
    if name != name.strip():
        raise BadValue(", which begins or ends with a blank. Write the dataset's id or name without it.")
    if not name.isprintable():
        raise BadValue(
            ", which has a line break or another control character. Write the dataset's id or name in one line."
        )
    return name


def _one(field: str) -> str:
    if "," in field:
        words = ", ".join(f'"{word.strip()}"' for word in field.split(",") if word.strip())
        raise BadValue(f", which has a comma. Write each field in quotes of its own: {words or 'its path'}.")
    return field


def _any(statuses: tuple[str, ...]) -> tuple[str, ...]:
    if not statuses:
        raise BadValue(", which is empty. Write at least one.")
    return statuses


Segments = Annotated[tuple[Word, ...], AfterValidator(_some)]
Folder = Annotated[Path, AfterValidator(_folder)]
Statuses = Annotated[tuple[Literal["realized", "existing", "exited"], ...], AfterValidator(_any)]
FieldPath = Annotated[Word, AfterValidator(_one)]
DatasetName = Annotated[str, AfterValidator(_trimmed)]


class PipelineSection(Section):
    """One pipeline: evaluate segments, export their members, check what was written; every step survives a crash."""

    name: ChannelName = setting("The pipeline's name, for `segwatch pipeline run`, events and metrics.")
    sandbox: SandboxName | None = setting("Its sandbox; needed only where there are several.", default=None)
    after: Literal["manual", "schedule", "segment_job"] = setting(
        "What begins a run: a person, an evaluation that the platform's schedule started, or any evaluation.",
        default="manual",
    )
    schedule: str = setting('With `after = "schedule"`: only evaluations of the schedule with this id.', default="")
    segments: Segments = setting(
        "Ids of the segments to export, at most 20. Required for `manual`; else those that an evaluation must cover,"
        " and without any the evaluation's own.",
        default=(),
    )
    segment_ns: Word = setting("The namespace of these segments.", default="ups")
    statuses: Statuses = setting("Which memberships are exported.", default=("realized",))
    dataset: DatasetName = setting(
        "Where exports go: a dataset's id, or the name of one, which is made if there is none."
        ' Required unless `adopt_export = "any"`.',
        default="",
    )
    fields: tuple[FieldPath, ...] = setting("Fields to export; without any all of them.", default=())
    event_fields: tuple[FieldPath, ...] = setting(
        "Fields of events to export along; without any no events.", default=()
    )
    merge_policy: str = setting("Id of the merge policy; without one the platform's default.", default="")
    segment_per_batch: bool = setting("Whether each segment goes to a batch of its own.", default=False)
    adopt_export: Literal["same", "any", "never"] = setting(
        "Which export that the platform starts itself is taken in place of one of ours: of the same segments to the"
        " same dataset, to any dataset, or none.",
        default="same",
    )
    adopt_within: Duration = setting(
        "How long such an export is waited for behind an evaluation, before ours is ordered.", default="60s"
    )
    min_profiles: CountOrZero = setting("Exported profiles below which the check fails.", default=0)
    download: Folder | None = setting(
        "Folder that gets the exported files, in a folder named by the run; without one nothing is downloaded.",
        default=None,
    )
    channels: tuple[str, ...] = setting("Channels that are told of the run's end, beside those of routes.", default=())
    command: tuple[str, ...] = setting(
        "Command to run at the end, absolute path and arguments. It gets the result as JSON on stdin, and may run twice"
        " after a crash.",
        default=(),
    )
    command_timeout: Duration = setting("Longest run of the command.", default="60s")
    step_deadline: Duration = setting("Longest time that any step may take, before the run fails.", default="4h")
    spend_last_evaluation: bool = setting(
        "Whether a run may use the last on-demand evaluation that the day or year allows.", default=False
    )

    @property
    def plan(self) -> Plan:
        """Return what a run of this pipeline is told to do."""
        return Plan(
            after=self.after,
            schedule=self.schedule,
            segments=self.segments,
            segment_ns=self.segment_ns,
            statuses=self.statuses,
            dataset=self.dataset,
            fields=self.fields,
            event_fields=self.event_fields,
            merge_policy=self.merge_policy,
            segment_per_batch=self.segment_per_batch,
            adopt_export=self.adopt_export,
            adopt_within=self.adopt_within,
            min_profiles=self.min_profiles,
            download=str(self.download or ""),
            command=self.command,
            command_timeout=self.command_timeout,
            step_deadline=self.step_deadline,
            spend_last_evaluation=self.spend_last_evaluation,
            channels=self.channels,
        )
