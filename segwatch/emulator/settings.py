"""What an emulator is started with, and the values that both ends of a demo must agree on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

Json = dict[str, Any]
Dialect = Literal["current", "seed"]

# beyond that the steps of a job are shorter than the loop's turns, and a day of emulated time lasts a tenth of a second
SPEED_MOST = 1_000_000


class Handle(Protocol):
    """A timer that can still be stopped; asyncio.TimerHandle is one."""

    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Handle]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """How one emulator behaves. Two with equal settings hand out the same ids, durations and sizes.

    speed: divides how long jobs take; never the delays of faults, never stamped times.
    dialect: `current` (today's documents) or `seed` (the older tutorials), where the two disagree.
    client_id, client_secret: the only credentials accepted; None accepts any that is not empty.
    token_lifetime_s: `expires_in` of a token, and when it stops working.
    data: the directory that keeps everything; None keeps it in memory, and it goes with the process.
    size: how many profiles are made up. profiles: a file of one's own to load instead: .parquet, .ndjson, .jsonl or
    .json.
    evaluations_per_day: how many evaluations may be asked for in a sandbox on one emulated day.
    demanded: which of `seed`, `size` and `profiles` somebody insists on; the others give way to those that the
    directory was made with.
    """

    seed: int = 0
    speed: float = 1.0
    dialect: Dialect = "current"
    client_id: str | None = None
    client_secret: str | None = None
    token_lifetime_s: int = 86_399
    data: Path | None = None
    size: int = 10_000
    profiles: Path | None = None
    evaluations_per_day: int = 2
    demanded: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 < self.speed <= SPEED_MOST:
            raise ValueError(
                f"speed is {self.speed}. Write a number above 0, up to {SPEED_MOST}; 60 makes a minute last a second."
            )
        if self.token_lifetime_s < 1:
            raise ValueError(f"token_lifetime_s is {self.token_lifetime_s}. Write 1 second or more.")
        if self.evaluations_per_day < 0:
            raise ValueError(f"evaluations_per_day is {self.evaluations_per_day}. Write 0 or more.")
        if self.size < 1:
            raise ValueError(f"size is {self.size}. Write 1 profile or more.")
