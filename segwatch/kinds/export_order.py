"""What an export was told to do: the body that orders it again, and a fingerprint that equal orders share."""

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from segwatch.jobs.model import Facts
from segwatch.kinds.fields import LOST, identity, items, mapping, text, truth, whole

SCHEMA = "_xdm.context.profile"
_SEGMENT_NS = "ups"
_SEGMENT_STATUS = ("existing", "realized")
_ASKED = ("fields", "mergePolicy", "filter", "additionalFields", "evaluationInfo", "schema")
_ORDERS_KEPT = 10_000
_TIMES = frozenset({"startTime", "endTime", "fromIngestTimestamp", "toIngestTimestamp", "fromTimestamp"})


def dataset_of(record: dict[str, Any]) -> str:
    """Return the target dataset's id, spelt `datasetId` or `dataSetId` (AEP contract 4.5); "" where there is none."""
    for name, value in mapping(record.get("destination")).items():
        if name.lower() == "datasetid" and (found := identity(value).rpartition("/")[2]):
            return found
    return ""


def segments_of(record: dict[str, Any]) -> tuple[str, ...]:
    """Return the ids of the exported segments, each once; empty when the export is not limited to segments."""
    found = (_segment_id(entry) for entry in items(mapping(record.get("filter")).get("segments")))
    return tuple(dict.fromkeys(one for one in found if one))


def order_of(record: dict[str, Any]) -> tuple[str, str]:
    """Return (request, fingerprint) of an export job's record; two empty strings when it does not tell enough.

    Too little is told without a dataset, and when a filter is there but cannot be read: to leave out a filter would
    export more than was asked; so when a text or a number in it did not come whole. Source: AEP contract 4.2, 4.5.
    """
    dataset = dataset_of(record)
    if not dataset or not _is_readable(record):
        return "", ""
    asked = _json({name: record.get(name) for name in _ASKED})
    per_batch = mapping(record.get("destination")).get("segmentPerBatch")
    if LOST.encode() in asked or per_batch == LOST:
        return "", ""
    return _order(asked, dataset, truth(per_batch))


def may_be(told: str, order: str) -> bool:
    """Return whether an export of whose order a record tells `told` may have been ordered by `order`.

    A record may leave out any part (AEP contract 13, no. 29), so it may be unless one part says something else.
    told, order: as in `Facts.request`. Case is overlooked everywhere: here a doubt is cheaper than a mistake.
    """
    try:
        return not told or _is_part("", _order_in(told), _order_in(order))
    except msgspec.MsgspecError:  # from another version: nothing is known of it
        return True


def is_another(told: Facts, order: str, *, cut: bool = False) -> bool:
    """Return whether an export plainly is none of `order`: it has another dataset, or other segments.

    All else may differ between an order and the record that it led to: names and versions that the platform fills in.
    order: as in `Facts.request`. cut: `told` comes from a list, which may leave out some segments (AEP contract 13,
    no. 29), so that only one that was not ordered tells.
    """
    body = _order_in(order or "{}")
    dataset, segments = dataset_of(body), {one.casefold() for one in segments_of(body)}
    told_segments = {one.casefold() for one in told.segments}
    is_elsewhere = bool(told.dataset and dataset) and told.dataset.casefold() != dataset.casefold()
    has_others = not told_segments <= segments if cut else told_segments != segments
    return is_elsewhere or (bool(told_segments) and has_others)


def same_but_filled_in(one: str, other: str) -> bool:
    """Return whether two orders differ only in what one of them leaves to the platform: the merge policy, its version.

    A record tells what was filled in (AEP contract 4.2), so that the export of an order may look like another one.
    one, other: as in `Facts.request`.
    """
    try:
        first, second = (_normal_order(_order_in(request)) for request in (one, other))
    except msgspec.MsgspecError:  # nothing is told of it, or by another version
        return False
    left, right = (mapping(body.pop("mergePolicy", None)) for body in (first, second))
    return _json(first) == _json(second) and all(left[name] == right[name] for name in left.keys() & right.keys())


def is_broad(request: str) -> bool:
    """Return whether `request` orders all that there is: the same words as one whose filter was left out."""
    return "filter" not in _order_in(request)


def _order_in(request: str) -> dict[str, Any]:
    body = mapping(msgspec.json.decode(request))
    return {name: value for name, value in body.items() if name != "evaluationInfo"}


def _is_part(name: str, told: Any, ordered: Any) -> bool:
    if name == "fields":
        return set(map(_caseless, _normal(name, told))) <= set(map(_caseless, _normal(name, ordered)))
    if isinstance(told, dict):
        whole_order = mapping(ordered)
        return all(key in whole_order and _is_part(key, value, whole_order[key]) for key, value in told.items())
    if isinstance(told, list):
        entries = [_normal_segment(mapping(one)) for one in items(ordered)] if name == "segments" else items(ordered)
        return all(any(_is_part("", one, entry) for entry in entries) for one in told)
    return bool(_caseless(_normal(name, told)) == _caseless(_normal(name, ordered)))


