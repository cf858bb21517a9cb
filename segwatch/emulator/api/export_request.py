"""What a body must hold to become an export job. AEP contract 4.2."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from segwatch.emulator import seed
from segwatch.emulator.api.export_rows import dataset_id
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Sandbox

_STATUSES = ("realized", "existing", "exited")
# AEP contract 4.2. A misspelt filter would be none, and export everybody
_KNOWN = ("fields", "mergePolicy", "filter", "additionalFields", "destination", "schema", "evaluationInfo")
_KNOWN_FILTER = ("segments", "segmentQualificationTime", "fromIngestTimestamp", "emptyProfiles")
_KNOWN_SEGMENT = ("segmentId", "segmentNs", "status")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def export_request(body: Any, sandbox: Sandbox, *, known_only: bool = True) -> Json:
    """Return the body, found to be in order; raises the 400 that says what is not.

    known_only: refuse a dataset that does not exist, or that cannot hold profiles, and segments that do not exist.
    """
    if not isinstance(body, dict):
        raise ServiceError(400, "The body is not an object")
    _check_names(body, _KNOWN, "The body")
    target = dataset_id(body)
    if target is None:
        raise ServiceError(400, "destination.datasetId is missing")
    if known_only:
        _check_target(target, sandbox)
    if _object(body, "schema").get("name") != seed.PROFILE_SCHEMA:
        raise ServiceError(400, f"schema.name is missing: write {seed.PROFILE_SCHEMA}")
    if not isinstance(body["destination"].get("segmentPerBatch", False), bool):
        raise ServiceError(400, "destination.segmentPerBatch is neither true nor false")
    if not isinstance(body.get("fields", ""), str):
        raise ServiceError(400, "fields is not a text")
    if "mergePolicy" in body and not _object(body, "mergePolicy").get("id"):
        raise ServiceError(400, "mergePolicy.id is missing")
    wanted = _object(body, "filter")
    _check_filter(wanted)
    if known_only:
        demand_segments((one["segmentId"] for one in wanted.get("segments", ())), sandbox)
    events = _object(_object(body, "additionalFields"), "eventList")
    bounds = _object(events, "filter")
    _check_names(bounds, ("fromIngestTimestamp", "toIngestTimestamp"), "additionalFields.eventList.filter")
    _check_times(bounds, "fromIngestTimestamp", "toIngestTimestamp")
    return body


def demand_segments(asked: Iterable[str], sandbox: Sandbox) -> None:
    """Raise the 400 for the first segment that nobody can be in."""
    for segment_id in asked:
        if not sandbox.knows(segment_id):
            raise ServiceError(400, f"No segment definition with id '{segment_id}' in sandbox '{sandbox.name}'")


def _check_target(target: str, sandbox: Sandbox) -> None:
    if target not in sandbox.datasets:
        raise ServiceError(400, f"No dataset with id '{target}' in sandbox '{sandbox.name}'")
    if sandbox.datasets[target]["schemaRef"].get("id") != seed.UNION_SCHEMA:
        raise ServiceError(400, f"Dataset '{target}' does not use the union schema {seed.UNION_SCHEMA}")


def _check_filter(wanted: Json) -> None:
    _check_names(wanted, _KNOWN_FILTER, "filter")
    segments = wanted.get("segments", [])
    if not isinstance(segments, list):
        raise ServiceError(400, "filter.segments is not an array")
    if "segments" in wanted and not segments:
        raise ServiceError(400, "filter.segments is empty: name a segment, or leave it out to export every profile")
    for segment in segments:
        if not isinstance(segment, dict) or not isinstance(segment.get("segmentId"), str):
            raise ServiceError(400, "filter.segments[].segmentId is missing")
        _check_names(segment, _KNOWN_SEGMENT, "filter.segments[]")
        statuses = segment.get("status", [])
        if not isinstance(statuses, list) or not all(status in _STATUSES for status in statuses):
            raise ServiceError(400, f"filter.segments[].status is {statuses!r}: write an array of {_STATUSES}")
    qualified = _object(wanted, "segmentQualificationTime")
    _check_names(qualified, ("startTime", "endTime"), "filter.segmentQualificationTime")
    _check_times(qualified, "startTime", "endTime")
    _check_times(wanted, "fromIngestTimestamp")
    if not isinstance(wanted.get("emptyProfiles", False), bool):
        raise ServiceError(400, "filter.emptyProfiles is neither true nor false")


def _object(holder: Json, name: str) -> Json:
    value = holder.get(name, {})
    if not isinstance(value, dict):
        raise ServiceError(400, f"{name} is not an object")
    return value


def _check_names(holder: Json, known: Iterable[str], where: str) -> None:
    for name in holder:
        if name not in known:
            raise ServiceError(400, f"{where} has {name!r}: write {', '.join(known)}")


def _check_times(holder: Json, *names: str) -> None:
    for name in names:
        if name in holder and not _is_rfc3339(holder[name]):
            raise ServiceError(400, f"{name} is {holder[name]!r}: write RFC 3339, such as 2026-01-05T02:00:00Z")


def _is_rfc3339(value: object) -> bool:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value.upper())
    except ValueError:
        return False
    return True
