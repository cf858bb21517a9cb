"""What the sentinel makes of sweeps: since when a sandbox does not answer."""

from dataclasses import dataclass, field

import pytest
from builders import T0, at

from segwatch.daemon.sentinel import SWEEPS, Sentinel
from segwatch.jobs.events import Event
from segwatch.jobs.subject import SubjectState
from segwatch.store.base import StoreUnavailable
from segwatch.telemetry.health import Readiness
from segwatch.telemetry.metrics import Metrics
from segwatch.upstream.errors import Fate, Unauthorized, Unavailable

DOWN = Unavailable("503 Service Unavailable", fate=Fate.ANSWERED, reason="http_503", status=503)
REFUSED = Unauthorized("403 Profile is not valid", fate=Fate.ANSWERED, reason="http_403", status=403)
FULL = StoreUnavailable("the disk is full")


@dataclass
class Records:
    """A recorder and a store in one, which keep what is written and told of the sandbox."""

    sandbox = "prod"
    said: SubjectState | None = None
    told: list[Event] = field(default_factory=list)
    time = T0

    def now(self):
        return self.time

    async def subject(self, stream: str) -> SubjectState | None:
        return self.said

    async def write(self, decide) -> None:
        for change in await decide():
            self.said = change.subject
            self.told += change.events


async def replay(*sweeps, readiness=None):
    """Let sweeps happen, each a minute after the one before and 20 seconds long; return what was told."""
    records = Records()
    sentinel = Sentinel(records, records, records, Metrics(), readiness or Readiness())
    for minute, (kind, error) in enumerate(sweeps):
        records.time = at(minute, second=20)
        if error:
            await sentinel.failed(kind, error, at(minute))
        else:
            await sentinel.answered(kind, at(minute))
    return [(event.type.value, event.details["since"][11:19]) for event in records.told]


EXPORTS, SEGMENTS = "export_job", "segment_job"


@pytest.mark.parametrize(
    ("error", "type_"), [(DOWN, "sandbox.unreachable"), (REFUSED, "sandbox.unauthorized")], ids=["503", "403"]
)
async def test_an_outage_lasts_since_its_own_first_failed_sweep(error, type_):
    outage = [(EXPORTS, error)] * 3 + [(EXPORTS, None)]
    assert await replay(*outage, *outage) == [
        (type_, "03:00:00"), ("sandbox.recovered", "03:00:00"), (type_, "03:04:00"), ("sandbox.recovered", "03:04:00"),
    ]  # fmt: skip


async def test_an_outage_of_several_kinds_lasts_since_the_first_of_them_failed():
    sweeps = [(SEGMENTS, DOWN), (EXPORTS, DOWN), (EXPORTS, DOWN), (EXPORTS, DOWN)]
    assert await replay((SEGMENTS, None), *sweeps) == [("sandbox.unreachable", "03:01:00")]


async def test_a_kind_that_answers_again_does_not_count_for_the_next_outage():
    sweeps = [(SEGMENTS, DOWN), (SEGMENTS, None), *[(EXPORTS, DOWN)] * 3]
    assert await replay(*sweeps) == [("sandbox.unreachable", "03:02:00")]


async def test_trouble_of_our_own_store_is_none_of_the_sandbox():
    assert await replay(*[(EXPORTS, FULL)] * 9) == []


@pytest.mark.parametrize("then", [None, DOWN], ids=["recorded", "not-answered"])
async def test_what_a_sweep_saw_and_nobody_could_record_keeps_us_from_being_ready(then):
    """The probe of the store writes some bytes, for which there may be room."""
    readiness = Readiness()
    readiness.ok("start")
    await replay((EXPORTS, FULL), (SEGMENTS, None), readiness=readiness)
    assert readiness.problems() == {"sweeps of prod/export_job": "the disk is full"}
    await replay((EXPORTS, then), readiness=readiness)
    assert readiness.problems() == {}


async def test_what_is_not_watched_any_more_keeps_nobody_from_being_ready():
    readiness = Readiness()
    await replay((EXPORTS, FULL), readiness=readiness)
    readiness.forget(SWEEPS)
    assert readiness.problems() == {"start": "still starting"}
