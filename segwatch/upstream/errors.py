"""What may go wrong on the way to the platform, split by what the caller does next."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

from segwatch.errors import SegwatchError


class Fate(StrEnum):
    """What is known about a request that failed. For a POST this decides whether it may simply be sent again."""

    NOT_SENT = "not_sent"  # nothing was written: it cannot have had an effect
    ANSWERED = "answered"  # the platform itself answered, and its answer was no
    LOST = "lost"  # it was on its way when something broke: it may have taken effect, only looking tells


class UpstreamError(SegwatchError):
    """A call that brought no usable answer.

    fate: see Fate. status: the HTTP status, None where none came. reason: one word of a small closed set, for metrics
    and logs. code: the platform's own code for the error, "" where it gave none.
    """

    def __init__(self, text: str, *, fate: Fate, reason: str, status: int | None = None, code: str = "") -> None:
        super().__init__(text)
        self.fate = fate
        self.reason = reason
        self.status = status
        self.code = code

    def hide(self, mask: Callable[[str], str]) -> None:
        """Mask what nobody may see in all that this error tells; done once, where it leaves this room."""
        self.args = (mask(str(self)),)
        self.code = mask(self.code)


class Unavailable(UpstreamError):
    """No answer, or 5xx: look again later."""


class RateLimited(UpstreamError):
    """429. retry_after: what the platform asked us to wait; None when it did not say (AEP contract 1.4)."""

    def __init__(self, text: str, *, retry_after: timedelta | None, fate: Fate, code: str = "") -> None:
        super().__init__(text, fate=fate, reason="http_429", status=429, code=code)
        self.retry_after = retry_after


class Unauthorized(UpstreamError):
    """The credential, its token or its permissions are not accepted: a person has to act."""


class NotFound(UpstreamError):
    """404 or 410: the platform does not know this id (any more)."""


class Refused(UpstreamError):
    """Another 4xx: the platform understood and will not; the same request meets the same answer."""


class BadReply(UpstreamError):
    """An answer that this API does not give: garbage, too large, a redirect, an error in the clothes of a success."""


class NotSendable(ValueError):
    """What was asked for is not sent: the platform would refuse it, or take it for something else than was meant."""
