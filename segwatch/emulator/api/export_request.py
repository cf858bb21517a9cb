"""What a body must hold to become an export job. AEP contract 4.2."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
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
_KNOWN_DESTINATION = ("datasetId", "dataSetId", "segmentPerBatch")
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
    schema = _object(body, "schema")
    if schema.get("name") != seed.PROFILE_SCHEMA:
        raise ServiceError(400, f"schema.name is missing: write {seed.PROFILE_SCHEMA}")
    _check_names(schema, ("name",), "schema")
    _check_names(body["destination"], _KNOWN_DESTINATION, "destination")
    if body["destination"].keys() >= {"datasetId", "dataSetId"}:
        raise ServiceError(400, "destination has datasetId and dataSetId: write one of them")
    _check_bool(body["destination"], "segmentPerBatch", "destination.")
    _check_text(body, "fields")
    if "mergePolicy" in body:
        _check_policy(_object(body, "mergePolicy"))
    evaluation = _object(body, "evaluationInfo")
    _check_names(evaluation, ("segmentation",), "evaluationInfo")
    _check_bool(evaluation, "segmentation", "evaluationInfo.")
    wanted = _object(body, "filter")
    _check_filter(wanted)
    if known_only:
        demand_segments((one["segmentId"] for one in wanted.get("segments", ())), sandbox)
    additional = _object(body, "additionalFields")
    _check_names(additional, ("eventList",), "additionalFields")
    events = _object(additional, "eventList")
    _check_names(events, ("fields", "filter"), "additionalFields.eventList")
    _check_text(events, "fields", "additionalFields.eventList.")
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
        _check_text(segment, "segmentNs", "filter.segments[].")
        statuses = segment.get("status", [])
        if not isinstance(statuses, list) or not all(status in _STATUSES for status in statuses):
            known = ", ".join(_STATUSES)
            raise ServiceError(400, f"filter.segments[].status is {statuses!r}: write an array of {known}")
    qualified = _object(wanted, "segmentQualificationTime")
    _check_names(qualified, ("startTime", "endTime"), "filter.segmentQualificationTime")
    _check_times(qualified, "startTime", "endTime")
    _check_times(wanted, "fromIngestTimestamp")
    _check_bool(wanted, "emptyProfiles", "filter.")


def _check_policy(policy: Json) -> None:
    _check_names(policy, ("id", "version"), "mergePolicy")
    _check_text(policy, "id", "mergePolicy.")
    if not policy.get("id"):
        raise ServiceError(400, "mergePolicy.id is missing")
    version = policy.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int | float):
        raise ServiceError(400, "mergePolicy.version is not a number")


def _check_text(holder: Json, name: str, where: str = "") -> None:
    if not isinstance(holder.get(name, ""), str):
        raise ServiceError(400, f"{where}{name} is not a text")


def _check_bool(holder: Json, name: str, where: str) -> None:
    if not isinstance(holder.get(name, False), bool):
        raise ServiceError(400, f"{where}{name} is neither true nor false")


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
        datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the second: not within the years 1 to 9999 any more
        return False
    return True
