"""Jobs that are computed: what they count, what they write, who may ask for how many, and what starts them."""

import asyncio
import threading

import pytest
from emulator_fixtures import (
    DATASET,
    DATASETS,
    DEFINITIONS,
    EXPORT_JOBS,
    OTHER_SEGMENT,
    SCHEDULES,
    SEGMENT,
    SEGMENT_JOBS,
    an_export,
    emulating,
    until,
)

from segwatch.emulator.lake import evaluation, exports
from segwatch.emulator.lake.lake import Lake

BATCHES = "/data/foundation/catalog/batches"
FAST = 20_000
DAILY = {"name": "n", "type": "batch_segmentation", "properties": {"segments": ["*"]}, "state": "active"}


async def evaluated(platform, *segments):
    """Return the job, which has ended, that evaluated these segments by order of a script."""
    job_id = (await platform.control("evaluations", {"segments": list(segments)} if segments else {}))["id"]
    await platform.until_status(job_id, "SUCCEEDED")
    return await platform.get(f"{SEGMENT_JOBS}/{job_id}")


async def exported(platform, **changes):
    job_id = (await platform.control("exports", {"body": an_export(**changes)}))["id"]
    await platform.until_status(job_id, "SUCCEEDED")
    return await platform.get(f"{EXPORT_JOBS}/{job_id}")


async def test_what_an_evaluation_counts_is_what_an_export_writes():
    async with emulating(speed=FAST, size=500) as platform:
        job = await evaluated(platform)
        metrics = job["metrics"]
        members = metrics["segmentedProfileCounter"]
        assert metrics["totalProfiles"] == 500
        assert len(members) == len((await platform.get(DEFINITIONS))["segments"])
        assert metrics["segmentedProfileByStatusCounter"][SEGMENT] == {"realized": members[SEGMENT], "exited": 0}
        wanted = [{"segmentId": SEGMENT}, {"segmentId": OTHER_SEGMENT}]
        target = an_export()["destination"] | {"segmentPerBatch": True}
        export = await exported(platform, filter={"segments": wanted}, destination=target)
        total = members[SEGMENT] + members[OTHER_SEGMENT]
        assert export["metrics"]["totalExportedProfileCounter"] == total > 0
        for entry in export["destination"]["batches"]:
            batch = (await platform.get(f"{BATCHES}/{entry['batchId']}"))[entry["batchId"]]
            assert batch["status"] == "success"
            assert batch["metrics"]["recordsWritten"] == members[entry["segmentId"]]


async def test_an_audience_loses_members_and_gets_them_back():
    async with emulating(speed=FAST, size=500) as platform:
        before = (await evaluated(platform, SEGMENT))["metrics"]["segmentedProfileCounter"][SEGMENT]
        lost = (await platform.control("profiles", {"lose": 0.5, "segment_id": SEGMENT}))["lost"]
        assert 0.3 * before < lost < 0.7 * before
        metrics = (await evaluated(platform, SEGMENT))["metrics"]
        assert metrics["segmentedProfileByStatusCounter"][SEGMENT] == {"realized": before - lost, "exited": lost}
        assert (await platform.control("profiles", {"restore": True})) == {"restored": lost}
        await platform.control("quirks", {"existing_status": True})
        metrics = (await evaluated(platform, SEGMENT))["metrics"]
        assert metrics["segmentedProfileByStatusCounter"][SEGMENT] == {
            "realized": lost, "existing": before - lost, "exited": 0,
        }  # fmt: skip


