"""The platform misbehaves in every way we know of, and the one daemon beside it catches up and tells the truth."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from house import EXPORTS, Daemon, House, an_export, until
from receiver import RESET, Answer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Watched:
    house: House
    daemon: Daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """One house for all tests of this file: what one fault leaves behind would show in the next."""
    async with House(tmp_path_factory.mktemp("faults")) as house:
        daemon = await house.daemon(
            platform={"timeout": "1s"}, polling={"reconcile_interval": "3s"}, retry={"breaker_failures": 100}
        )
        await house.watching(daemon)
        yield Watched(house, daemon)


@dataclass(frozen=True)
class Trouble:
    """A fault, the code under which its calls are counted, and words of the log line that tells of it."""

    fault: dict[str, Any]
    code: str
    says: str
    times: int = 3
    extra: dict[str, Any] = field(default_factory=dict)


TROUBLES = {
    "503": Trouble({"status": 503}, "503", "503"),
    "502-in-html": Trouble({"status": 502, "body": "<html>Bad Gateway</html>"}, "502", "502"),
    "garbage": Trouble({"garbage": True}, "200", "not JSON"),
    "cut-json": Trouble({"truncate": 60}, "200", "not JSON"),
    "an-error-with-200": Trouble(
        {"status": 200, "body": '{"error_code":"500000","message":"Something went wrong."}'}, "200", "is an error"
    ),
    "a-list-that-is-none": Trouble({"rewrite": {"children": {}, "records": 7}}, "200", "cannot read"),
    "resets": Trouble({"reset": True}, "disconnected", "sweep_failed", times=6),
    "no-answer": Trouble({"delay_s": 3}, "timeout", "no answer in time", times=2),
    "a-crawling-answer": Trouble({"slow_bytes_per_s": 20}, "timeout", "no answer in time", times=2),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
async def test_whatever_a_read_meets_is_logged_counted_and_caught_up_with(watched: Watched, trouble: Trouble) -> None:
    house, daemon = watched.house, watched.daemon
    jobs = await house.platform.place("export_job", ["PROCESSING", 1], ["SUCCEEDED", 0], body=an_export())
    jobs += await house.platform.place("segment_job", ["QUEUED", 1], ["FAILED", 0])
    said = len(daemon.process.logged("sweep_failed"))
    counted = await daemon.metric("segwatch_api_requests_total", sandbox="prod", code=trouble.code)
    unreadable = await daemon.metric("segwatch_parse_errors_total")

    await house.platform.fault(fault=trouble.fault, times=trouble.times, method="GET")

    async def told() -> list[Any]:
        return daemon.process.logged("sweep_failed")[said:]

    lines = await until(told, "a sweep that failed")
    assert trouble.says in str(lines[0])
    assert await daemon.is_healthy()
    assert await daemon.is_ready()
    await house.inbox.until_each("job.succeeded", jobs[:1], within_s=15)
    await house.inbox.until_each("job.failed", jobs[1:], within_s=15)
    await daemon.until_metric(1, "segwatch_up", sandbox="prod")
    if trouble.code != "disconnected":  # how a reset shows depends on who notices it first
        assert await daemon.metric("segwatch_api_requests_total", sandbox="prod", code=trouble.code) > counted
    if trouble.code == "200":
        assert await daemon.metric("segwatch_parse_errors_total") > unreadable


async def test_a_platform_that_is_away_is_told_once_and_so_is_its_return(watched: Watched) -> None:
    house, daemon = watched.house, watched.daemon
    seen = len(house.inbox.letters("sandbox.unreachable"))
    fault = await house.platform.fault("*", fault={"status": 503})
    job, *_ = await house.platform.place("export_job", ["PROCESSING", 0.5], ["SUCCEEDED", 0], body=an_export())
    await house.inbox.until_true(lambda: len(house.inbox.letters("sandbox.unreachable")) > seen, "it is unreachable")
    assert await daemon.metric("segwatch_up", sandbox="prod") == 0
    assert await daemon.is_healthy()
    assert await daemon.is_ready()
    await house.platform.call("DELETE", f"/_emulator/faults/{fault}")
    recovered = await house.inbox.until("sandbox.recovered", within_s=20)
    assert "since" in recovered.data
    await house.inbox.until_each("job.succeeded", [job])
    await daemon.until_metric(1, "segwatch_up", sandbox="prod")
    assert len(house.inbox.letters("sandbox.unreachable")) == seen + 1


async def test_a_storm_of_401_asks_for_a_token_once_a_second_at_most(watched: Watched) -> None:
    house, daemon = watched.house, watched.daemon
    before = (await house.platform.ledger())["tokens_issued"]
    refusal = '{"error_code":"401013","message":"Oauth token is not valid"}'
    fault = await house.platform.fault(fault={"status": 401, "body": refusal})
    jobs = await house.platform.place("segment_job", ["QUEUED", 0.5], ["SUCCEEDED", 0], count=5)
    began = house.session._loop.time()
    told = len(house.inbox.letters("sandbox.unauthorized"))
    await house.inbox.until_true(lambda: len(house.inbox.letters("sandbox.unauthorized")) > told, "it is unauthorized")
    seconds = house.session._loop.time() - began
    issued = (await house.platform.ledger())["tokens_issued"] - before
    assert 1 <= issued <= seconds + 2
    await house.platform.call("DELETE", f"/_emulator/faults/{fault}")
    await house.inbox.until_each("job.succeeded", jobs, within_s=20)
    await daemon.until_metric(1, "segwatch_up", sandbox="prod")


async def test_a_token_that_expired_early_is_renewed_without_a_failed_sweep(watched: Watched) -> None:
    house, daemon = watched.house, watched.daemon
    await house.swept(daemon, times=1)
    failed = len(daemon.process.logged("sweep_failed"))
    before = (await house.platform.ledger())["tokens_issued"]
    await house.platform.json("POST", "/_emulator/tokens/expire")
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 0.5], ["SUCCEEDED", 0])
    await house.inbox.until_each("job.succeeded", [job])
    assert (await house.platform.ledger())["tokens_issued"] == before + 1
    assert len(daemon.process.logged("sweep_failed")) == failed
    assert await daemon.metric("segwatch_token_expiry_timestamp_seconds", sandbox="prod") > 0


async def test_a_429_halves_the_call_budget_and_its_retry_after_is_obeyed(watched: Watched) -> None:
    house, daemon = watched.house, watched.daemon
    full = await daemon.metric("segwatch_api_budget_requests_per_second", sandbox="prod")
    await house.platform.fault(fault={"status": 429, "headers": {"Retry-After": "2"}}, times=1, method="GET")
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 0.5], ["SUCCEEDED", 0])

    async def halved() -> bool:
        return await daemon.metric("segwatch_api_budget_requests_per_second", sandbox="prod") < 0.6 * full

    await until(halved, "a smaller budget")
    await house.inbox.until_each("job.succeeded", [job], within_s=15)
    assert await daemon.metric("segwatch_api_requests_total", sandbox="prod", code="429") >= 1


async def test_a_word_that_no_document_names_is_told_once_and_watched_to_its_end(watched: Watched) -> None:
    house, daemon = watched.house, watched.daemon
    script = (["NEW", 0.5], ["HIBERNATING", 3], ["SUCCEEDED", 0])
    (job,) = await house.platform.place("export_job", *script, body=an_export())
    unknown = await house.inbox.until("job.unknown_status", job_id=job)
    assert unknown.data["status"] == "HIBERNATING"
    await house.inbox.until("job.succeeded", job_id=job)
    assert house.inbox.types(job_id=job).count("job.unknown_status") == 1
    assert await daemon.metric("segwatch_job_transitions_total", kind="export_job", status="UNKNOWN") >= 1


async def test_slow_answers_below_the_limit_are_no_failure(watched: Watched) -> None:
    house, daemon = watched.house, watched.daemon
    await house.swept(daemon, times=1)
    failed = len(daemon.process.logged("sweep_failed"))
    await house.platform.fault(fault={"delay_s": 0.4}, times=4)
    (job,) = await house.platform.place("export_job", ["PROCESSING", 1], ["SUCCEEDED", 0], body=an_export())
    await house.inbox.until_each("job.succeeded", [job])
    assert len(daemon.process.logged("sweep_failed")) == failed


async def test_a_post_that_is_declined_is_made_again_later_and_only_once(watched: Watched) -> None:
    house = watched.house
    before = len(await house.platform.submissions())
    await house.platform.fault(EXPORTS, method="POST", fault={"status": 503}, times=1)
    body = an_export(fields="declined.once")
    (failed,) = await house.platform.place("export_job", ["FAILED", 0], body=body)
    submitted = await house.inbox.until("export.retry_submitted", job_id=failed, within_s=20)
    await house.platform.set_status("export_job", submitted.data["new_job_id"], "SUCCEEDED")
    await house.inbox.until("export.recovered", root=failed)
    assert len(await house.platform.submissions()) == before + 1


async def test_a_bad_network_on_both_sides_loses_nothing(watched: Watched) -> None:
    house, daemon = watched.house, watched.daemon
    for fault in ({"status": 503}, {"reset": True}, {"truncate": 200}, {"garbage": True}, {"delay_s": 0.3}):
        await house.platform.fault("/data/core/ups/*", fault=fault, probability=0.12, seconds=4)
    house.inbox.answer("events", *[Answer(status=503), RESET, Answer(), Answer()] * 15)
    jobs: dict[str, str] = {}
    for number in range(24):
        word = "SUCCEEDED" if number % 3 else "FAILED"
        script = (["NEW", 0.1 * number], ["QUEUED", 0.07 * number], ["PROCESSING", 0.13 * number], [word, 0])
        (job,) = await house.platform.place("segment_job", *script)
        jobs[job] = f"job.{word.lower()}"
    for type_ in ("job.succeeded", "job.failed"):
        await house.inbox.until_each(type_, [job for job in jobs if jobs[job] == type_], within_s=30)
    for job, type_ in jobs.items():
        assert house.inbox.types(job_id=job)[-1] == type_
        assert len(house.inbox.types(job_id=job)) == len(set(house.inbox.types(job_id=job)))
    await daemon.until_metric(1, "segwatch_up", sandbox="prod")
    assert await daemon.metric("segwatch_worker_restarts_total") == 0
    assert daemon.process.logged("worker_failed") == []
