"""What the platform says when it says no, read from every error envelope that it uses (AEP contract 1.3)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from segwatch.http_times import wish_of
from segwatch.kinds.excerpts import excerpt
from segwatch.kinds.fields import items, mapping, text, whole

_WORDS_MAX = 300
_BODY_MAX = 120  # of a body that has no words of its own
_WAIT_MAX = timedelta(hours=1)  # a longer pause is a mistake; the next 429 will repeat it if it is not
_SMALL_BYTES = 16 * 1024  # error envelopes are; pages of jobs are not worth decoding twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """An error envelope. Fields that it does not have are empty."""

    code: str = ""
    words: str = ""
    request_id: str = ""
    retry_after: timedelta | None = None


def complaint_of(body: bytes, mask: Callable[[str], str] = lambda text: text) -> Complaint:
    """Return what an error answer says; for HTML, text or another shape the beginning of the body.

    mask: takes secrets out of a text that is still whole: half of one, left by a cut, is hard to know again.
    """
    try:
        envelope = mapping(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        envelope = {}
    code = _first(envelope, "error_code", "code", "errorCode")
    inner = list(_inner(envelope))
    words = [text(envelope.get(name)) for name in ("title", "detail", "message", "errorMessage", "error_description")]
    words += [inner_words for _, inner_words in inner]
    if not code:
        code = next((inner_code for inner_code, _ in inner if inner_code), "") or text(envelope.get("error"))
    said = "; ".join(dict.fromkeys(word for word in words if word))
    whole_said, length = (said, _WORDS_MAX) if said else (body[:_SMALL_BYTES].decode(errors="replace"), _BODY_MAX)
    wait = whole(envelope.get("retryAfterMs"))
    return Complaint(
        code=excerpt(mask(code).encode(), length=40),
        words=excerpt(mask(whole_said).encode(), length=length),
        request_id=excerpt(mask(_request_id(envelope)).encode(), length=80),
        retry_after=_clamped(wait / 1000) if wait is not None and wait >= 0 else None,
    )


def words_of(complaint: Complaint, status: int) -> str:
    """Return code and words on one line, without the status, which many answers repeat in either or both."""
    words = " ".join(part for part in (complaint.code, complaint.words) if part)
    if not words:
        return "(no body)"
    return re.sub(rf"^(?:{status}\b[:\s]*)+", "", words) or "(no words)"


def is_complaint(body: bytes) -> bool:
    """True when a body is an error envelope, whatever status it came with (AEP contract 13, row 27)."""
    if len(body) > _SMALL_BYTES:
        return False
    try:
        envelope = mapping(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if "id" in envelope:
        return False  # a record
    if any(text(envelope.get(name)) for name in ("error_code", "errorMessage", "error_description")):
        return True
    claimed = whole(envelope.get("statusCode")) or whole(envelope.get("status"))
    return claimed is not None and claimed >= 400


def retry_after_of(headers: Mapping[str, str], complaint: Complaint, now: datetime) -> timedelta | None:
    """Return how long the platform asks us to wait: `retry-after` in seconds or as a date, else the body's word.

    headers: names in lower case. None when nobody says. At most an hour. Source: AEP contract 1.4.
    """
    wish = wish_of(headers.get("retry-after", ""), now, most=_WAIT_MAX)
    return complaint.retry_after if wish is None else wish


def _clamped(seconds: float) -> timedelta:
    return timedelta(seconds=min(max(seconds, 0.0), _WAIT_MAX.total_seconds()))


def _first(envelope: dict[str, Any], *names: str) -> str:
    return next((found for name in names if (found := text(envelope.get(name)))), "")


def _request_id(envelope: dict[str, Any]) -> str:
    return _first(envelope, "requestId") or text(mapping(envelope.get("report")).get("requestId"))


def _inner(envelope: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (code, words) of the entries of `errors`, `cause` and `report`, however they are nested."""
    errors = envelope.get("errors")
    yield from _entries(errors.values() if isinstance(errors, dict) else items(errors))
    if cause := text(envelope.get("cause")):
        yield "", cause
    report = mapping(envelope.get("report"))
    if report:
        yield _first(report, "errorCode", "code"), _first(report, "detailed-message", "message", "detail")


def _entries(values: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for value in values:
        for entry in items(value):
            if isinstance(entry, dict):
                yield _first(entry, "code"), _first(entry, "message", "msg", "description")
            elif isinstance(value, list) and (words := text(entry)):
                yield "", words