async def test_who_was_lost_is_exported_as_exited_once_an_evaluation_noticed():
    left = {"segments": [{"segmentId": SEGMENT, "status": ["exited"]}]}
    async with emulating(speed=FAST, size=500) as platform:
        before = (await evaluated(platform, SEGMENT))["metrics"]["segmentedProfileCounter"][SEGMENT]
        lost = (await platform.control("profiles", {"lose": 0.5, "segment_id": SEGMENT}))["lost"]
        members = (await exported(platform))["metrics"]["totalExportedProfileCounter"]
        unnoticed = (await exported(platform, filter=left))["metrics"]["totalExportedProfileCounter"]
        assert (members, unnoticed) == (before - lost, 0)
        counted = (await evaluated(platform, SEGMENT))["metrics"]["segmentedProfileByStatusCounter"][SEGMENT]
        members = (await exported(platform))["metrics"]["totalExportedProfileCounter"]
        gone = (await exported(platform, filter=left))["metrics"]["totalExportedProfileCounter"]
        assert counted == {"realized": members, "exited": gone} == {"realized": before - lost, "exited": lost}


@pytest.mark.parametrize(("dialect", "quirk"), [("current", False), ("current", True), ("seed", False)])
async def test_a_word_for_members_means_the_same_in_counters_filters_and_rows(dialect, quirk):
    async with emulating(speed=FAST, size=500, dialect=dialect) as platform:
        await platform.control("quirks", {"existing_status": quirk})
        size = (await evaluated(platform, SEGMENT))["metrics"]["segmentedProfileCounter"][SEGMENT]
        await evaluated(platform, SEGMENT)
        are_told_apart = quirk or dialect == "seed"
        for words, expected in [
            (["existing"], size if are_told_apart else 0),
            (["realized"], 0 if are_told_apart else size),
            (["existing", "realized"], size),
            (["exited"], 0),
        ]:
            wanted = {"segments": [{"segmentId": SEGMENT, "status": words}]}
            job = await exported(platform, filter=wanted)
            (batch,) = (await platform.get(f"{BATCHES}/{job['destination']['batchId']}")).values()
            assert batch["metrics"]["recordsWritten"] == expected, words


async def test_an_export_can_evaluate_first():
    async with emulating(speed=FAST, size=500) as platform:
        assert (await exported(platform))["metrics"]["totalExportedProfileCounter"] == 0
        export = await exported(platform, evaluationInfo={"segmentation": True})
        assert export["metrics"]["totalExportedProfileCounter"] > 0


async def test_the_external_audience_can_be_exported_before_anything_was_evaluated():
    async with emulating(speed=FAST, size=500) as platform:
        outside = {"segmentId": "24130077", "segmentNs": "AAM"}
        assert (await exported(platform, filter={"segments": [outside]}))["metrics"]["totalExportedProfileCounter"] > 10


async def test_a_job_that_is_made_to_fail_has_no_effect():
    async with emulating(speed=FAST, size=500) as platform:
        await platform.control("outcomes", {"kind": "segment_job", "next": ["FAILED"]})
        await platform.control("outcomes", {"kind": "export_job", "next": ["FAILED"]})
        job = (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).body
        await platform.until_status(job["id"], "FAILED")
        export = (await platform.call("POST", EXPORT_JOBS, json=an_export())).body
        batch_id = export["destination"]["batchId"]
        await platform.until_status(export["id"], "FAILED")
        assert (await platform.get(f"{EXPORT_JOBS}/{export['id']}"))["destination"]["batchId"] == ""
        assert (await platform.get(f"{BATCHES}/{batch_id}"))[batch_id]["status"] == "failure"
        assert (await exported(platform))["metrics"]["totalExportedProfileCounter"] == 0


@pytest.mark.parametrize("at", ["QUEUED", "PROCESSING"])
async def test_a_cancelled_evaluation_has_no_effect(at):
    async with emulating(speed=100, size=500) as platform:
        jobs = [(await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).body["id"] for _ in range(2)]
        await platform.until_status(jobs[0], "PROCESSING")
        cancelled = jobs[1] if at == "QUEUED" else jobs[0]
        await platform.call("DELETE", f"{SEGMENT_JOBS}/{cancelled}")
        await platform.until_status(cancelled, "CANCELLED")
        (kept,) = set(jobs) - {cancelled}
        await platform.until_status(kept, "SUCCEEDED")
        metrics = (await evaluated(platform, SEGMENT))["metrics"]
        assert metrics["segmentedProfileByStatusCounter"][SEGMENT]["exited"] == 0


