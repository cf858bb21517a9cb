"""What the demo adds up to: submissions that answer no failure, the summary, the chains."""

from typing import Any

import pytest
from aiohttp import ClientSession
from aioresponses import aioresponses

from segwatch.cli.tally import chains, duplicates, tally

PLATFORM, RECEIVER, DAEMON = "http://platform", "http://receiver", "http://daemon"


def body(fields="a", dataset="d1", **more):
    return {"filter": {"segments": ["s"]}, "fields": fields, "destination": {"datasetId": dataset}} | more


def export(job_id, status, fields="a", origin="control"):
    return {"kind": "export_job", "id": job_id, "status": status, "body": body(fields), "origin": origin}


def submission(job_id, fields="a", kind="export_job"):
    return {"kind": kind, "id": job_id, "body": body(fields)}


def event(type_, job_id, second=0, kind="export_job", **data):
    told = {"kind": kind, "job_id": str(job_id), "root": str(job_id), "reason": ""} | data
    return {"type": type_, "timestamp": f"2026-01-05T03:00:{second:02}.000Z", "data": told}


@pytest.mark.parametrize(
    ("failed", "submitted", "expected"),
    [
        pytest.param(["a"], ["a"], 0, id="one-answer-each"),
        pytest.param(["a"], ["a", "a"], 1, id="one-too-many"),
        pytest.param(["a", "a"], ["a", "a"], 0, id="a-chain-of-the-same-body"),
        pytest.param(["a", "b"], ["a", "a"], 1, id="an-answer-to-another-body-counts-not"),
        pytest.param([], ["a"], 1, id="an-answer-to-nothing"),
        pytest.param(["a"], [], 0, id="unanswered-is-no-duplicate"),
    ],
)
def test_each_failure_allows_one_submission_of_its_own_body(failed, submitted, expected):
    jobs = [export(number, "FAILED", fields) for number, fields in enumerate(failed)]
    made = [submission(number, fields) for number, fields in enumerate(submitted)]
    assert duplicates(jobs, made) == expected


def test_both_spellings_of_the_dataset_mean_the_same_export():
    old = body() | {"destination": {"dataSetId": "d1"}}
    assert duplicates([{"body": body()}], [{"body": old}]) == 0
    assert duplicates([{"body": body()}], [{"body": body(dataset="d2")}]) == 1


async def summary(jobs, events, submissions=(), *, requests=None, metrics=""):
    received = {"requests": len(events) + 1, "events": list(events), "chat": []}
    ledger = {"submissions": list(submissions), "requests": requests or {}}
    with aioresponses() as web:
        web.get(f"{PLATFORM}/_emulator/state", payload={"jobs": jobs})
        web.get(f"{PLATFORM}/_emulator/ledger", payload=ledger)
        web.get(f"{RECEIVER}/received", payload=received)
        web.get(f"{DAEMON}/metrics", body=metrics)
        async with ClientSession() as session:
            return await tally(session, PLATFORM, RECEIVER, DAEMON)


ANSWERED: list[dict[str, Any]] = [
    event("job.discovered", 1), event("job.failed", 1), event("export.retry_submitted", 1, new_job_id="2"),
    event("job.succeeded", 2, root="1"), event("export.recovered", 2, root="1"),
]  # fmt: skip


async def test_the_summary_adds_up_what_others_counted():
    got = await summary(
        [export(0, "FAILED", origin="history"), export(1, "FAILED"), export(2, "SUCCEEDED")], ANSWERED,
        [submission(2), submission(9, kind="segment_job")],
        requests={"GET a 200": 5, "POST b 200": 1}, metrics='# HELP x y\nsegwatch_dead_letters{channel="a"} 0.0\n',
    )  # fmt: skip
    assert got.problems == ()
    assert got.complete
    assert got.counts == {
        "jobs": 2, "transitions": 2, "exports_failed": 1, "retries_submitted": 1, "exports_recovered": 1,
        "notifications_delivered": 6, "dead_letters": 0, "duplicate_submissions": 0, "api_requests": 6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"jobs": [export(1, "PROCESSING")]}, "export_job 1 is still PROCESSING", id="a-job-runs"),
        pytest.param({"jobs": [export(3, "SUCCEEDED")]}, "export_job 3 ended SUCCEEDED", id="nobody-was-told"),
        pytest.param({"events": ANSWERED[:2]}, "export 1 failed, and was neither", id="a-failure-without-an-answer"),
        pytest.param({"metrics": 'segwatch_outbox_pending{channel="a"} 2.0'}, "2 notifications still wait", id="waits"),
    ],
)
async def test_the_summary_is_not_complete_while_something_is_open(given, problem):
    usual = {"jobs": [export(1, "FAILED")], "events": ANSWERED[:3]}
    got = await summary(**usual | given)
    assert not got.complete
    assert any(problem in one for one in got.problems)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"metrics": 'segwatch_dead_letters{channel="a"} 1.0'}, "1 dead letters", id="given-up"),
        pytest.param({"submissions": [submission(2), submission(3)]}, "exports were submitted twice", id="twice"),
    ],
)
async def test_a_broken_promise_is_a_problem_though_all_is_done(given, problem):
    got = await summary([export(1, "FAILED")], ANSWERED[:3], **given)
    assert got.complete
    assert got.problems == (problem,)


ERROR = [{"code": "0090000009", "message": "Error writing"}]


def test_a_chain_is_told_in_the_order_in_which_it_happened():
    told = [
        event("job.failed", 2, 3, root="1", errors=ERROR),
        event("job.failed", 1, 1, errors=ERROR),
        event("job.failed", "s", 1, kind="segment_job", errors=ERROR),
        event("export.retry_submitted", 1, 2, new_job_id="2"),
        event("export.retry_adopted", 2, 4, root="1", new_job_id="7"),
        event("export.recovered", 7, 5, root="1"),
        event("job.failed", 5, 6),
        event("export.retry_refused", 5, 7, reason="never"),
    ]
    assert chains(told) == [
        "export 1 failed (0090000009 Error writing), submitted again as 2, failed (0090000009 Error writing),"
        " answered by 7, which somebody else submitted, recovered",
        "export 5 failed (no error text), not submitted again: a rule, or the platform itself, says never",
    ]


def test_nothing_failed_and_nothing_is_told():
    assert chains([event("job.succeeded", 1)]) == []
