"""The control API: scripts, outcomes, the ledger, reset; and that time passes while nobody asks."""

import time

import pytest
from emulator_fixtures import (
    DATASET,
    EXPORT_JOBS,
    SEGMENT,
    SEGMENT_JOBS,
    an_export,
    emulating,
    until,
)

from segwatch.emulator.engine import Engine, Job, Kind, Step
from segwatch.emulator.seed import chance, facts
from segwatch.emulator.server import EmulatorSettings


async def test_the_state_shows_what_is_seeded_as_soon_as_the_emulator_is_ready(platform):
    state = await platform.control("state", method="GET")
    assert state["jobs"] == []
    assert len(state["definitions"]) >= 2
    assert [one["id"] for one in state["datasets"]] == [DATASET]
    assert state["schedules"] == []


async def test_jobs_walk_their_script_whatever_its_words_while_nobody_asks(platform):
    ids = await platform.place("export_job", ["QUEUED", 0.02], ["DREAMING", 0.03], ["SUCCEEDED", 0], count=3)
    assert len(set(ids)) == 3
    for job_id in ids:
        job = await platform.until_status(job_id, "SUCCEEDED")
        (_, queued_ms), (_, dreaming_ms), (_, succeeded_ms) = job["history"]
        assert [status for status, _ in job["history"]] == ["QUEUED", "DREAMING", "SUCCEEDED"]
        assert dreaming_ms - queued_ms >= 19
        assert succeeded_ms - dreaming_ms >= 29
    requests = (await platform.ledger())["requests"]
    assert not [key for key in requests if "jobs" in key]


def test_timers_alone_move_a_job():
    timers, changes = [], []

    class Handle:
        def cancel(self):
            timers.clear()

    def call_later(delay_s, callback):
        timers.append((delay_s, callback))
        return Handle()

    engine = Engine(speed=10.0, now=lambda: 5.0, call_later=call_later, changed=lambda job: changes.append(job.status))
    script = (
        Step(status="NEW", seconds=20),
        Step(status="QUEUED", seconds=0),
        Step(status="FAILED", seconds=9),
    )
    job = Job(
        kind=Kind.SEGMENT_JOB,
        id="a",
        sandbox="prod",
        org="o",
        origin="control",
        request={},
        facts=facts(chance(0, "t", 0), batches=1),
        script=script,
    )
    engine.start(job)
    ((delay_s, fire),) = timers
    assert delay_s == 2.0
    timers.clear()
    fire()
    assert (changes, timers, job.is_final) == (["NEW", "QUEUED", "FAILED"], [], True)


async def test_without_a_script_a_job_takes_the_natural_path_to_success():
    async with emulating(speed=100_000) as platform:
        (segment_id,) = await platform.place("segment_job")
        (export_id,) = await platform.place("export_job")
        segment = await platform.until_status(segment_id, "SUCCEEDED")
        export = await platform.until_status(export_id, "SUCCEEDED")
    assert [status for status, _ in segment["history"]] == ["NEW", "QUEUED", "PROCESSING", "SUCCEEDED"]
    assert [status for status, _ in export["history"]] == ["NEW", "PROCESSING", "SUCCEEDED"]


async def test_the_body_of_a_placed_export_is_in_the_job_as_if_posted(platform):
    (job_id,) = await platform.place("export_job", ["NEW", 9], body=an_export(fields="a.b"))
    job = await platform.get(f"{EXPORT_JOBS}/{job_id}")
    assert job["fields"] == "a.b"
    assert job["filter"] == an_export()["filter"]


async def test_a_status_can_be_set_now_with_its_errors(platform):
    (job_id,) = await platform.place("export_job", ["PROCESSING", 3600])
    errors = [{"code": "42", "msg": "out of paper", "callStack": ""}]
    await platform.control(f"jobs/export_job/{job_id}/status", {"status": "FAILED", "errors": errors})
    job = await platform.get(f"{EXPORT_JOBS}/{job_id}")
    assert (job["status"], job["errors"]) == ("FAILED", errors)
    await platform.control(f"jobs/export_job/{job_id}/status", {"status": "CANCELLED"})
    assert (await platform.get(f"{EXPORT_JOBS}/{job_id}"))["status"] == "CANCELLED"