@pytest.mark.parametrize("is_settled", [True, False])
async def test_a_cancel_either_comes_in_time_or_leaves_the_evaluation_with_its_result(monkeypatch, is_settled):
    reached, released = threading.Event(), threading.Event()
    real = evaluation.evaluate

    def pause():
        reached.set()
        released.wait(10)

    def slow(cursor, order, *, settles):
        if not is_settled:
            return real(cursor, order, settles=lambda: (pause(), settles()))
        counted = real(cursor, order, settles=settles)
        pause()
        return counted

    monkeypatch.setattr(evaluation, "evaluate", slow)
    async with emulating(speed=FAST, size=500) as platform:
        job_id = (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).body["id"]
        await asyncio.to_thread(reached.wait, 10)
        assert (await platform.call("DELETE", f"{SEGMENT_JOBS}/{job_id}")).status == 204
        if not is_settled:
            await platform.until_status(job_id, "CANCELLED")
        released.set()
        await platform.until_status(job_id, "SUCCEEDED" if is_settled else "CANCELLED")
        job = await platform.get(f"{SEGMENT_JOBS}/{job_id}")
        monkeypatch.undo()
        members = (await exported(platform))["metrics"]["totalExportedProfileCounter"]
        if is_settled:
            assert job["metrics"]["segmentedProfileCounter"][SEGMENT] == members > 0
        else:
            assert members == 0
        assert (await platform.get(f"{SEGMENT_JOBS}/{job_id}"))["status"] == job["status"]


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_cancelled_export_leaves_no_file_and_no_step_twice(monkeypatch, tmp_path, is_written):
    reached, released = threading.Event(), threading.Event()
    real = exports.write

    def slow(cursor, folder, order):
        if list(folder.glob("*")):  # the second batch
            reached.set()
            released.wait(10)
            if not is_written:
                raise InterruptedError
        return real(cursor, folder, order)

    monkeypatch.setattr(exports, "write", slow)
    folder = tmp_path / "batches"
    async with emulating(speed=FAST, size=500, data=tmp_path) as platform:
        body = an_export(destination={"datasetId": DATASET, "segmentPerBatch": True}, filter={})
        job_id = (await platform.call("POST", EXPORT_JOBS, json=body)).body["id"]
        await asyncio.to_thread(reached.wait, 10)
        assert len(list(folder.iterdir())) == 1
        await platform.call("DELETE", f"{EXPORT_JOBS}/{job_id}")
        job = await platform.until_status(job_id, "FAILED")
        assert [status for status, _ in job["history"]] == ["NEW", "PROCESSING", "FAILED"]
        assert list(folder.iterdir()) == []
        released.set()
        monkeypatch.undo()
        await exported(platform)  # after what the cancelled one still did
        assert len(list(folder.iterdir())) == 1
        assert {one["status"] for one in (await platform.get(BATCHES)).values()} == {"aborted", "success"}


async def test_an_export_that_vanishes_while_it_writes_leaves_no_batch_behind_that_is_still_written(monkeypatch):
    reached, released = threading.Event(), threading.Event()
    monkeypatch.setattr(exports, "write", lambda *_, **__: (reached.set(), released.wait(10)))
    async with emulating(speed=FAST, size=500) as platform:
        job = (await platform.call("POST", EXPORT_JOBS, json=an_export())).body
        await asyncio.to_thread(reached.wait, 10)
        batch_id = job["destination"]["batchId"]
        assert (await platform.get(f"{BATCHES}/{batch_id}"))[batch_id]["status"] == "processing"
        await platform.control(f"jobs/export_job/{job['id']}", method="DELETE")
        released.set()
        assert (await platform.get(f"{BATCHES}/{batch_id}"))[batch_id]["status"] == "aborted"


