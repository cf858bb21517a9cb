"""The health of what is no job: a sandbox, a channel."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectState:
    """The health of what stream `sandbox/NAME` or `channel/NAME` is about, in one word, since when."""

    stream: str
    condition: str
    since: datetime
    sequence: int = 0
