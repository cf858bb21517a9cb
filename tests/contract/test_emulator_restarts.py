"""Jobs in a directory that is opened again: each goes on as it was, and one that nobody can read stops no other."""

import sqlite3
from contextlib import closing

import msgspec
import pytest
from emulator_fixtures import EXPORT_JOBS, SEGMENT, SEGMENT_JOBS, an_export, emulating

HOLD = ["QUEUED", 3600]


def damage(folder, job_id, change):
    """Have what the directory keeps of a job changed: by another version, or by whoever wrote an infinity."""
    with closing(sqlite3.connect(folder / "platform.sqlite3", isolation_level=None)) as db:
        ((body,),) = db.execute("SELECT body FROM job WHERE id = ?", (str(job_id),)).fetchall()
        kept = change(msgspec.json.decode(body))
        written = kept if isinstance(kept, bytes) else msgspec.json.encode(kept)
        db.execute("UPDATE job SET body = ? WHERE id = ?", (written, str(job_id)))


DAMAGES = [
    pytest.param(lambda job: job | {"script": [{"status": "QUEUED", "seconds": None}]}, id="no-seconds"),
    pytest.param(lambda job: job | {"script": []}, id="no-script"),
    pytest.param(lambda job: job | {"position": 9}, id="no-place"),
    pytest.param(lambda job: job | {"moves": []}, id="no-moves"),
    pytest.param(lambda job: job | {"facts": {}}, id="no-facts"),
    pytest.param(lambda job: job | {"kind": "query"}, id="no-kind"),
    pytest.param(lambda job: job | {"counters": {"profiles": "x"}}, id="no-counters"),
    pytest.param(lambda job: job | {"later": 1}, id="another-version"),
    pytest.param(lambda job: {"request": {}}, id="nothing-but-a-request"),
    pytest.param(lambda job: job | {"id": "another"}, id="another-id"),
    pytest.param(lambda job: job | {"request": {"segments": "x", "destination": "x"}}, id="no-target"),
    pytest.param(lambda job: job | {"request": {"segments": [1], "destination": {"datasetId": 5}}}, id="odd-target"),
    pytest.param(lambda job: b"null", id="no-object"),
    pytest.param(lambda job: b"{", id="no-json"),
]


@pytest.mark.parametrize("change", DAMAGES)
@pytest.mark.parametrize("kind", ["segment_job", "export_job"])
async def test_a_job_that_cannot_be_read_back_is_one_failed_job_with_the_reason(tmp_path, kind, change):
    path = SEGMENT_JOBS if kind == "segment_job" else EXPORT_JOBS
    async with emulating(data=tmp_path) as platform:
        damaged, sound = await platform.place(kind, HOLD, count=2)
    damage(tmp_path, damaged, change)
    for _ in range(2):  # and so it stays
        async with emulating(data=tmp_path) as platform:
            assert (await platform.get(f"{path}/{sound}"))["status"] == "QUEUED"
            job = await platform.get(f"{path}/{damaged}")
            assert job["status"] == "FAILED"
            assert job["errors"][0]["msg"].startswith("The job cannot be read back from the platform's directory: ")
            rows = await platform.get(path)
            assert len(rows.get("children", rows.get("records"))) == 2


async def test_a_job_that_ended_in_a_word_of_its_own_is_the_same_after_a_restart(tmp_path):
    async with emulating(data=tmp_path, speed=1_000_000) as platform:
        await platform.control("outcomes", {"kind": "segment_job", "next": ["PAUSED"]})
        await platform.control("outcomes", {"kind": "export_job", "next": ["REVIEWING"]})
        paused = (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).body["id"]
        reviewed = (await platform.call("POST", EXPORT_JOBS, json=an_export())).body["id"]
        before = [await platform.until_status(paused, "PAUSED"), await platform.until_status(reviewed, "REVIEWING")]
    async with emulating(data=tmp_path, speed=1_000_000) as platform:
        # a job that comes later has had its turn: whatever went on would have ended by then
        later = (await platform.control("evaluations", {"segments": [SEGMENT]}))["id"]
        await platform.until_status(later, "SUCCEEDED")
        assert [await platform.state_of(paused), await platform.state_of(reviewed)] == before
