"""Whether an export that somebody else started holds what a run wants to export."""

from typing import Any

import msgspec

from segwatch.jobs.model import Facts

_MEMBERS = frozenset({"realized", "existing"})  # also the default of a filter that names none (AEP contract 4.2)
_LIMITS = ("segmentQualificationTime", "fromIngestTimestamp", "emptyProfiles")


def serves(told: Facts, request: str, *, elsewhere: bool = False) -> bool:
    """Return whether the export of which `told` is known may stand in for the one that `request` orders.

    It must export the same segments with all wanted statuses to the same dataset, hold every part that is wanted, and
    nobody who has left unless they are wanted; names that the platform fills in, such as the merge policy's, need not
    be the same. What its record does not tell is not believed: then ours is ordered. elsewhere: its dataset may be
    another. request: as in `Facts.request`.
    """
    theirs, ours = _order(told.request), _order(request)
    if not theirs or not ours:
        return False
    segments, wanted = _segments(theirs), _segments(ours)
    if not wanted or segments.keys() != wanted.keys():
        return False
    if not all(_is_as_wanted(segments[segment], statuses) for segment, statuses in wanted.items()):
        return False
    if not elsewhere and _dataset(theirs).casefold() != _dataset(ours).casefold():
        return False
    return _holds(theirs, ours)


def _is_as_wanted(statuses: frozenset[str], wanted: frozenset[str]) -> bool:
    """Return whether these statuses hold the wanted ones, and beside them members only.

    Whether `realized` means all members or those who are new differs between the platform's versions (AEP contract
    9 and C5), so that beside it `existing` does no harm; who has left does.
    """
    return wanted <= statuses <= wanted | _MEMBERS


def _holds(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    policy = _table(ours.get("mergePolicy")).get("id")
    if policy and _table(theirs.get("mergePolicy")).get("id") != policy:
        return False
    if _fields(theirs) != _fields(ours):
        return False
    if theirs.get("additionalFields") != ours.get("additionalFields"):
        return False
    limits, own = _table(theirs.get("filter")), _table(ours.get("filter"))
    if any(limits.get(name) != own.get(name) for name in _LIMITS):
        return False
    return _per_batch(theirs) == _per_batch(ours)


def _order(request: str) -> dict[str, Any]:
    try:
        return _table(msgspec.json.decode(request)) if request else {}
    except msgspec.MsgspecError:  # from another version: nothing is known of it
        return {}


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _segments(order: dict[str, Any]) -> dict[tuple[str, str], frozenset[str]]:
    """Return (segment, namespace) -> the statuses that are exported."""
    entries = _table(order.get("filter")).get("segments")
    found: dict[tuple[str, str], frozenset[str]] = {}
    for entry in entries if isinstance(entries, list) else []:
        one = _table(entry)
        statuses = frozenset(str(word).lower() for word in one.get("status") or ())
        name = (str(one.get("segmentId", "")).casefold(), str(one.get("segmentNs") or "ups").casefold())
        found[name] = statuses or _MEMBERS
    return found


def _fields(order: dict[str, Any]) -> frozenset[str]:
    return frozenset(word.strip() for word in str(order.get("fields") or "").split(",") if word.strip())


def _dataset(order: dict[str, Any]) -> str:
    return str(_table(order.get("destination")).get("datasetId", ""))


def _per_batch(order: dict[str, Any]) -> bool:
    return bool(_table(order.get("destination")).get("segmentPerBatch"))
