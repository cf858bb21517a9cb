"""What the platform tells about its segment jobs, kept for those who come and ask. AEP contract 11.2, 11.5."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5

from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.settings import CallLater, Json

KEPT_S = 7 * 86_400
DELAY_S = 150 * 60  # before the speed factor
_EVENT_IDS = UUID("c0ffee00-1111-11ee-8f5d-7f27416c00ee")
_INFO = "segment_evaluation_job_info"
_ERROR = "segment_evaluation_job_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event. number: its place among all, from 1. at: epoch seconds."""

    number: int
    at: float
    org: str
    sandbox: str
    job_id: str
    name: str
    status: str

    def document(self) -> Json:
        """Return the event as a platform notification, the default form."""
        code = _ERROR if self.name in ("segment_job_failure", "segment_job_delay") else _INFO
        return {
            "event_id": str(uuid5(_EVENT_IDS, f"{self.job_id}/{self.number}")),
            "event": {
                "id": self.job_id,
                "status": self.status,
                "name": self.name,
                "imsOrgId": self.org,
                "sandboxName": self.sandbox,
                "createdAt": int(self.at * 1000),
                "header": {
                    "_adobeio": {
                        "imsOrgId": self.org,
                        "providerMetadata": "aep_observability_catalog_events",
                        "eventCode": code,
                    }
                },
            },
        }


class Journal:
    """The events of the last seven days, oldest first. A delay is told of while the job runs on, and when it ends."""

    def __init__(self, *, speed: float, now: Callable[[], float], call_later: CallLater) -> None:
        self._delay_s = DELAY_S / speed
        self._now = now
        self._call_later = call_later
        self._delayed: set[str] = set()
        self.entries: list[Entry] = []
        self.written = 0  # how many there ever were

    def note(self, job: Job) -> None:
        """Write down what a job's last move means to others."""
        if job.kind is not Kind.SEGMENT_JOB:
            return
        match job.status:
            case "PROCESSING":
                self._write(job, "segment_job_start", "PROCESSING")
                self.watch(job)
            case "SUCCEEDED":
                self._write(job, "segment_job_success", "SUCCEEDED")
            case "FAILED":
                self._write(job, "segment_job_failure", "FAILED")
            case _:
                pass
        if job.is_final and str(job.id) in self._delayed:
            self._delayed.discard(str(job.id))
            self._write(job, "segment_job_delay", "INACTIVE")

    def watch(self, job: Job) -> None:
        """Tell when the job, which computes, takes too long."""
        begun_s = (job.started_ms or job.updated_ms) / 1000
        self._call_later(max(0.0, begun_s + self._delay_s - self._now()), lambda: self._look(job))

    def restore(self, entries: list[Entry], *, written: int) -> None:
        """Go on where another process ended. written: how many events there ever were."""
        self.entries, self.written = entries, written
        last = {one.job_id: one.status for one in entries if one.name == "segment_job_delay"}
        self._delayed = {job_id for job_id, status in last.items() if status == "FIRING"}

    def entries_after(self, number: int) -> list[Entry]:
        """Return everybody's events after that number."""
        return self.entries[bisect_right(self.entries, number, key=lambda entry: entry.number) :]

    def after(self, number: int, org: str) -> Iterator[Entry]:
        """Yield an organization's events after that number."""
        return (entry for entry in self.entries_after(number) if entry.org == org)

    def since(self, at: float) -> int:
        """Return the number of the last event before that moment (epoch s)."""
        place = bisect_right(self.entries, at, key=lambda entry: entry.at)
        return self.entries[place - 1].number if place else self.forgotten

    @property
    def forgotten(self) -> int:
        """Return the number of the last event that is too old to be told."""
        self._forget()
        return self.entries[0].number - 1 if self.entries else self.written

    def _look(self, job: Job) -> None:
        if not job.is_final and job.status != "CANCELLING" and str(job.id) not in self._delayed:
            self._delayed.add(str(job.id))
            self._write(job, "segment_job_delay", "FIRING")

    def _write(self, job: Job, name: str, status: str) -> None:
        self.written += 1
        entry = Entry(
            number=self.written,
            at=self._now(),
            org=job.org,
            sandbox=job.sandbox,
            job_id=str(job.id),
            name=name,
            status=status,
        )
        self.entries.append(entry)

    def _forget(self) -> None:
        oldest = self._now() - KEPT_S
        place = bisect_right(self.entries, oldest, key=lambda entry: entry.at)
        del self.entries[:place]
