"""A directory that keeps the platform's data: what it was made with, and what was deleted, stay as they were."""

import pytest
from emulator_fixtures import DEFINITIONS, SEGMENT, emulating, until

from segwatch.emulator.server import ArchiveError


async def made(folder, **settings):
    """Have a directory made, and wait until it says with what."""
    async with emulating(data=folder, prepared=True, **settings) as platform:
        await platform.control("evaluations", {"segments": [SEGMENT]})

        async def is_over():
            jobs = (await platform.control("state", method="GET"))["jobs"]
            return any(job["status"] in ("SUCCEEDED", "FAILED") for job in jobs)

        await until(is_over)


async def total(platform):
    job_id = (await platform.control("evaluations", {"segments": [SEGMENT]}))["id"]
    await platform.until_status(job_id, "SUCCEEDED")
    return (await platform.get(f"/data/core/ups/segment/jobs/{job_id}"))["metrics"]["totalProfiles"]


async def test_a_directory_keeps_its_seed_and_size_whatever_is_not_demanded(tmp_path):
    await made(tmp_path, seed=3, size=50, speed=20_000)
    async with emulating(data=tmp_path, size=70, speed=20_000) as platform:
        assert (await platform.control("state", method="GET"))["settings"]["seed"] == 3
        assert await total(platform) == 50
        await platform.control("reset", {})
    async with emulating(data=tmp_path, seed=3, speed=20_000, demanded={"seed"}) as platform:
        assert await total(platform) == 50


async def test_other_profiles_than_those_that_are_there_are_refused_in_one_line(tmp_path):
    own = tmp_path / "own.ndjson"
    own.write_text('{"identityMap": {"email": [{"id": "a@example.org"}]}}\n')
    await made(tmp_path / "one", seed=3, size=50, speed=20_000)
    await made(tmp_path / "own", profiles=own, speed=20_000)
    for folder, settings, said in (
        ("one", {"seed": 4}, "was made with --seed 3 --size 50, not with --seed 4. Leave that out, or"),
        ("one", {"seed": 3, "size": 60}, "not with --size 60."),
        ("one", {"profiles": own}, f"not with --profiles {own}."),
        ("own", {"profiles": tmp_path / "others.ndjson"}, f"was made with --seed 0 --profiles {own}, not with"),
    ):
        for _ in range(2):  # the refusal lets the directory go
            with pytest.raises(ArchiveError) as refused:
                async with emulating(data=tmp_path / folder, demanded=frozenset(settings), **settings):
                    pass
            assert said in str(refused.value)
            assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("file", "said"), [("platform.sqlite3", "platform.sqlite3: file is not a database."), ("", "File exists.")]
)
async def test_a_directory_that_cannot_be_used_is_refused_in_one_line(tmp_path, file, said):
    folder = tmp_path / "data"
    if file:
        folder.mkdir()
    (folder / file).write_text("no database, by far" * 100)
    for _ in range(2):  # the refusal lets the directory go
        with pytest.raises(ArchiveError) as refused:
            async with emulating(data=folder):
                pass
        assert str(refused.value) == f"{folder} cannot hold the platform's data: {said} Choose another directory."


async def test_data_that_cannot_be_opened_fails_jobs_and_requests_and_says_why(tmp_path):
    (tmp_path / "lake.duckdb").write_text("no database, by far" * 100)
    async with emulating(data=tmp_path, speed=20_000) as platform:
        job_id = (await platform.control("evaluations", {"segments": [SEGMENT]}))["id"]
        job = await platform.until_status(job_id, "FAILED")
        refused = await platform.call("POST", "/_emulator/history", json={"days": 1})
    told = f"{tmp_path / 'lake.duckdb'} cannot be opened: "
    assert told in job["errors"][0]["msg"]
    assert refused.status == 500
    assert told in refused.body["error"]


async def test_profiles_that_could_not_be_read_bind_nobody(tmp_path):
    (tmp_path / "bad.ndjson").write_text("{")
    own = tmp_path / "good.ndjson"
    own.write_text('{"identityMap": {"email": [{"id": "a@example.org"}]}}\n')
    with pytest.raises(Exception, match="row 1 is not JSON"):
        await made(tmp_path / "data", profiles=tmp_path / "bad.ndjson", demanded={"profiles"})
    await made(tmp_path / "data", profiles=own, demanded={"profiles"}, speed=20_000)


async def test_a_deleted_definition_of_the_seed_does_not_come_back(tmp_path):
    dev = {"x-sandbox-name": "dev"}
    async with emulating(data=tmp_path) as platform:
        await platform.call("DELETE", f"{DEFINITIONS}/{SEGMENT}")
        for one in (await platform.get(DEFINITIONS, headers=dev))["segments"]:
            await platform.call("DELETE", f"{DEFINITIONS}/{one['id']}", headers=dev)
    async with emulating(data=tmp_path) as platform:
        left = {one["id"] for one in (await platform.get(DEFINITIONS))["segments"]}
        assert SEGMENT not in left
        assert len(left) > 5
        assert (await platform.get(DEFINITIONS, headers=dev))["segments"] == []


async def test_a_token_outlives_a_restart_and_what_was_made_invalid_stays_so(tmp_path):
    async with emulating(data=tmp_path) as first:
        given_up = first.headers["Authorization"]
        await first.control("tokens/expire")
        await first.log_in()
        kept = first.headers["Authorization"]
    async with emulating(data=tmp_path) as second:
        new = second.headers["Authorization"]
        codes = [
            (await second.call("GET", DEFINITIONS, headers={"Authorization": one})).status
            for one in (given_up, kept, new)
        ]
        assert codes == [401, 200, 200]
        assert len({given_up, kept, new}) == 3


async def test_without_a_directory_a_token_is_invalid_after_a_restart_whatever_is_issued_then():
    async with emulating() as first:
        old = first.headers["Authorization"]
    async with emulating() as second:  # as many tokens were issued, to the same client
        assert (await second.call("GET", DEFINITIONS, headers={"Authorization": old})).status == 401


async def test_a_restart_begins_without_faults(tmp_path):
    async with emulating(data=tmp_path) as first:
        await first.control("faults", {"path": "/data/*", "fault": {"status": 503}})
        assert (await first.call("GET", DEFINITIONS)).status == 503
    async with emulating(data=tmp_path) as second:
        assert (await second.control("faults", method="GET")) == {"faults": []}
        assert (await second.call("GET", DEFINITIONS)).status == 200
