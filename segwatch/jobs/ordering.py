"""How an order gets its one job, and never two."""

from collections.abc import Callable
from typing import Literal

from segwatch.jobs.model import Observation
from segwatch.jobs.order import Order

Serves = Callable[[Observation, Order], bool]
"""Whether somebody else's job, though not equal, does what the order wants. Asked before a POST only."""

Adopt = Literal["never", "active", "since"]
"""Which jobs of others may answer an order: none, one that is active, any that was created since `not_before`."""
