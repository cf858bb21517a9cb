"""What the daemon notices by itself: audiences, schedules, what takes too long, what cannot be right."""

import base64
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import pytest_asyncio
from house import EXPORTS, SEGMENT, Daemon, House, an_export, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

_FAST = {
    "schedules_interval": "1s", "schedule_grace": "2s", "audience_least": 1, "flapping_times": 2, "token_warning": "1h",
}  # fmt: skip
_NUMBERS = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("detectors")
    async with House(folder, emulator=["--speed", "600", "--size", "2000"]) as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(house: House) -> Daemon:
    daemon = await house.daemon(detectors=_FAST, retry={"first_delay": "1s", "max_delay": "1s", "breaker_failures": 99})
    await house.watching(daemon)
    return daemon


async def evaluated(house: House) -> dict[str, int]:
    """Let the platform evaluate, and return the members of each segment."""
    job = (await house.platform.json("POST", "/_emulator/evaluations", {}))["id"]
    letter = await house.inbox.until("job.succeeded", job_id=job, within_s=20)
    return letter.data["profiles"]


@pytest.mark.usefixtures("daemon")
async def test_an_audience_that_empties_is_told_before_anybody_exports_it_and_again_when_it_is_back(house: House):
    for _ in range(8):
        members = await evaluated(house)
    assert members[SEGMENT] > 10
    await house.platform.json("POST", "/_emulator/profiles", {"lose": 1.0, "segment_id": SEGMENT})
    assert (await evaluated(house))[SEGMENT] == 0
    told = await house.inbox.until("audience.anomaly", segment=SEGMENT)
    assert (told.data["reason"], told.data["severity"], told.data["expected"]) == (
        "empty",
        "critical",
        members[SEGMENT],
    )
    await house.platform.json("POST", "/_emulator/profiles", {"restore": True})
    await evaluated(house)
    assert (await house.inbox.until("audience.recovered", segment=SEGMENT)).data["reason"] == "back"
    assert len(house.inbox.letters("audience.anomaly", segment=SEGMENT)) == 1


async def test_a_job_that_takes_longer_than_such_jobs_do_is_told_while_it_runs(house: House, daemon: Daemon):
    body = an_export(fields="person.slow")
    for _ in range(8):
        (job,) = await house.platform.place("export_job", ["PROCESSING", 60], ["SUCCEEDED", 0], body=body)
        await house.inbox.until("job.succeeded", job_id=job)
    (slow,) = await house.platform.place("export_job", ["PROCESSING", 36000], ["SUCCEEDED", 0], body=body)
    told = await house.inbox.until("job.overdue", job_id=slow, within_s=20)
    assert (told.data["reason"], told.data["runs"], told.data["status"]) == ("usual", 8, "PROCESSING")
    assert told.data["usual_s"] <= told.data["p95_s"] <= told.data["limit_s"]
    await house.platform.set_status("export_job", slow, "SUCCEEDED")
    await house.inbox.until("job.succeeded", job_id=slow)
    assert len(house.inbox.letters("job.overdue", job_id=slow)) == 1


@pytest.mark.usefixtures("daemon")
async def test_an_export_of_more_profiles_than_were_counted_is_told(house: House):
    members = (await evaluated(house))[SEGMENT]
    (job,) = await house.platform.place(
        "export_job", ["PROCESSING", 60], ["SUCCEEDED", 0], body=an_export(fields="a.b")
    )
    told = await house.inbox.until("export.implausible", job_id=job, within_s=20)
    assert (told.data["reason"], told.data["severity"], told.data["expected"]) == ("too_many", "critical", members)
    assert told.data["exported"] > members


