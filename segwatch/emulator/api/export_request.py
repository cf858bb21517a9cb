"""What a body must hold to become an export job. AEP contract 4.2."""

import re
from datetime import datetime
from typing import Any

from segwatch.emulator import seed
from segwatch.emulator.api.export_rows import dataset_id
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Sandbox

_STATUSES = ("realized", "existing", "exited")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def export_request(body: Any, sandbox: Sandbox, *, known_only: bool = True) -> Json:
    """Return the body, found to be in order; raises the 400 that says what is not.

    known_only: refuse a dataset that does not exist, or that cannot hold profiles.
    """
    if not isinstance(body, dict):
        raise ServiceError(400, "The body is not an object")
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
    _check_filter(_object(body, "filter"))
    events = _object(_object(body, "additionalFields"), "eventList")
    _check_times(_object(events, "filter"), "fromIngestTimestamp", "toIngestTimestamp")
    return body


def _check_target(target: str, sandbox: Sandbox) -> None:
    if target not in sandbox.datasets:
        raise ServiceError(400, f"No dataset with id '{target}' in sandbox '{sandbox.name}'")
    if sandbox.datasets[target]["schemaRef"].get("id") != seed.UNION_SCHEMA:
        raise ServiceError(400, f"Dataset '{target}' does not use the union schema {seed.UNION_SCHEMA}")


def _check_filter(wanted: Json) -> None:
    segments = wanted.get("segments", [])
    if not isinstance(segments, list):
        raise ServiceError(400, "filter.segments is not an array")
    for segment in segments:
        if not isinstance(segment, dict) or not isinstance(segment.get("segmentId"), str):
            raise ServiceError(400, "filter.segments[].segmentId is missing")
        statuses = segment.get("status", [])
        if not isinstance(statuses, list) or not all(status in _STATUSES for status in statuses):
            raise ServiceError(400, f"filter.segments[].status is {statuses!r}: write an array of {_STATUSES}")
    _check_times(_object(wanted, "segmentQualificationTime"), "startTime", "endTime")
    _check_times(wanted, "fromIngestTimestamp")
    if not isinstance(wanted.get("emptyProfiles", False), bool):
        raise ServiceError(400, "filter.emptyProfiles is neither true nor false")


def _object(holder: Json, name: str) -> Json:
    value = holder.get(name, {})
    if not isinstance(value, dict):
        raise ServiceError(400, f"{name} is not an object")
    return value


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