@pytest.mark.parametrize("when", ["before it begins", "while it writes"])
async def test_an_export_whose_dataset_is_deleted_fails_and_leaves_nothing(monkeypatch, tmp_path, when):
    reached, released = threading.Event(), threading.Event()
    owner, step = (exports, "write") if when == "while it writes" else (Lake, "__init__")
    real = getattr(owner, step)

    def held(*order, **rest):
        reached.set()
        assert released.wait(10)
        return real(*order, **rest)

    monkeypatch.setattr(owner, step, held)
    async with emulating(speed=FAST, size=500, data=tmp_path) as platform:
        job = (await platform.call("POST", EXPORT_JOBS, json=an_export())).body
        await asyncio.to_thread(reached.wait, 10)
        assert (await platform.call("DELETE", f"{DATASETS}/{DATASET}")).status == 200
        assert await platform.get(BATCHES) == {}
        released.set()
        failed = await platform.until_status(job["id"], "FAILED")
        assert failed["errors"][0]["msg"] == f"The dataset {DATASET} does not exist any more."
        assert await platform.get(BATCHES) == {}
        assert not await asyncio.to_thread(lambda: list(tmp_path.glob("batches/*")))


async def test_a_success_that_is_set_by_hand_closes_the_batch_that_nobody_writes_any_more(monkeypatch):
    reached, released = threading.Event(), threading.Event()
    monkeypatch.setattr(exports, "write", lambda *_, **__: (reached.set(), released.wait(10)))
    async with emulating(speed=FAST, size=500) as platform:
        job = (await platform.call("POST", EXPORT_JOBS, json=an_export())).body
        await asyncio.to_thread(reached.wait, 10)
        await platform.control(f"jobs/export_job/{job['id']}/status", {"status": "SUCCEEDED"})
        released.set()
        batch_id = job["destination"]["batchId"]
        assert (await platform.get(f"{BATCHES}/{batch_id}"))[batch_id]["status"] == "aborted"


async def test_an_export_that_is_cancelled_after_it_evaluated_leaves_its_evaluation(monkeypatch):
    reached, released = threading.Event(), threading.Event()
    monkeypatch.setattr(exports, "write", lambda *_, **__: (reached.set(), released.wait(10)))
    async with emulating(speed=FAST, size=500) as platform:
        body = an_export(evaluationInfo={"segmentation": True})
        job_id = (await platform.call("POST", EXPORT_JOBS, json=body)).body["id"]
        await asyncio.to_thread(reached.wait, 10)
        await platform.call("DELETE", f"{EXPORT_JOBS}/{job_id}")
        released.set()
        await platform.until_status(job_id, "FAILED")
        monkeypatch.undo()
        assert (await exported(platform))["metrics"]["totalExportedProfileCounter"] > 0


async def test_a_definition_that_was_deleted_fails_its_evaluation_and_the_errors_say_so():
    async with emulating(speed=100, size=100) as platform:
        job = (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).body
        assert (await platform.call("DELETE", f"{DEFINITIONS}/{SEGMENT}")).status == 200
        await platform.until_status(job["id"], "FAILED")
        (error,) = (await platform.get(f"{SEGMENT_JOBS}/{job['id']}"))["errors"]
        assert "does not exist any more" in error["msg"]


async def test_with_the_next_run_nobody_is_in_a_definition_that_was_deleted():
    sam = {"schema.name": "_xdm.context.profile", "entityId": "sam@example.org", "entityIdNS": "email"}

    async def segments_of_sam(platform):
        (one,) = (await platform.get("/data/core/ups/access/entities", params=sam)).values()
        return set(one["entity"]["segmentMembership"]["ups"])

    async with emulating(speed=FAST, size=500) as platform:
        await evaluated(platform)
        assert SEGMENT in await segments_of_sam(platform)
        await platform.call("DELETE", f"{DEFINITIONS}/{SEGMENT}")
        await evaluated(platform, OTHER_SEGMENT)
        left = await segments_of_sam(platform)
        assert SEGMENT not in left
        assert len(left) > 1  # those that were not evaluated again stay
        assert (await platform.call("POST", EXPORT_JOBS, json=an_export())).status == 400


