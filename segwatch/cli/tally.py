"""What the demo adds up to, counted by the local platform and the receiver, not by the daemon about itself."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp

from segwatch.jobs.resubmission import Refusal
from segwatch.kinds.base import load_kinds

_ENDED = {"SUCCEEDED": "job.succeeded", "FAILED": "job.failed", "CANCELLED": "job.cancelled"}
_ANSWERS = {"export.retry_submitted", "export.retry_adopted", "export.retry_refused"}
_RESUBMITTED = {name for name, kind in load_kinds().items() if kind.resubmits}
_TRANSITIONS = {
    "job.queued", "job.processing", "job.succeeded", "job.failed", "job.cancelling", "job.cancelled",
    "job.vanished", "job.unknown_status",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """counts: the summary. complete: all jobs ended and all was told. problems: where the promise was not kept."""

    counts: dict[str, int]
    complete: bool
    problems: tuple[str, ...]


async def tally(session: aiohttp.ClientSession, platform: str, receiver: str, daemon: str) -> Tally:
    """Ask the local platform, the receiver and the daemon's metrics, and add up."""
    state = await _get(session, f"{platform}/_emulator/state")
    ledger = await _get(session, f"{platform}/_emulator/ledger")
    received = await _get(session, f"{receiver}/received")
    metrics = await _metrics(session, f"{daemon}/metrics")
    jobs = [job for job in state["jobs"] if job["origin"] != "history"]  # these had ended before anybody looked
    events = received["events"]
    told = {(event["type"], event["data"]["kind"], str(event["data"]["job_id"])) for event in events}
    failed = [job for job in jobs if job["kind"] in _RESUBMITTED and job["status"] == "FAILED"]
    submissions = [one for one in ledger["submissions"] if one["kind"] in _RESUBMITTED]
    dead = int(sum(value for name, value in metrics if name.startswith("segwatch_dead_letters{")))
    waiting = int(sum(value for name, value in metrics if name.startswith("segwatch_outbox_pending{")))
    counts = {
        "jobs": len(jobs),
        "transitions": sum(event["type"] in _TRANSITIONS for event in events),
        "exports_failed": len(failed),
        "retries_submitted": len(submissions),
        "exports_recovered": sum(event["type"] == "export.recovered" for event in events),
        "notifications_delivered": received["requests"],
        "dead_letters": dead,
        "duplicate_submissions": duplicates(failed, submissions),
        "api_requests": sum(ledger["requests"].values()),
    }
    running = [job for job in jobs if job["status"] not in _ENDED]
    untold = [
        f"{job['kind']} {job['id']} ended {job['status']}, and the receiver was not told"
        for job in jobs
        if job["status"] in _ENDED and (_ENDED[job["status"]], job["kind"], str(job["id"])) not in told
    ]
    unanswered = [
        f"export {job['id']} failed, and was neither submitted again nor refused"
        for job in failed
        if not any((answer, job["kind"], str(job["id"])) in told for answer in _ANSWERS)
    ]
    problems = [f"{job['kind']} {job['id']} is still {job['status']}" for job in running] + untold + unanswered
    problems += [f"{waiting} notifications still wait"] * bool(waiting) + [f"{dead} dead letters"] * bool(dead)
    problems += ["exports were submitted twice"] * bool(counts["duplicate_submissions"])
    return Tally(counts=counts, complete=not (running or untold or unanswered or waiting), problems=tuple(problems))


def chains(events: list[dict[str, Any]]) -> list[str]:
    """Return a line for each export that failed first: what was done about it, and how that ended."""
    stories: dict[str, list[str]] = {}
    for event in sorted(events, key=lambda one: str(one["timestamp"])):
        data = event["data"]
        chain = stories.setdefault(data.get("root", ""), [])
        match str(event["type"]):
            case "job.failed" if data["kind"] in _RESUBMITTED:
                error = (data.get("errors") or [{"code": "", "message": "no error text"}])[0]
                what = f"failed ({' '.join(filter(None, (error['code'], error['message'])))})"
                chain.append(what if chain else f"export {data['job_id']} {what}")
            case "export.retry_submitted":
                chain.append(f"submitted again as {data['new_job_id']}")
            case "export.retry_adopted":
                chain.append(f"answered by {data['new_job_id']}, which somebody else submitted")
            case "export.retry_refused":
                chain.append(f"not submitted again: {Refusal(data['reason']).words}")
            case "export.recovered":
                chain.append("recovered")
            case _:
                pass
    return [", ".join(chain) for chain in stories.values() if chain]


def duplicates(failed: list[dict[str, Any]], submissions: list[dict[str, Any]]) -> int:
    """Return how many submissions answer no failure of their own: each failed export allows one of the same body."""
    allowed = Counter(_same(job["body"]) for job in failed)
    made = Counter(_same(one["body"]) for one in submissions)
    return sum(max(0, count - allowed[body]) for body, count in made.items())


def _same(body: dict[str, Any]) -> str:
    """Return one text for two bodies that ask for the same export."""
    kept = {name: body.get(name) for name in ("filter", "fields", "mergePolicy")}
    target = body.get("destination", {})
    return json.dumps(kept | {"dataset": target.get("datasetId") or target.get("dataSetId")}, sort_keys=True)


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as reply:
        answer: dict[str, Any] = await reply.json()
        return answer


async def _metrics(session: aiohttp.ClientSession, url: str) -> list[tuple[str, float]]:
    async with session.get(url) as reply:
        text = await reply.text()
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, float(value)) for name, _, value in lines]
