"""Single values of the platform's JSON, read tolerantly: ids, times, numbers, lists, error entries."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from segwatch.jobs.model import JobError

LOST = "\ufffd"  # in place of what could not be read, as decoders put it; no id and no order may hold it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_BELOW = 10**11
_MILLISECONDS_BELOW = 10**14
_TIMES_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_TIMES_UNTIL = datetime(2100, 1, 1, tzinfo=UTC)
_NUMBER_MAX = 10**30  # no id or counter is larger; Python refuses to print integers of thousands of digits
_ERRORS_MAX = 20
_ERROR_TEXT_MAX = 2_000


def text(value: Any) -> str:
    """Return a string or number as text without outer blanks; "" for anything else."""
    if isinstance(value, str):
        return value.strip()
    number = whole(value)
    return "" if number is None else str(number)


def identity(value: Any) -> str:
    """Return an id as text, whether JSON holds a string or a number (AEP contract 13, row 1); "" for none.

    One that did not come whole names nothing: it may be that of several.
    """
    word = text(value)
    is_climbing = word in (".", "..")  # out of the path of a later request
    return "" if is_climbing or LOST in word else word


def whole(value: Any) -> int | None:
    """Return a JSON number, or a string of digits, as a whole number; None for anything else.

    Counters come as floats in places: 1.23456789E+11 (AEP contract 3.5).
    """
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= 30:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -_NUMBER_MAX < value < _NUMBER_MAX:  # also sorts out inf and nan
        return None
    return round(value)


def truth(value: Any) -> bool:
    """Return a JSON boolean; the word "true" counts, everything else is False."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return an array as it is, a single value as an array of one, null as an empty one (AEP contract 4.5)."""
    if value is None or value == "" or value == {}:
        return []
    return value if isinstance(value, list) else [value]


def instant(value: Any) -> datetime | None:
    """Return a point in time as aware UTC, whatever its unit; None when unknown (AEP contract 13, row 15).

    Numbers are sorted by magnitude: below 1e11 seconds, below 1e14 milliseconds, else microseconds; 0 means unknown.
    Strings are digits or ISO 8601; without an offset they are UTC. A time outside this century is a placeholder, such
    as 0001-01-01, and unknown too: one step back from the first or on from the last year overflows.
    """
    at = _instant_of(value)
    return at if at is not None and _TIMES_FROM <= at < _TIMES_UNTIL else None


def in_its_life(at: datetime | None, created_at: datetime | None) -> datetime | None:
    """Return a time of a job; None when it lies before the job's creation: some do (AEP contract 4.6)."""
    return None if at and created_at and at < created_at else at


def _instant_of(value: Any) -> datetime | None:
    if isinstance(value, str) and not value.strip().isdecimal():
        return _instant_of_iso(value.strip())
    if isinstance(value, str):
        value = whole(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**18:
        return None
    factor = 1_000_000 if value < _SECONDS_BELOW else 1_000 if value < _MILLISECONDS_BELOW else 1
    try:
        return _EPOCH + timedelta(microseconds=round(value * factor))
    except OverflowError:
        return None


def _instant_of_iso(word: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(word.upper())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def errors_of(value: Any) -> tuple[JobError, ...]:
    """Return the entries of a job's `errors`, which may be absent, null, empty, or there on a job that succeeded.

    An entry is `{code, msg, callStack}` (AEP contract 3.3, 4.6); a bare string, and an object in place of the array,
    are read too. Long texts are cut.
    """
    return tuple(_flatten(value))[:_ERRORS_MAX]


def _flatten(value: Any) -> Iterator[JobError]:
    for entry in items(value):
        if isinstance(entry, dict) and not _says_something(entry):
            for inner in entry.values():  # keyed by status, as in the error envelopes
                yield from (error for one in items(inner) if (error := _error_of(one)))
        elif error := _error_of(entry):
            yield error


def _says_something(entry: dict[str, Any]) -> bool:
    return any(key in entry for key in ("code", "msg", "message", "description"))


def _error_of(entry: Any) -> JobError | None:
    if not isinstance(entry, dict):
        words = text(entry)
        return JobError(code="", text=words[:_ERROR_TEXT_MAX]) if words else None
    code = text(entry.get("code"))
    words = next((found for key in ("msg", "message", "description") if (found := text(entry.get(key)))), "")
    return JobError(code=code, text=words[:_ERROR_TEXT_MAX]) if code or words else None
