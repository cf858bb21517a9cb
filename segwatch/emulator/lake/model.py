"""The values that go into the lake and come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from segwatch.emulator.settings import Json

# the audience that every sandbox has from outside
EXTERNAL_NAMESPACE = "AAM"
EXTERNAL_SEGMENT_ID = "24130077"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What one segment job evaluates.

    run_id: of this run alone; one that comes again is the same run.
    definitions: the expression of each segment, by its id. now: what `now` means in them.
    known: all segments that the sandbox has; nobody is in another one afterwards. None leaves those as they are.
    """

    run_id: str
    sandbox: str
    definitions: Mapping[str, Json]
    now: datetime
    known: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCount:
    """One segment after a run: its profiles by status, and those who are in it by namespace of their identities."""

    realized: int
    existing: int
    exited: int
    by_namespace: Mapping[str, int]

    @property
    def members(self) -> int:
        """Everybody who is in it."""
        return self.realized + self.existing


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What a run counted. profiles: all that it looked at."""

    profiles: int
    segments: Mapping[str, SegmentCount]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFilter:
    """Members of one segment by status. namespace: compared without case."""

    segment_id: str
    namespace: str
    statuses: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventList:
    """Which events an export carries along, by when they were ingested. fields: dot paths."""

    fields: tuple[str, ...]
    ingested_after: datetime | None = None
    ingested_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """Which profiles one batch holds, and what of them. AEP contract 4.2.

    segments: any of them; None takes every profile. fields: dot paths; None takes all record fields.
    qualified_from, qualified_until: when they entered or left the segment, bounds included.
    ingested_after: profiles strictly newer than that. empty_profiles: also those without a record.
    realized_is_all: `realized` means everybody who is in a segment, and `existing` nobody, in what is asked for and in
    what is shown; otherwise those who entered in the last run, beside the `existing`. AEP contract C5.
    """

    sandbox: str
    batch_id: str
    segments: tuple[SegmentFilter, ...] | None
    fields: tuple[str, ...] | None
    qualified_from: datetime | None = None
    qualified_until: datetime | None = None
    ingested_after: datetime | None = None
    empty_profiles: bool = False
    events: EventList | None = None
    realized_is_all: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Parquet file of a batch."""

    name: str
    length_bytes: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBatch:
    """A batch whose files are all there. by_namespace: its profiles by namespace of their identities."""

    batch_id: str
    parts: tuple[Part, ...]
    records: int
    by_namespace: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a query found: how many rows, and the first of them."""

    count: int
    rows: list[Json]
