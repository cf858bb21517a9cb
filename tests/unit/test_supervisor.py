"""How long a worker may be silent."""

import asyncio

import pytest

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
