"""Which records a reader of the store wants."""

from dataclasses import dataclass
from datetime import datetime

from segwatch.jobs.model import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to read; empty fields match everything.

    since, until: recorded as changed at or after this time, and before that one.
    """

    sandbox: str = ""
    kind: str = ""
    statuses: tuple[Status, ...] = ()
    id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs of pipelines to read; empty fields match everything. open_only: those that have not ended."""

    sandbox: str = ""
    pipeline: str = ""
    cause: str = ""
    open_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts to read; empty fields match everything. ids: only these, None for all."""

    subject: str = ""
    ids: tuple[str, ...] | None = None
    open_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to read; empty fields match everything. ids: only these, None for all."""

    id: str = ""
    ids: tuple[str, ...] | None = None
    stream: str = ""
    sandbox: str = ""
    job_id: str = ""
    types: tuple[str, ...] = ()
    since: datetime | None = None