async def test_two_evaluations_a_day_may_be_asked_for_in_a_sandbox():
    body = [{"segmentId": SEGMENT}]
    async with emulating() as platform:
        first = [(await platform.call("POST", SEGMENT_JOBS, json=body)).status for _ in range(3)]
        assert first == [200, 200, 429]
        refused = await platform.call("POST", SEGMENT_JOBS, json=body)
        assert refused.body["errors"]["429"][0]["code"] == 429
        assert len((await platform.ledger())["submissions"]) == 2
        assert (await platform.call("POST", SEGMENT_JOBS, json=body, headers={"x-sandbox-name": "dev"})).status == 200
    async with emulating(evaluations_per_day=0) as platform:
        assert (await platform.call("POST", SEGMENT_JOBS, json=body)).status == 429
    async with emulating(evaluations_per_day=1, speed=200_000) as platform:  # a day lasts less than half a second

        async def accepted():
            return (await platform.call("POST", SEGMENT_JOBS, json=body)).status == 200

        await until(accepted)
        await until(accepted)


async def test_more_than_twenty_segments_in_one_job_are_refused():
    async with emulating() as platform:
        body = [{"segmentId": SEGMENT}] * 21
        assert (await platform.call("POST", SEGMENT_JOBS, json=body)).status == 400
        assert (await platform.call("POST", SEGMENT_JOBS, json=body[:20])).status == 200


async def of_origin(platform, origin, count=1):
    """Return the first jobs of that origin once there are so many, and all of them have succeeded."""

    async def found():
        jobs = [job for job in (await platform.control("state", method="GET"))["jobs"] if job["origin"] == origin]
        return jobs[:count] if len([job for job in jobs if job["status"] == "SUCCEEDED"]) >= count else None

    return await until(found)


async def test_a_schedule_fires_by_its_cron_and_its_runs_name_it():
    async with emulating(speed=100_000) as platform:
        schedule = (await platform.call("POST", SCHEDULES, json=DAILY)).body
        first, second = await of_origin(platform, "schedule", 2)
        job = await platform.get(f"{SEGMENT_JOBS}/{first['id']}")
        assert job["source"] == "scheduler"
        assert job["properties"]["scheduleId"] == schedule["id"]
        assert job["requestId"] == f"{schedule['id']}-{job['creationTime']}"
        assert job["segments"] == [{"segmentId": "*"}]
        assert job["metrics"]["segmentedProfileCounter"][SEGMENT] > 0
        assert 700 < second["created_ms"] - first["created_ms"] < 1100  # a day
        await platform.call("PATCH", f"{SCHEDULES}/{schedule['id']}", json=[
            {"op": "add", "path": "/state", "value": "inactive"},
        ])  # fmt: skip
        state = await platform.control("state", method="GET")
        assert state["schedules"][0]["next"] is None
        assert {job["kind"] for job in state["jobs"]} == {"segment_job"}


async def test_a_schedule_of_type_export_exports_what_it_evaluated():
    async with emulating(speed=50_000) as platform:
        await platform.call("POST", SCHEDULES, json=DAILY | {"type": "export", "properties": {"segments": [SEGMENT]}})
        (export,) = await of_origin(platform, "platform")
        assert export["kind"] == "export_job"
        job = await platform.get(f"{EXPORT_JOBS}/{export['id']}")
        assert job["filter"]["segments"] == [{"segmentId": SEGMENT}]
        assert job["metrics"]["totalExportedProfileCounter"] > 0
        assert (await platform.ledger())["submissions"] == []


