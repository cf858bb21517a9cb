"""What scripts write to have something computed: evaluations, exports, schedules, profiles that are lost."""

from dataclasses import dataclass
from typing import Any

from segwatch.emulator import seed
from segwatch.emulator.api.schedules import schedule_request
from segwatch.emulator.control.orders import Order
from segwatch.emulator.engine import Kind
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.sandbox import ALL_SEGMENTS
from segwatch.emulator.settings import Json

_PAST_DAYS = 15
_PAST_DAYS_MAX = 90  # as far back as events go


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """`POST /_emulator/evaluations` and `/exports`. body: as the platform's callers write it; None: the usual."""

    kind: Kind
    sandbox: str
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPast:
    """`POST /_emulator/history`. days: how many, up to yesterday. body: as callers of the platform write it."""

    days: int
    sandbox: str
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlan:
    """`POST /_emulator/schedules`: the fields of the platform's own schedules, and the sandbox."""

    sandbox: str
    asked: Json

    @property
    def segments(self) -> list[str]:
        """Return the ids of the segments that it names."""
        return [one for one in self.asked["properties"]["segments"] if one != ALL_SEGMENTS]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """`POST /_emulator/profiles`. lose: a share (0 to 1) of a segment's members, or of all; None gives all back."""

    sandbox: str
    lose: float | None
    segment_id: str | None


def new_evaluation(body: Any) -> NewRun:
    order = Order(body, "segments", "sandbox", what="The body")
    return NewRun(kind=Kind.SEGMENT_JOB, sandbox=order.sandbox(), body=_evaluation(order))


def new_past(body: Any) -> NewPast:
    order = Order(body, "days", "segments", "sandbox", what="The body")
    days = order.whole("days", least=1, most=_PAST_DAYS_MAX)
    return NewPast(days=_PAST_DAYS if days is None else days, sandbox=order.sandbox(), body=_evaluation(order))


def _evaluation(order: Order) -> Json:
    return {"schema": {"name": seed.PROFILE_SCHEMA}, "segments": [{"segmentId": one} for one in _segments(order)]}


def new_export(body: Any) -> NewRun:
    order = Order(body, "body", "sandbox", what="The body")
    asked = order.value("body")
    if asked is not None and not isinstance(asked, dict):
        raise ServiceError(400, "body is not an object. Write what POST /export/jobs takes, or leave it out.")
    return NewRun(kind=Kind.EXPORT_JOB, sandbox=order.sandbox(), body=asked)


def new_plan(body: Any) -> NewPlan:
    order = Order(body, "name", "type", "schedule", "segments", "state", "sandbox", what="The body")
    asked = {
        "name": order.value("name"),
        "type": order.text("type", "batch_segmentation"),
        "properties": {"segments": _segments(order)},
        "schedule": order.value("schedule"),
        "state": order.text("state", "active"),
    }
    return NewPlan(sandbox=order.sandbox(), asked=schedule_request(asked))


def _segments(order: Order) -> list[str]:
    asked = order.value("segments")
    if asked is None:
        return [ALL_SEGMENTS]
    if not isinstance(asked, list) or not asked or not all(isinstance(one, str) and one for one in asked):
        raise ServiceError(400, f'segments is {asked!r}. Write a list of ids, or ["*"] for all.')
    return asked


def new_skip(body: Any) -> int:
    """Return how many of the next firings are left out."""
    return Order(body, "times", what="The body").whole("times", least=1) or 1


def profile_change(body: Any) -> ProfileChange:
    order = Order(body, "lose", "restore", "segment_id", "sandbox", what="The body")
    lose = order.number("lose", most=1.0)
    if (lose is None) != order.flag("restore"):
        raise ServiceError(400, "Write either lose, a share from 0 to 1, or restore = true.")
    segment_id = order.text("segment_id") if "segment_id" in order else None
    if lose is None and segment_id is not None:
        raise ServiceError(400, "restore gives everybody back. Leave segment_id out.")
    return ProfileChange(sandbox=order.sandbox(), lose=lose, segment_id=segment_id)


def scenario_name(body: Any, known: list[str]) -> str:
    """Return which scenario of those that come along is to be played."""
    name = Order(body, "name", what="The body").text("name")
    if name not in known:
        raise ServiceError(400, f"name is {name!r}. Scenarios that come along: {', '.join(known)}.")
    return name
