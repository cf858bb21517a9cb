"""Which failed exports are submitted again, and that none is twice, whatever becomes of the POST."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from house import EXPORTS, Daemon, House, Json, an_export, until
from inbox import Letter

pytestmark = pytest.mark.asyncio(loop_scope="module")

_RULES = [{"text": "schema", "action": "never"}]
_SCHEMA = [{"code": "7", "msg": "The schema does not fit"}]
_NUMBERS = count(1)


@dataclass
class Watched:
    house: House
    daemon: Daemon

    async def running(self, body: Json) -> str:
        """Return an export that runs before our eyes."""
        (job,) = await self.house.platform.place("export_job", ["PROCESSING", 600], ["FAILED", 0], body=body)
        await self.house.inbox.until("job.processing", job_id=job)
        return job

    async def failed(self, body: Json, errors: list[Json] | None = None) -> str:
        """Return an export that failed before our eyes."""
        job = await self.running(body)
        await self.house.platform.set_status("export_job", job, "FAILED", **({"errors": errors} if errors else {}))
        return job

    async def new_jobs(self, body: Json) -> list[str]:
        """Return the exports of this body that came through the platform's API."""
        return [
            str(one["id"]) for one in await self.house.platform.submissions() if one["body"]["fields"] == body["fields"]
        ]

    async def recovers(self, submitted: Letter) -> None:
        await self.house.platform.set_status("export_job", submitted.data["new_job_id"], "SUCCEEDED")
        await self.house.inbox.until("export.recovered", root=submitted.data["root"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    async with House(tmp_path_factory.mktemp("retries")) as house:
        daemon = await house.daemon(retry={"breaker_failures": 100, "max_per_day": 100, "rules": _RULES})
        await house.watching(daemon)
        yield Watched(house, daemon)


@pytest.fixture
def body() -> Json:
    """An export that is equal to no other one."""
    return an_export(fields=f"person.field{next(_NUMBERS)}")


async def test_what_a_rule_refuses_a_person_can_submit_beside_the_running_daemon(watched: Watched, body: Json) -> None:
    inbox = watched.house.inbox
    job = await watched.failed(body, _SCHEMA)
    refused = await inbox.until("export.retry_refused", job_id=job)
    assert refused.data["reason"] == "never"
    assert await watched.new_jobs(body) == []
    wish = await watched.house.command("jobs", "retry", job, "--json")
    assert (wish.code, wish.json["manual"]) == (0, True)
    submitted = await inbox.until("export.retry_submitted", job_id=job)
    assert [submitted.data["new_job_id"]] == await watched.new_jobs(body)
    await watched.recovers(submitted)
    again = await watched.house.command("jobs", "retry", job)
    assert (again.code, len(again.lines)) == (1, 1)


async def test_a_person_may_retry_while_no_daemon_runs_and_is_told_who_will_do_it(tmp_path: Path, body: Json) -> None:
    async with House(tmp_path) as house:
        daemon = await house.daemon(retry={"rules": _RULES})
        await house.watching(daemon)
        watched = Watched(house, daemon)
        job = await watched.failed(body, _SCHEMA)
        await house.inbox.until("export.retry_refused", job_id=job)
        assert await daemon.stop() == 0
        asked = await house.command("jobs", "retry", job)
        assert asked.code == 0
        assert asked.out.startswith(
            "no daemon runs with these settings: when it is started, with `segwatch run`, it will"
        )
        assert await watched.new_jobs(body) == []
        await house.daemon(retry={"rules": _RULES})
        await watched.recovers(await house.inbox.until("export.retry_submitted", job_id=job))
        assert len(await watched.new_jobs(body)) == 1


@pytest.mark.parametrize("word", ["FAILED", "CANCELLED"])
async def test_a_cancelled_export_is_told_as_cancelled_and_left_alone(watched: Watched, body: Json, word: str) -> None:
    house = watched.house
    (job,) = await house.platform.place("export_job", ["PROCESSING", 600], ["FAILED", 0], body=body)
    await house.inbox.until("job.processing", job_id=job)
    errors = [{"code": "unknown", "msg": "Job cancelled by user request."}]
    await house.platform.set_status("export_job", job, word, **({"errors": errors} if word == "FAILED" else {}))
    await house.inbox.until("job.cancelled", job_id=job)
    refused = await house.inbox.until("export.retry_refused", job_id=job)
    assert refused.data["reason"] == "cancelled"
    assert not house.inbox.letters("job.failed", job_id=job)
    await house.swept(watched.daemon)
    assert await watched.new_jobs(body) == []


async def test_an_export_is_not_repeated_while_a_newer_equal_one_runs(watched: Watched, body: Json) -> None:
    house = watched.house
    (old,) = await house.platform.place("export_job", ["PROCESSING", 600], ["FAILED", 0], body=body)
    (newer,) = await house.platform.place("export_job", ["PROCESSING", 600], ["SUCCEEDED", 0], body=body)
    await house.inbox.until_each("job.processing", [old, newer])
    await house.platform.set_status("export_job", old, "FAILED")
    refused = await house.inbox.until("export.retry_refused", job_id=old)
    assert refused.data["reason"] == "superseded"
    assert newer in refused.data["why"]
    assert await watched.new_jobs(body) == []


async def test_an_equal_export_that_somebody_else_submitted_is_adopted(watched: Watched, body: Json) -> None:
    house = watched.house
    job = await watched.failed(body)
    (theirs,) = await house.platform.place("export_job", ["PROCESSING", 600], ["SUCCEEDED", 0], body=body)
    adopted = await house.inbox.until("export.retry_adopted", job_id=job)
    assert adopted.data["new_job_id"] == theirs
    await watched.recovers(adopted)
    assert await watched.new_jobs(body) == []
    assert await watched.daemon.metric("segwatch_export_retries_total", result="adopted") >= 1


async def test_a_submission_whose_answer_was_lost_is_found_and_not_repeated(watched: Watched, body: Json) -> None:
    house = watched.house
    await house.platform.fault(EXPORTS, method="POST", fault={"accept_then_reset": True}, times=1)
    job = await watched.failed(body)
    submitted = await house.inbox.until("export.retry_submitted", job_id=job, within_s=15)
    assert submitted.data["settled_by"] == "look"
    assert [submitted.data["new_job_id"]] == await watched.new_jobs(body)
    await watched.recovers(submitted)
    assert len(await watched.new_jobs(body)) == 1


async def test_a_submission_that_never_arrived_is_refused_as_undecided_until_a_person_decides(
    watched: Watched, body: Json
) -> None:
    house = watched.house
    await house.platform.fault(EXPORTS, method="POST", fault={"reset": True}, times=1)
    job = await watched.failed(body)
    refused = await house.inbox.until("export.retry_refused", job_id=job, within_s=15)
    assert (refused.data["reason"], refused.data["severity"]) == ("undecided", "critical")
    assert await watched.new_jobs(body) == []
    assert (await house.command("jobs", "retry", job)).code == 0
    submitted = await house.inbox.until("export.retry_submitted", job_id=job)
    await watched.recovers(submitted)
    assert len(await watched.new_jobs(body)) == 1


async def test_a_lost_submission_that_shows_up_too_late_closes_the_failure_and_is_not_repeated(
    watched: Watched, body: Json
) -> None:
    house = watched.house
    job = await watched.running(body)
    await house.platform.fault(EXPORTS, method="POST", fault={"accept_then_reset": True}, times=1)
    await house.platform.set_status("export_job", job, "FAILED")

    async def posted() -> list[str]:
        return await watched.new_jobs(body)

    (new,) = await until(posted, "the submission")
    lagging = {"rewrite": {"records": [], "link": {"next": ""}}}
    await house.platform.fault(f"{EXPORTS}?*", method="GET", fault=lagging)
    refused = await house.inbox.until("export.retry_refused", job_id=job, within_s=15)
    assert refused.data["reason"] == "undecided"
    await house.platform.heal()
    await house.platform.set_status("export_job", new, "SUCCEEDED")
    submitted = await house.inbox.until("export.retry_submitted", job_id=job)
    assert (submitted.data["new_job_id"], submitted.data["settled_by"]) == (new, "look")
    await house.inbox.until("export.recovered", job_id=new)
    retried = await house.command("jobs", "retry", job)
    assert (retried.code, f"answered by job {new}" in retried.err) == (1, True)
    assert await watched.new_jobs(body) == [new]


async def test_a_record_that_echoes_less_than_was_ordered_does_not_widen_the_export(
    watched: Watched, body: Json
) -> None:
    house = watched.house
    job = await watched.running(body)
    less = {"rewrite": {"filter": None, "fields": None, "mergePolicy": None}}
    fault = await house.platform.fault(f"{EXPORTS}/{job}", method="GET", fault=less)
    await house.platform.set_status("export_job", job, "FAILED")
    submitted = await house.inbox.until("export.retry_submitted", job_id=job)
    (made,) = [one for one in await house.platform.submissions() if str(one["id"]) == submitted.data["new_job_id"]]
    assert made["body"]["filter"] == body["filter"]
    await house.platform.call("DELETE", f"/_emulator/faults/{fault}")
    await watched.recovers(submitted)


async def test_a_proposal_waits_for_a_person_and_off_does_nothing(watched: Watched, body: Json) -> None:
    house, daemon = watched.house, watched.daemon
    before = house.config.read_text()
    try:
        house.write(retry={"mode": "propose", "breaker_failures": 100})
        assert (await daemon.reload())[0] == 200
        job = await watched.failed(body)
        proposed = await house.inbox.until("export.retry_scheduled", job_id=job)
        assert proposed.data["mode"] == "propose"
        await house.swept(daemon)
        assert await watched.new_jobs(body) == []
        assert (await house.command("jobs", "retry", job)).code == 0
        await watched.recovers(await house.inbox.until("export.retry_submitted", job_id=job))

        house.write(retry={"mode": "off", "breaker_failures": 100})
        assert (await daemon.reload())[0] == 200
        other = an_export(fields="mode.off")
        job = await watched.failed(other)
        await house.inbox.until("job.failed", job_id=job)
        await house.swept(daemon)
        assert house.inbox.types(job_id=job)[-1] == "job.failed"
        assert await watched.new_jobs(other) == []
    finally:
        house.config.write_text(before)
        await daemon.reload()


@pytest.mark.parametrize("fault", [{"accept_then_reset": True}, {"status": 503}], ids=["lost-answers", "declined"])
async def test_of_many_held_answers_one_is_tried_also_while_its_fate_is_unknown(
    tmp_path_factory: pytest.TempPathFactory, fault: Json
) -> None:
    async with House(tmp_path_factory.mktemp("held")) as house:
        daemon = await house.daemon(retry={"breaker_failures": 4, "settle_window": "20s"})
        await house.watching(daemon)
        await house.platform.fault(f"{EXPORTS}*", method="POST", fault=fault)
        bodies = [an_export(fields=f"person.held{number}") for number in range(6)]
        placed = [await house.platform.place("export_job", ["PROCESSING", 600], body=body) for body in bodies]
        jobs = [job for (job,) in placed]
        await house.inbox.until_each("job.processing", jobs)
        for job in jobs:
            await house.platform.set_status("export_job", job, "FAILED")
        await house.inbox.until_each("job.failed", jobs)
        await house.inbox.until("export.retries_held")

        async def posted() -> bool:
            return await house.platform.requests(f"POST {EXPORTS}") > 0

        await until(posted, "the one that is tried", within_s=20.0)
        await house.swept(daemon, times=3)
        assert await house.platform.requests(f"POST {EXPORTS}") == 1
        told = [(await house.command("jobs", "explain", job, "--json")).json for job in jobs]
        assert all(one["breaker"]["condition"] == "held" for one in told)
        waiting = [one["why"][0] for one in told if one["retry"]["step"] == "scheduled"]
        assert len(waiting) == 5
        assert all("is held since" in why for why in waiting)
        (tried,) = (one["why"][0] for one in told if one["retry"]["step"] != "scheduled")
        assert ("answered with an error" if "status" in fault else "was submitted as") in tried
