"""One task for each active job: decides when its job must next be looked at, until it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from segwatch.jobs.cadence import Cadence
from segwatch.jobs.model import JobKey, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The job as a look at `at` found it."""

    job: JobState
    at: datetime


class Reads(Protocol):
    """Answers looks, as many as possible with one call."""

    def stretch(self) -> float:
        """Return how much longer than wished the intervals must be for the call budget to suffice; 1 or more."""

    async def look(self, key: JobKey, due: datetime, beat: Callable[[], None]) -> Looked:
        """Return the job as soon as somebody looked at it, which happens at `due` at the latest."""


class Poller:
    """Follows one job to its end."""

    def __init__(self, job: JobState, reader: Reads, cadence: Cadence) -> None:
        self._job = job
        self._reader = reader
        self._cadence = cadence

    async def run(self, beat: Callable[[], None]) -> None:
        """Look again and again; returns when the job has ended."""
        looked = Looked(job=self._job, at=self._job.asked_at)
        while looked.job.is_active:
            due = self._cadence.next_look(looked.at, stretch=self._reader.stretch())
            looked = await self._reader.look(self._job.key, due, beat)