async def test_outcomes_are_for_the_jobs_submitted_next_and_then_jobs_succeed():
    async with emulating(speed=100_000) as platform:
        errors = [{"code": "7", "msg": "no", "callStack": ""}]
        order = {"kind": "export_job", "next": ["FAILED", "SUCCEEDED", "FAILED"], "errors": errors}
        assert await platform.control("outcomes", order) == {"kind": "export_job", "waiting": 3}
        await platform.place("export_job")  # placed, not submitted: takes none
        seen = []
        for _ in range(4):
            job_id = (await platform.call("POST", EXPORT_JOBS, json=an_export())).body["id"]

            async def ended(job_id=job_id):
                job = await platform.get(f"{EXPORT_JOBS}/{job_id}")
                return job if job["status"] in ("SUCCEEDED", "FAILED") else None

            job = await until(ended)
            seen.append((job["status"], job.get("errors")))
        assert seen == [("FAILED", errors), ("SUCCEEDED", None), ("FAILED", errors), ("SUCCEEDED", None)]
        segment = (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])).body
        await platform.until_status(segment["id"], "SUCCEEDED")


async def test_the_ledger_counts_by_template_and_keeps_what_was_submitted(platform):
    await platform.place("export_job", ["NEW", 9])
    body = an_export()
    job_id = (await platform.call("POST", f"{EXPORT_JOBS}/", json=body, headers={"x-sandbox-name": "dev"})).body["id"]
    await platform.call("GET", f"{EXPORT_JOBS}/{job_id}")
    await platform.call("GET", f"{EXPORT_JOBS}/99999")
    ledger = await platform.ledger()
    assert ledger["requests"] == {
        "POST /ims/token/v3 200": 1,
        f"POST {EXPORT_JOBS} 200": 1,
        f"GET {EXPORT_JOBS}/{{id}} 404": 2,
    }
    (submission,) = ledger["submissions"]
    assert submission.pop("at") == pytest.approx((await platform.state_of(job_id))["created_ms"] / 1000, abs=1)
    assert submission == {"kind": "export_job", "id": job_id, "body": body, "sandbox": "dev"}
    assert ledger["tokens_issued"] == 1


async def test_a_job_that_vanished_is_a_404_and_out_of_the_lists(platform):
    gone, kept = await platform.place("export_job", ["NEW", 3600], count=2)
    (segment_id,) = await platform.place("segment_job")
    await platform.control(f"jobs/export_job/{gone}", method="DELETE")
    await platform.control(f"jobs/segment_job/{segment_id}", method="DELETE")
    assert (await platform.call("GET", f"{EXPORT_JOBS}/{gone}")).status == 404
    assert [job["id"] for job in (await platform.get(EXPORT_JOBS))["records"]] == [kept]
    assert (await platform.get(SEGMENT_JOBS))["children"] == []
    assert (await platform.call("DELETE", f"/_emulator/jobs/export_job/{gone}")).status == 404


async def test_a_reset_goes_back_to_the_seed_but_keeps_the_tokens(platform):
    before = await platform.control("state", method="GET")
    (first_id,) = await platform.place("segment_job", sandbox="dev")
    await platform.control("outcomes", {"kind": "export_job", "next": ["FAILED"]})
    await platform.control("faults", {"fault": {"status": 503}})
    await platform.control("quirks", {"no_links": True})
    await platform.control("reset")
    assert await platform.control("state", method="GET") == before
    assert await platform.ledger() == {"requests": {}, "submissions": [], "tokens_issued": 0}
    assert "_links" in await platform.get(SEGMENT_JOBS)
    assert await platform.place("segment_job") == [first_id]


async def test_equal_seeds_give_equal_jobs_and_others_do_not():
    async def story(seed):
        async with emulating(seed=seed) as platform:
            await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}])
            await platform.place("export_job", count=2)
            state = await platform.control("state", method="GET")
            return [(job["id"], job["script"]) for job in state["jobs"]]

    first = await story(7)
    assert await story(7) == first
    assert await story(8) != first


async def test_the_number_of_submissions_in_between_does_not_change_what_chance_decides():
    async with emulating() as platform:
        await platform.place("segment_job", count=5)
        (late,) = await platform.place("export_job")
        late_script = (await platform.state_of(late))["script"]
    async with emulating() as platform:
        (early,) = await platform.place("export_job")
        assert (early, (await platform.state_of(early))["script"]) == (late, late_script)