async def test_a_firing_can_be_skipped():
    async with emulating(speed=100_000) as platform:
        schedule = (await platform.call("POST", SCHEDULES, json=DAILY)).body
        await platform.control(f"schedules/{schedule['id']}/skip", {"times": 1})

        async def skipped():
            (one,) = (await platform.control("state", method="GET"))["schedules"]
            return one["skipped"]

        assert await until(skipped) == 1
        assert (await platform.control("state", method="GET"))["jobs"] == []
        await of_origin(platform, "schedule")
        assert (await platform.call("POST", "/_emulator/schedules/none/skip", json={})).status == 404


async def test_under_a_quirk_an_evaluation_starts_its_own_export():
    async with emulating(speed=FAST) as platform:
        await platform.control("quirks", {"export_after_evaluation": True})
        await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])

        async def export():
            jobs = (await platform.control("state", method="GET"))["jobs"]
            return [job for job in jobs if job["kind"] == "export_job" and job["status"] == "SUCCEEDED"]

        (job,) = await until(export)
        assert job["body"]["filter"] == {"segments": [{"segmentId": SEGMENT}]}


async def test_a_reset_forgets_what_was_computed():
    async with emulating(speed=FAST) as platform:
        before = await evaluated(platform, SEGMENT)
        await exported(platform)
        await platform.control("reset")
        assert (await exported(platform))["metrics"]["totalExportedProfileCounter"] == 0
        after = await evaluated(platform, SEGMENT)
        assert after["id"] == before["id"]
        counter = "segmentedProfileByStatusCounter"
        assert after["metrics"][counter] == before["metrics"][counter]


async def test_without_the_engine_scripts_work_and_computing_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr("segwatch.emulator.data.find_spec", lambda name: None)
    async with emulating(speed=FAST) as platform:
        (job_id,) = await platform.place("export_job")
        await platform.until_status(job_id, "SUCCEEDED")
        reply = await platform.call("POST", EXPORT_JOBS, json=an_export())
        assert reply.status == 503
        assert "Install segwatch[emulator]" in reply.body["errors"]["503"][0]["message"]
        await platform.control("outcomes", {"kind": "export_job", "next": ["FAILED"]})
        job = (await platform.call("POST", EXPORT_JOBS, json=an_export())).body
        await platform.until_status(job["id"], "FAILED")


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        ("evaluations", {"segments": "all"}, '["*"]'),
        ("evaluations", {"segments": ["unknown"]}, "No segment definition"),
        ("exports", {"body": []}, "not an object"),
        ("exports", {"body": {"destination": {"datasetId": "unknown"}}}, "No dataset"),
        ("schedules", {"name": "n", "schedule": "0 0 1 * *"}, "6 or 7"),
        ("profiles", {}, "either lose"),
        ("profiles", {"lose": 2}, "from 0 to 1"),
        ("profiles", {"lose": 0.1, "restore": True}, "either lose"),
        ("profiles", {"restore": True, "segment_id": SEGMENT}, "Leave segment_id out"),
        ("scenario", {"name": "day"}, "night"),
    ],
)
async def test_a_mistake_is_answered_with_what_to_write_instead(platform, path, body, hint):
    reply = await platform.call("POST", f"/_emulator/{path}", json=body)
    assert reply.status == 400
    assert hint in reply.body["error"]


async def test_a_definition_that_does_not_fit_the_profiles_fails_its_evaluation_with_its_place(tmp_path):
    path = tmp_path / "mine.ndjson"
    path.write_text('{"identityMap": {"email": [{"id": "a@example.org"}]}, "shoeSize": 42}\n')
    async with emulating(speed=FAST, profiles=path) as platform:
        job = (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).body
        await platform.until_status(job["id"], "FAILED")
        (error,) = (await platform.get(f"{SEGMENT_JOBS}/{job['id']}"))["errors"]
        assert "homeAddress" in error["msg"]
        assert "column 1" in error["msg"]
