"""What was asked of the emulator, for scripts that count."""

from collections import Counter

from segwatch.emulator.engine import Job
from segwatch.emulator.settings import Json


class Ledger:
    """Requests by route and code, and every job that was submitted through the platform's API."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._submissions: list[Json] = []
        self._tokens_issued = 0

    def count_request(self, method: str, route: str, code: int) -> None:
        """Count one answer; code 0 stands for a connection that was cut instead."""
        self._requests[f"{method} {route} {code}"] += 1

    def count_token(self) -> None:
        self._tokens_issued += 1

    def note_submission(self, job: Job, body: object, at: float) -> None:
        """Keep an accepted POST, also one whose answer will be lost. at: epoch seconds."""
        self._submissions.append({"kind": job.kind.value, "id": job.id, "at": at, "body": body, "sandbox": job.sandbox})

    def document(self) -> Json:
        """Return the answer of `GET /_emulator/ledger`."""
        return {
            "requests": dict(sorted(self._requests.items())),
            "submissions": self._submissions,
            "tokens_issued": self._tokens_issued,
        }