@pytest.mark.usefixtures("daemon")
async def test_a_schedule_that_does_not_fire_is_told_and_so_is_one_that_was_disabled(house: House):
    soon = datetime.now(UTC) + timedelta(seconds=8)  # by our clock; in the emulated time this is another day
    cron = f"{soon.second} {soon.minute} {soon.hour} * * ?"
    order = {"name": "nightly", "schedule": cron, "type": "batch_segmentation"}
    made = await house.platform.json("POST", "/_emulator/schedules", order)
    told = await house.inbox.until("schedule.missed", schedule=made["id"], within_s=30)
    assert (told.data["name"], told.data["kind"], told.data["cron"]) == ("nightly", "segment_job", cron)
    ended = await house.command("schedules", "disable", made["id"])
    assert ended.code == 0, ended.err
    changed = await house.inbox.until("schedule.changed", schedule=made["id"], within_s=20)
    assert (changed.data["reason"], changed.data["severity"]) == ("disabled", "warning")
    assert (await house.inbox.until("schedule.recovered", schedule=made["id"])).data["reason"] == "disabled"


@pytest.mark.usefixtures("daemon")
async def test_what_fails_and_recovers_again_and_again_is_told_as_a_habit(house: House):
    for end in ("FAILED", "SUCCEEDED") * 2:
        (job,) = await house.platform.place("segment_job", ["PROCESSING", 60], [end, 0])
        await house.inbox.until(f"job.{end.lower()}", job_id=job)
    told = await house.inbox.until("flapping.started", kind="segment_job")
    assert (told.data["times"], told.data["sandbox"], told.data["last_job_id"]) == (2, "prod", job)


@pytest.mark.usefixtures("daemon")
async def test_an_unknown_status_is_loud_once_a_day_and_an_unreadable_row_is_told_once(house: House):
    first, second = await house.platform.place("export_job", ["PAUSED", 36000], count=2)
    letters = [await house.inbox.until("job.unknown_status", job_id=job) for job in (first, second)]
    assert sorted(letter.data["severity"] for letter in letters) == ["info", "warning"]
    for job in (first, second):
        await house.platform.set_status("export_job", job, "SUCCEEDED")
    await house.platform.fault(f"{EXPORTS}?*", method="GET", fault={"rewrite": {"records": {"0": 1}}}, times=3)
    told = await house.inbox.until("sandbox.unknown_reply", within_s=20)
    assert told.data["sandbox"] == "prod"
    assert told.data["why"]


async def test_a_token_in_a_file_is_told_before_it_ends(tmp_path):
    def token(ends_in_s: float) -> str:
        claims = json.dumps({"exp": int(time.time() + ends_in_s)}).encode()
        return f"h.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.s"

    async with House(tmp_path) as house:
        place = tmp_path / "token"
        place.write_text(token(1800))
        sandbox = house.sandbox("prod", access_token_file=str(place))
        del sandbox["client_secret"]
        daemon = await house.daemon(sandboxes=[sandbox])
        told = await house.inbox.until("credential.expiring", within_s=20)
        assert 1500 < told.data["left_s"] <= 1800
        place.write_text(token(86400))
        await house.inbox.until("credential.renewed", within_s=20)
        assert await daemon.metric("segwatch_token_expiry_timestamp_seconds", sandbox="prod") > time.time() + 80000


async def test_an_anomaly_is_not_told_again_after_a_kill_and_what_ended_meanwhile_is_closed(tmp_path):
    async with House(tmp_path, emulator=["--speed", "600", "--size", "2000"]) as house:
        daemon = await house.daemon(detectors=_FAST)
        await house.watching(daemon)
        for _ in range(7):
            await evaluated(house)
        await house.platform.json("POST", "/_emulator/profiles", {"lose": 1.0, "segment_id": SEGMENT})
        await evaluated(house)
        await house.inbox.until("audience.anomaly", segment=SEGMENT)
        await daemon.kill()
        await house.platform.json("POST", "/_emulator/profiles", {"restore": True})
        job = (await house.platform.json("POST", "/_emulator/evaluations", {}))["id"]

        async def ended() -> bool:
            return (await house.platform.jobs())[str(job)]["status"] == "SUCCEEDED"

        await until(ended, "the evaluation ends while nobody watches", within_s=20)
        await house.daemon()
        await house.inbox.until("audience.recovered", segment=SEGMENT, within_s=20)
        assert len(house.inbox.letters("audience.anomaly", segment=SEGMENT)) == 1
