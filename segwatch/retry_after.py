"""The wait that the other side asks for: HTTP's Retry-After, as the platform and receivers of webhooks send it."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_DIGITS_MAX = 20


def wish_of(header: str, now: datetime, *, most: timedelta) -> timedelta | None:
    """Return how long we are asked to wait, between nothing and `most`; None when the header cannot be read.

    header: seconds, with a fraction if need be, or a date (RFC 9110, 10.2.3).
    """
    text = header.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text[:_DIGITS_MAX])
    else:
        try:
            until = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return timedelta(seconds=min(max(seconds, 0.0), most.total_seconds()))
