"""Liveness and readiness: whether every worker still turns, and whether we can do our work."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A worker whose heartbeat is overdue, and by how many seconds."""

    worker: str
    late_s: float


class Heartbeats:
    """When each worker last said that it turns. One that waits for something still turns, so it beats while it waits.

    monotonic: a clock in seconds that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._due: dict[str, float] = {}

    def beat(self, worker: str, within_s: float) -> None:
        """Note that `worker` turns, and that it will say so again within so many seconds."""
        self._due[worker] = self._monotonic() + within_s

    def forget(self, worker: str) -> None:
        """Expect nothing more of a worker that ended as it should."""
        self._due.pop(worker, None)

    def stale(self) -> list[Stale]:
        """Return the workers that are overdue, the worst first."""
        now = self._monotonic()
        late = [Stale(worker=name, late_s=now - due) for name, due in self._due.items() if due < now]
        return sorted(late, key=lambda stale: -stale.late_s)

    def __len__(self) -> int:
        return len(self._due)


class Readiness:
    """What keeps us from our work, by part; nothing means ready."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {"start": "still starting"}

    def ok(self, part: str) -> bool:
        """Note that this part works; True when it did not before."""
        return self._problems.pop(part, None) is not None

    def problem(self, part: str, why: str) -> bool:
        """Note what is wrong with this part; True when it was not known."""
        news = part not in self._problems
        self._problems[part] = why
        return news

    def forget(self, parts: str) -> None:
        """Expect nothing more of the parts whose names begin so."""
        self._problems = {part: why for part, why in self._problems.items() if not part.startswith(parts)}

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by part."""
        return dict(self._problems)