async def test_a_page_out_of_ten_thousand_jobs_is_quick(platform):
    await platform.place("segment_job", ["SUCCEEDED", 0], count=10_000)
    await platform.place("segment_job", ["PROCESSING", 3600], count=1_000)
    best_s = 9.0
    for _ in range(5):
        began = time.perf_counter()
        reply = await platform.call("GET", SEGMENT_JOBS, params={"sort": "updateTime:desc", "limit": "100"})
        best_s = min(best_s, time.perf_counter() - began)
    assert len(reply.body["children"]) == 100
    assert best_s < 0.05  # some 3 ms on an idle machine


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        ("jobs", {"kind": "segmnt_job"}, "Known kinds: export_job, segment_job"),
        ("jobs", {"kind": "export_job", "script": []}, '[["QUEUED", 1.0]'),
        ("jobs", {"kind": "export_job", "script": [["NEW"]]}, '["STATUS", seconds]'),
        ("jobs", {"kind": "export_job", "script": [["NEW", -1]]}, "from 0 to 315360000"),
        ("jobs", {"kind": "export_job", "count": 0}, "from 1"),
        ("jobs", {"kind": "export_job", "count": 1.5}, "whole number"),
        ("jobs", {"kind": "export_job", "cuont": 1}, "Known names: kind, script, count"),
        ("jobs", {"kind": "export_job", "body": {"destination": {}}}, "datasetId"),
        ("jobs", {"kind": "export_job", "sandbox": ""}, "sandbox"),
        *(
            (call, body | {"sandbox": "NOT Good"}, "sandbox is 'NOT Good'. Write a name in lower case, such as prod.")
            for call, body in (
                ("jobs", {"kind": "export_job"}),
                ("evaluations", {}),
                ("history", {"days": 1}),
                ("exports", {}),
                ("batches", {}),
                ("schedules", {"name": "n"}),
                ("profiles", {"lose": 0.5}),
            )
        ),
        ("evaluations", {"segments": [SEGMENT] * 21}, "21 segments: write 20 or fewer"),
        ("history", {"days": 1, "segments": [SEGMENT] * 21}, "21 segments: write 20 or fewer"),
        ("jobs", [], "not an object"),
        ("outcomes", {"kind": "export_job", "next": "FAILED"}, '["FAILED", "SUCCEEDED"]'),
        ("outcomes", {"kind": "export_job", "next": ["FAILED"], "errors": "no"}, "list of objects"),
        ("quirks", {"no_lnks": True}, "no_links"),
        ("quirks", {"no_links": 1}, "true or false"),
        ("faults", {"fault": {"status": 503}, "times": 0}, "from 1"),
        ("faults", {"fault": {"status": 503}, "probability": 2}, "from 0 to 1"),
        ("profiles", {"lose": 0.1, "segment_id": "nope"}, "No segment definition with id 'nope'"),
        ("evaluations", {"segments": ["nope"]}, "No segment definition with id 'nope'"),
        (
            "exports",
            {"body": {"filter": {"segments": [{"segmentId": "nope"}]}}},
            "No segment definition with id 'nope'",
        ),
        ("schedules", {"name": "n", "segments": ["nope"]}, "No segment definition with id 'nope'"),
        ("schedules", {"name": "n", "type": "export", "segments": "all"}, 'or ["*"] for all'),
    ],
)
async def test_a_mistake_is_answered_with_what_to_write_instead(platform, path, body, hint):
    reply = await platform.call("POST", f"/_emulator/{path}", json=body)
    assert reply.status == 400
    assert list(reply.body) == ["error"]
    assert hint in reply.body["error"]


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("jobs", '{"kind": "segment_job", "script": [["QUEUED", %s], ["SUCCEEDED", 0]]}'),
        ("jobs", '{"kind": "segment_job", "count": %s}'),
        ("faults", '{"fault": {"delay_s": %s}}'),
        ("faults", '{"fault": {"slow_bytes_per_s": %s}}'),
        ("faults", '{"fault": {"garbage": true}, "seconds": %s}'),
        ("profiles", '{"lose": %s}'),
        ("batches", '{"bytes": %s}'),
    ],
)
@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e999", "1" + 400 * "0", "1e300"])
async def test_a_number_that_nobody_can_wait_for_is_a_400_and_takes_no_effect(platform, path, order, number):
    reply = await platform.call("POST", f"/_emulator/{path}", data=order % number)
    assert reply.status == 400, reply.raw
    assert reply.body["error"]
    assert (await platform.control("faults", method="GET"))["faults"] == []
    assert (await platform.control("state", method="GET"))["jobs"] == []


async def test_control_says_what_it_does_not_know(platform):
    assert (await platform.call("POST", "/_emulator/jobs", data=b"{")).status == 400
    assert (await platform.call("GET", "/_emulator/nothing")).status == 404
    assert (await platform.call("POST", "/_emulator/jobs/export_job/1/status", json={})).status == 404
    assert (await platform.call("POST", "/_emulator/jobs/other/1/status", json={})).status == 400


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"token_lifetime_s": 0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="Write"):
        EmulatorSettings(**wrong)
