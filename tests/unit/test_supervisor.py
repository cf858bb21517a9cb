"""How long a worker may be silent, and what becomes of one that fails."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from fakes import FakeClock
from structlog.testing import capture_logs

from segwatch.daemon.clock import SystemClock
from segwatch.daemon.supervisor import Supervisor, Worker
from segwatch.telemetry.health import Heartbeats


@pytest.mark.parametrize(
    ("silent_s", "stale"), [pytest.param(170.0, [], id="patient"), pytest.param(190.0, ["reader"], id="wedged")]
)
async def test_a_worker_that_waits_for_others_may_be_silent_for_as_long_as_they_may_take(silent_s, stale):
    now = [0.0]
    hearts = Heartbeats(monotonic=lambda: now[0])
    supervisor = Supervisor(SystemClock(), hearts, on_restart=lambda worker: None)

    async def run(beat) -> None:
        beat()
        await asyncio.Event().wait()

    supervisor.start(Worker(name="reader", run=run, within_s=180))
    await asyncio.sleep(0)
    now[0] = silent_s
    assert [one.worker for one in hearts.stale()] == stale
    await supervisor.stop()
    assert hearts.stale() == []


@dataclass
class House:
    """A supervisor on a hand-moved clock. runs: when each worker was started, in seconds from the beginning."""

    clock: FakeClock
    supervisor: Supervisor
    hearts: Heartbeats
    restarts: list[str]
    runs: dict[str, list[float]] = field(default_factory=dict)

    def start(self, name: str, *, after_s: float = 0.0, ends: BaseException | None = None) -> None:
        """Keep a worker running that after so many seconds fails, or with `ends=None` returns."""
        times = self.runs.setdefault(name, [])

        async def run(beat) -> None:
            times.append(self.clock.ran_s())
            await self.clock.sleep(after_s)
            if ends:
                raise ends

        self.supervisor.start(Worker(name=name, run=run))

    def waits(self, name: str, *, ran_s: float = 0.0) -> list[float]:
        """Return how long each restart was waited for."""
        times = self.runs[name]
        return [later - earlier - ran_s for earlier, later in pairwise(times)]


@pytest.fixture
async def house():
    clock, restarts = FakeClock(), []
    hearts = Heartbeats(monotonic=clock.ran_s)
    one = House(clock, Supervisor(clock, hearts, on_restart=restarts.append), hearts, restarts)
    with capture_logs():  # to lay out a hundred tracebacks takes long
        yield one
        await one.supervisor.stop()


async def test_a_worker_that_fails_is_started_again_and_takes_no_other_with_it(house):
    house.start("good", after_s=3600)
    house.start("bad", ends=RuntimeError("unforeseen"))
    await house.clock.advance(seconds=0.2)
    assert (len(house.runs["bad"]), house.restarts) == (1, ["bad"])
    await house.clock.advance(seconds=0.3)
    assert len(house.runs["bad"]) == 2
    assert len(house.runs["good"]) == 1


async def test_the_wait_for_a_restart_doubles_up_to_half_a_minute(house):
    house.start("bad", ends=RuntimeError("unforeseen"))
    await house.clock.advance(minutes=5)
    longest = [min(30.0, 0.5 * 2**n) for n in range(100)]
    waits = house.waits("bad")
    assert len(waits) >= 10
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=False)), waits


async def test_a_worker_that_was_well_for_a_minute_is_started_again_as_after_its_first_failure(house):
    house.start("steady", after_s=60, ends=RuntimeError("unforeseen"))
    await house.clock.advance(minutes=10)
    waits = house.waits("steady", ran_s=60)
    assert len(waits) >= 8
    assert max(waits) <= 0.5


async def test_who_waits_to_be_started_again_is_no_dead_worker(house):
    house.start("bad", ends=RuntimeError("unforeseen"))
    for _ in range(30):
        await house.clock.advance(seconds=10)
        assert house.hearts.stale() == []


async def test_a_worker_whose_work_is_done_stays_away_until_its_name_is_started_anew(house):
    house.start("poller")
    await house.clock.advance(minutes=5)
    assert (len(house.runs["poller"]), house.restarts, house.hearts.stale()) == (1, [], [])
    house.start("poller")
    await house.clock.advance(seconds=1)
    assert len(house.runs["poller"]) == 2


async def test_a_worker_that_is_stopped_while_it_waits_to_be_started_again_stays_stopped(house):
    house.start("sandbox:prod", ends=RuntimeError("unforeseen"))
    house.start("channel:ops", ends=RuntimeError("unforeseen"))
    await house.clock.advance(seconds=0.1)
    await house.supervisor.stop("sandbox:")
    await house.clock.advance(seconds=1)
    assert len(house.runs["sandbox:prod"]) == 1
    assert len(house.runs["channel:ops"]) > 1
