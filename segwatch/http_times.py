"""Times in HTTP headers, as the platform and receivers of webhooks send them."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_DIGITS_MAX = 20


def date_of(header: str) -> datetime | None:
    """Return the time that a header such as `Date` tells, in UTC; None when it cannot be read (RFC 9110, 5.6.7)."""
    try:
        told = parsedate_to_datetime(header)
        return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def wish_of(header: str, now: datetime, *, most: timedelta) -> timedelta | None:
    """Return how long `Retry-After` asks us to wait, between nothing and `most`; None when it cannot be read.

    header: seconds, with a fraction if need be, or a date (RFC 9110, 10.2.3).
    """
    text = header.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text[:_DIGITS_MAX])
    elif until := date_of(text):
        seconds = (until - now).total_seconds()
    else:
        return None
    return timedelta(seconds=min(max(seconds, 0.0), most.total_seconds()))
