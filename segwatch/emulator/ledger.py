"""What was asked of the emulator, for scripts that count."""

from collections import Counter

from segwatch.emulator.engine import Job
from segwatch.emulator.settings import Json


class Ledger:
    """Requests by route and code, and every job that was submitted through the platform's API."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._changed: set[str] = set()
        self.submissions: list[Json] = []
        self.tokens_issued = 0

    def restore(self, requests: dict[str, int], submissions: list[Json]) -> None:
        """Go on with what another process counted."""
        self._requests = Counter(requests)
        self.submissions = submissions

    def changed_requests(self) -> list[tuple[str, int]]:
        """Return the counts that have changed since the last call."""
        changed = [(key, self._requests[key]) for key in self._changed]
        self._changed.clear()
        return changed

    def count_request(self, method: str, route: str, code: int) -> None:
        """Count one answer; code 0 stands for a connection that was cut instead."""
        key = f"{method} {route} {code}"
        self._requests[key] += 1
        self._changed.add(key)

    def count_token(self) -> None:
        self.tokens_issued += 1

    def note_submission(self, job: Job, body: object, at: float) -> None:
        """Keep an accepted POST, also one whose answer will be lost. at: epoch seconds."""
        self.submissions.append({"kind": job.kind.value, "id": job.id, "at": at, "body": body, "sandbox": job.sandbox})

    def document(self) -> Json:
        """Return the answer of `GET /_emulator/ledger`."""
        return {
            "requests": dict(sorted(self._requests.items())),
            "submissions": self.submissions,
            "tokens_issued": self.tokens_issued,
        }
