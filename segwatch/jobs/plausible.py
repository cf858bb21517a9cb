"""Whether an export that succeeded can be right: it says so, and yet wrote nothing, or far from what it should have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from segwatch.jobs.model import Facts

_FEWEST = 5
_FEWEST_LIMITED = 20
_USUAL = 30  # earlier exports of the same order, at most
_SPARE_ABOVE = 8
_WIDTH = 5 * 1.4826
_SURPLUS = 1.1  # an audience may have grown between its evaluation and its export


class Fault(StrEnum):
    """What cannot be right: the `reason` of `export.implausible`."""

    NO_BATCH = "no_batch"
    NOTHING = "nothing"
    TOO_FEW = "too_few"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why an export cannot be right. why: a sentence's end. expected: profiles, where that can be said."""

    fault: Fault
    why: str
    expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield:
    """What an earlier export of the same order wrote. members: of its segments, when it began; None if not known."""

    exported: int
    members: int | None = None


def doubt(
    facts: Facts, members: int | None, earlier: Sequence[Yield], *, least_change: float, least_members: int,
    names_batches: bool = True,
) -> Doubt | None:  # fmt: skip
    """Return why an export that succeeded cannot be right; None when nothing speaks against it.

    facts: by the export's full record, since a list may leave out batches. members: those of its segments together, as
    their last evaluation counted them; None where that is not known. earlier: what the same order wrote before, the
    oldest first. names_batches: whether the sandbox's exports do so at all. What nobody told is no fault: the platform
    leaves out counts at will (AEP contract 13).
    """
    if names_batches and facts.exported != 0 and not facts.batches:
        return Doubt(fault=Fault.NO_BATCH, why="its record names no batch")
    if facts.exported is None:
        return None
    shares = [share for one in earlier if (share := _share(one.exported, one.members, wanted=members)) is not None]
    share = _share(facts.exported, members, wanted=members)
    limited = is_limited(facts.request)
    if share is not None and len(shares) >= (_FEWEST_LIMITED if limited else _FEWEST):
        found = _unlike(share, shares[-_USUAL:], least_change)
        expected = round(median(shares[-_USUAL:]) * (members or 1))
        if found and max(expected, facts.exported) >= least_members:
            why = f"{facts.exported:,} profiles were exported, where {expected:,} are usual"
            return Doubt(fault=Fault.NOTHING if facts.exported == 0 else found, why=why, expected=expected)
        return None
    if members is None:
        return None
    if facts.exported == 0 and not limited and members >= least_members:
        return Doubt(fault=Fault.NOTHING, why=f"no profile was exported, of {members:,} members", expected=members)
    if facts.exported > members * _SURPLUS + least_members and "exited" not in facts.request.lower():
        why = f"{facts.exported:,} profiles were exported, but the evaluation counted only {members:,} members"
        return Doubt(fault=Fault.TOO_MANY, why=why, expected=members)
    return None


def _share(exported: int, members: int | None, *, wanted: int | None) -> float | None:
    """Return the share of the members that was exported; the plain count where this export's members are not known."""
    if wanted is None:
        return float(exported)
    return exported / members if members else None


def _unlike(share: float, usual: Sequence[float], least_change: float) -> Fault | None:
    """Return in which way the share is unlike those before; an order that wrote nothing before may do so again.

    It must lie beyond what medians allow, and beyond all that was written before but for one: an order that is limited
    in time writes now a little and now a lot.
    """
    written = sorted(math.log(one) for one in usual if one > 0)
    if share == 0:
        return Fault.NOTHING if len(written) == len(usual) else None
    if len(written) < _FEWEST:
        return None
    spare = 1 if len(written) > _SPARE_ABOVE else 0  # one of them may have been a fault
    level = median(written)
    width = max(math.log1p(least_change), _WIDTH * median(abs(one - level) for one in written))
    if math.log(share) < min(level - width, written[spare] - math.log1p(least_change)):
        return Fault.TOO_FEW
    if math.log(share) > max(level + width, written[-1 - spare] + math.log1p(least_change)):
        return Fault.TOO_MANY
    return None


def is_limited(request: str) -> bool:
    """Return whether an order asks for some of the members only, by a time (AEP contract 4.2)."""
    return any(word in request for word in ("segmentQualificationTime", "fromIngestTimestamp"))
