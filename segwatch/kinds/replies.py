"""What an answer of the platform holds: its rows, one job, the way to the next page; or why it holds none."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

from segwatch.jobs.model import Facts, JobKey, Observation, Status
from segwatch.kinds.base import Asked, Gap, Page, Request, UnreadableReply
from segwatch.kinds.excerpts import excerpt
from segwatch.kinds.fields import errors_of, identity, in_its_life, instant, mapping, text, whole

_POSITIONS = ("start", "offset", "page")
_AHEAD_MAX = timedelta(days=1)  # no two clocks differ by more
_ENVELOPE_MARKS = ("error_code", "error", "errorMessage", "statusCode", "title", "message", "errors")


class UnreadableRow(ValueError):
    """One record lacks its id or its status."""


# deep nesting ends in RecursionError, a number past 64 bits in OverflowError where it is written out again
UNREADABLE = (UnreadableRow, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)

ReadRow = Callable[[dict[str, Any], str], Observation]
"""Reads one record; the second argument is the id to use when the record has none."""


def item_path(collection: str, job_id: str) -> str:
    """Return the path of one job, its id percent-encoded."""
    return f"{collection}/{quote(job_id, safe='')}"


def read_page(body: bytes, *, rows_at: str, read: ReadRow, request: Request) -> Page:
    """Return the rows of a list in the order given, each id once, and the next request. Raises UnreadableReply.

    rows_at: the key of the array, `children` or `records`. One bad row is counted, never the loss of the page.
    An empty page is the last one, whatever its links say (AEP contract 3.7).
    """
    envelope = envelope_of(body)
    raw = envelope.get(rows_at)
    if raw is None or (bytes(raw) == b"null" and _is_error(envelope)):
        raise UnreadableReply(_why(body, envelope, f'a list without "{rows_at}"'))
    try:
        rows = msgspec.json.decode(raw, type=list[msgspec.Raw] | None) or []
    except UNREADABLE as exc:
        raise UnreadableReply(f'"{rows_at}" is not an array: {excerpt(bytes(raw))}') from exc
    found, gaps = _read_rows(((row, "") for row in rows), read)
    more = next_request(envelope, request) if rows else None
    return Page(rows=found, next=more, unreadable=len(gaps), gaps=gaps)


def read_bulk(body: bytes, *, read: ReadRow) -> Page:
    """Return the jobs of a bulk answer: `results` keyed by id, or an array of jobs (AEP contract 3.8).

    Raises UnreadableReply. An entry that is null counts as absent.
    """
    envelope = envelope_of(body)
    raw = envelope.get("results")
    if raw is None:
        raise UnreadableReply(_why(body, envelope, 'a bulk answer without "results"'))
    try:
        results = msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | list[msgspec.Raw] | None)
    except UNREADABLE as exc:
        raise UnreadableReply(f'"results" is neither an object nor an array: {excerpt(bytes(raw))}') from exc
    if isinstance(results, dict):
        pairs = [(row, key) for key, row in results.items()]
    else:
        pairs = [(row, "") for row in results or []]
    found, gaps = _read_rows(((row, key) for row, key in pairs if bytes(row) != b"null"), read)
    return Page(rows=found, unreadable=len(gaps), gaps=gaps)


def read_one(body: bytes, *, read: ReadRow) -> Observation:
    """Return the one job of an answer. Raises UnreadableReply, also for an error envelope that came with 200."""
    envelope = envelope_of(body)
    try:
        return read(_decode(body), "")
    except UNREADABLE as exc:
        raise UnreadableReply(_why(body, envelope, f"a job that cannot be read ({exc})")) from exc


def sighting(
    record: dict[str, Any], *, kind: str, collection: str, runs: str, asked: Asked, facts: Facts, fallback_id: str = ""
) -> Observation:
    """Return what both kinds tell in the same way: id, status, times, errors. Raises UnreadableRow.

    collection: the path of the kind's jobs; a record's own links are not followed (AEP contract 3.3).
    runs: the key in `metrics` of the phase in which the kind's work is done. started_at is when that phase began:
    `totalTime` begins when the job is created. A beginning before the creation is none (AEP contract 4.6).
    ended_at: `metrics.totalTime.endTimeInMs`, else `updateTime`; only once the status is final, since a running job may
    show finished metrics (AEP contract 3.4, and 13 row 14). An end before the creation is none either. A time far ahead
    of our clock is unknown: everything that really comes later would look older than it.
    """

    def past(value: Any) -> datetime | None:
        at = instant(value)
        return at if at is not None and at <= asked.at + _AHEAD_MAX else None

    job_id = identity(record.get("id")) or fallback_id
    if not job_id:
        raise UnreadableRow("no id")
    word = record.get("status")
    if not isinstance(word, str) or not word.strip():
        raise UnreadableRow("no status")
    status = Status.of(word)
    metrics = mapping(record.get("metrics"))
    created_at = past(record.get("creationTime"))
    updated_at = past(record.get("updateTime")) or past(record.get("updateEpoch"))
    started_at = in_its_life(past(mapping(metrics.get(runs)).get("startTimeInMs")), created_at)
    end = in_its_life(past(mapping(metrics.get("totalTime")).get("endTimeInMs")), created_at)
    ended_at = end or in_its_life(updated_at, created_at)
    return Observation(
        key=JobKey(sandbox=asked.sandbox, kind=kind, id=job_id),
        status=status,
        word=word.strip()[:64],
        asked_at=asked.at,
        created_at=created_at,
        updated_at=updated_at,
        started_at=started_at,
        ended_at=ended_at if status.is_final else None,
        end_is_told=status.is_final and end is not None,
        errors=errors_of(record.get("errors")),
        facts=replace(facts, api_path=item_path(collection, job_id)),
    )


def _read_rows(
    rows: Iterator[tuple[msgspec.Raw, str]], read: ReadRow
) -> tuple[tuple[Observation, ...], tuple[Gap, ...]]:
    found: dict[JobKey, Observation] = {}
    gaps: list[Gap] = []
    for row, fallback_id in rows:
        try:
            seen = read(_decode(row), fallback_id)
        except UNREADABLE as exc:
            why = f"a row with {exc}" if isinstance(exc, UnreadableRow) else "a row that is no JSON object"
            gaps.append(Gap(after=len(found), created_at=_created_at(row), why=why))
            continue
        found.setdefault(seen.key, seen)  # rows shift while one pages: a job may show twice
    return tuple(found.values()), tuple(gaps)


def _created_at(raw: msgspec.Raw) -> datetime | None:
    try:
        return instant(mapping(msgspec.json.decode(raw)).get("creationTime"))
    except UNREADABLE:
        return None


def _decode(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    record = msgspec.json.decode(raw)
    if not isinstance(record, dict):
        raise UnreadableRow("no object in it")
    return record


def envelope_of(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the members of an answer's object, not yet decoded. Raises UnreadableReply for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except UNREADABLE as exc:
        what = "an empty body" if not body.strip() else f"not a JSON object ({exc}): {excerpt(body)}"
        raise UnreadableReply(f"The answer is {what}") from exc


def _is_error(envelope: dict[str, msgspec.Raw]) -> bool:
    return any(mark in envelope for mark in _ENVELOPE_MARKS)


def _why(body: bytes, envelope: dict[str, msgspec.Raw], shape: str) -> str:
    what = "an error in place of a job" if "id" not in envelope and _is_error(envelope) else shape
    return f"The answer is {what}: {excerpt(body)}"


def next_request(envelope: dict[str, msgspec.Raw], request: Request) -> Request | None:
    """Return the request of the next page, on the path that was asked: a link's host and path are never followed.

    The link's parameters rule; filters that it forgot are kept. All of AEP contract 13, rows 7 to 10, is accepted:
    `_links.next.href`, `link.next`, `_page.next`, and `{}`, "", null or "string" for the end.
    """
    query = _link_query(envelope)
    if not query:
        start = whole(_part(envelope, "_page", "next")) or whole(_part(envelope, "page", "next"))
        query = (("start", str(start)),) if start and start > 0 else ()
    if not query:
        return None
    named = {name for name, _ in query}
    kept = tuple(pair for pair in request.params if pair[0] not in named and pair[0] not in _POSITIONS)
    params = kept + query
    if sorted(params) == sorted(request.params):
        return None  # a page that names itself as the next one
    return Request(method=request.method, path=request.path, endpoint=request.endpoint, params=params)


def _link_query(envelope: dict[str, msgspec.Raw]) -> tuple[tuple[str, str], ...]:
    for place in ("_links", "link"):
        link = _part(envelope, place, "next")
        href = text(link.get("href")) if isinstance(link, dict) else text(link)
        query = href.partition("?")[2].partition("#")[0]
        if pairs := tuple((name, value) for name, value in parse_qsl(query) if value):
            return pairs
    return ()


def _part(envelope: dict[str, msgspec.Raw], place: str, name: str) -> Any:
    if place not in envelope:
        return None
    try:
        return mapping(msgspec.json.decode(envelope[place])).get(name)
    except UNREADABLE:
        return None
