"""The health of what is no job: a sandbox, a channel, the resubmissions of a sandbox."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectState:
    """The health, in one word and since when, of what `sandbox/NAME`, `channel/NAME` or `retries/SANDBOX` tells of."""

    stream: str
    condition: str
    since: datetime
    sequence: int = 0
