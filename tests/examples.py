"""How many examples a property is tried with: some in a usual run, many in `make fuzz`."""

import os

_TIMES = int(os.environ.get("FUZZ", "1"))


def examples(count: int) -> int:
    """Return how many examples to try where a usual run tries `count`; FUZZ says how many times as many."""
    return count * _TIMES