def _caseless(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


# each sweep shows the same orders again: half of the time of reading an export went here
@lru_cache(maxsize=_ORDERS_KEPT)
def _order(asked: bytes, dataset: str, per_batch: bool) -> tuple[str, str]:
    body = _body(msgspec.json.decode(asked), dataset, per_batch=per_batch)
    return _json(body).decode(), hashlib.sha256(_json(_normal_order(body))).hexdigest()


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _segment_id(entry: Any) -> str:
    return identity(entry.get("segmentId") or entry.get("id")) if isinstance(entry, dict) else identity(entry)


def _is_readable(record: dict[str, Any]) -> bool:
    parts = [record.get(name) for name in ("filter", "additionalFields", "evaluationInfo")]
    if not all(part in (None, "") or isinstance(part, dict) for part in parts):
        return False
    return all(_segment_id(entry) for entry in items(mapping(record.get("filter")).get("segments")))


def _body(record: dict[str, Any], dataset: str, *, per_batch: bool) -> dict[str, Any]:
    destination: dict[str, Any] = {"datasetId": dataset}
    if per_batch:
        destination["segmentPerBatch"] = True
    body = {
        "fields": _comma_list(record.get("fields")),
        "mergePolicy": _merge_policy(record.get("mergePolicy")),
        "filter": _filter(mapping(record.get("filter"))),
        "additionalFields": record.get("additionalFields"),
        "evaluationInfo": record.get("evaluationInfo"),
        "schema": {"name": _schema(record)},
        "destination": destination,
    }
    return mapping(_pruned(body))


def _schema(record: dict[str, Any]) -> str:
    schema = record.get("schema")
    return text(schema.get("name") if isinstance(schema, dict) else schema) or SCHEMA


def _comma_list(value: Any) -> str:
    return ",".join(word for entry in items(value) if (word := text(entry)))


def _merge_policy(value: Any) -> dict[str, Any]:
    policy = dict(value) if isinstance(value, dict) else {"id": text(value)}
    version = policy.get("version")
    policy["version"] = version if (number := whole(version)) is None else number
    return policy


def _filter(given: dict[str, Any]) -> dict[str, Any]:
    segments = []
    for entry in items(given.get("segments")):
        segment = dict(entry) if isinstance(entry, dict) else {}
        segment["segmentId"] = _segment_id(entry)
        segment["status"] = [text(word) for word in items(segment.get("status"))]
        segments.append(segment)
    return given | {"segments": segments, "emptyProfiles": truth(given.get("emptyProfiles")) or None}


def _pruned(value: Any) -> Any:
    """Return `value` without what says nothing: null, "", {} and [] are the same as absent."""
    if isinstance(value, dict):
        return {k: kept for k, v in value.items() if (kept := _pruned(v)) not in (None, "", {}, [])}
    if isinstance(value, list):
        return [kept for v in value if (kept := _pruned(v)) not in (None, "", {}, [])]
    return value


def _normal_order(body: dict[str, Any]) -> dict[str, Any]:
    """Return `body` with all that means the same in the same form. Whether it evaluates first changes nothing in it."""
    return mapping(_pruned({k: _normal(k, v) for k, v in body.items() if k != "evaluationInfo"}))


def _normal(name: str, value: Any) -> Any:
    if name == "fields":
        return sorted({word.strip() for word in _comma_list(value).split(",") if word.strip()})
    if name == "segments":
        return [msgspec.Raw(one) for one in sorted({_json(_normal_segment(mapping(entry))) for entry in items(value)})]
    if name in _TIMES:
        return _normal_time(text(value))
    if isinstance(value, dict):
        return {k: _normal(k, v) for k, v in value.items()}
    if isinstance(value, list):
        return [_normal("", v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.strip() if isinstance(value, str) else value


def _normal_segment(entry: dict[str, Any]) -> dict[str, Any]:
    status = {text(word).lower() for word in items(entry.get("status"))}
    return mapping(_pruned({k: _normal(k, v) for k, v in entry.items()})) | {
        "segmentNs": text(entry.get("segmentNs")).lower() or _SEGMENT_NS,
        "status": sorted(status or _SEGMENT_STATUS),
    }


def _normal_time(word: str) -> str:
    """Return the instant in UTC, so that equal instants are equal; a time without an offset stays as it is."""
    try:
        at = datetime.fromisoformat(word.upper())
        return at.astimezone(UTC).isoformat() if at.tzinfo else word
    except (ValueError, OverflowError):
        return word
