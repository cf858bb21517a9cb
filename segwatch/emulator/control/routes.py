"""The control API under /_emulator: what scripts see and change from outside the platform."""

from datetime import UTC, datetime

from aiohttp import web

from segwatch.emulator.api.export_rows import dataset_id
from segwatch.emulator.bodies import json_body
from segwatch.emulator.control import batch_orders, orders, run_orders
from segwatch.emulator.control.hand import Hand
from segwatch.emulator.control.past import Past
from segwatch.emulator.control.playback import Playback
from segwatch.emulator.control.scenario import bundled, load
from segwatch.emulator.engine import Job
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World


class Control:
    """State and ledger to read; jobs, outcomes, faults, quirks, runs, profiles, tokens and more to write."""

    def __init__(self, world: World, hand: Hand, past: Past, playback: Playback) -> None:
        self._world = world
        self._hand = hand
        self._past = past
        self._playback = playback

    def routes(self) -> list[web.RouteDef]:
        base = "/_emulator"
        job = f"{base}/jobs/{{kind}}/{{id}}"
        return [
            web.get(f"{base}/state", self._state, allow_head=False),
            web.get(f"{base}/time", self._time, allow_head=False),
            web.get(f"{base}/ledger", self._ledger, allow_head=False),
            web.post(f"{base}/jobs", self._place_jobs),
            web.delete(job, self._vanish),
            web.post(f"{job}/status", self._set_status),
            web.get(f"{base}/queries/{{id}}/rows", self._query_rows, allow_head=False),
            web.post(f"{base}/outcomes", self._add_outcomes),
            web.post(f"{base}/faults", self._add_fault),
            web.get(f"{base}/faults", self._faults, allow_head=False),
            web.delete(f"{base}/faults", self._clear_faults),
            web.delete(f"{base}/faults/{{id}}", self._remove_fault),
            web.get(f"{base}/quirks", self._quirks, allow_head=False),
            web.post(f"{base}/quirks", self._set_quirks),
            web.post(f"{base}/evaluations", self._evaluate),
            web.post(f"{base}/history", self._evaluate_past),
            web.post(f"{base}/exports", self._export),
            web.post(f"{base}/batches", self._make_batch),
            web.post(f"{base}/schedules", self._add_schedule),
            web.post(f"{base}/schedules/{{id}}/skip", self._skip),
            web.post(f"{base}/scenario", self._play),
            web.post(f"{base}/profiles", self._change_profiles),
            web.post(f"{base}/tokens/expire", self._expire_tokens),
            web.post(f"{base}/reset", self._reset),
        ]

    async def _state(self, _request: web.Request) -> web.Response:
        world = self._world
        standing = world.scheduler.documents()
        return answer(
            {
                "settings": {
                    "seed": world.settings.seed,
                    "speed": world.settings.speed,
                    "dialect": world.settings.dialect,
                },
                "jobs": [_job_document(job) for job in world.jobs()],
                "definitions": [
                    {"sandbox": box.name, "id": one["id"], "name": one["name"]}
                    for box in world.sandboxes()
                    for one in box.definitions.values()
                ],
                "datasets": [
                    {
                        "sandbox": box.name,
                        "id": dataset_id,
                        "name": one["name"],
                        "schema": one["schemaRef"].get("id"),
                    }
                    for box in world.sandboxes()
                    for dataset_id, one in box.datasets.items()
                ],
                "schedules": [
                    one | {"sandbox": box.name} | standing.get(one["id"], {"next": None, "skip": 0, "skipped": 0})
                    for box in world.sandboxes()
                    for one in box.schedules.values()
                ],
                "scenario": self._playback.document(),
                "outcomes": {
                    kind.value: [outcome.status for outcome in queue] for kind, queue in world.outcomes.items()
                },
            }
        )

    async def _time(self, _request: web.Request) -> web.Response:
        world = self._world
        now = datetime.fromtimestamp(world.now(), UTC)
        return answer({"wall": now.isoformat(), "emulated": world.calendar.now().isoformat()})

    async def _ledger(self, _request: web.Request) -> web.Response:
        return answer(self._world.ledger.document())

    async def _place_jobs(self, request: web.Request) -> web.Response:
        new = orders.new_jobs(await json_body(request))
        return answer({"ids": [job.id for job in self._hand.place(new)]})

    async def _vanish(self, request: web.Request) -> web.Response:
        job = self._job(request)
        self._world.vanish(job)
        return answer({"id": job.id, "vanished": True})

    async def _set_status(self, request: web.Request) -> web.Response:
        job = self._job(request)
        status, errors = orders.new_status(await json_body(request))
        self._world.set_status(job, status, errors)
        return answer({"id": job.id, "status": job.status})

    async def _query_rows(self, request: web.Request) -> web.Response:
        query_id = request.match_info["id"]
        for sandbox in self._world.sandboxes():
            if (query := sandbox.queries.get(query_id)) is not None:
                return answer({"id": query_id, "state": query["state"], "rows": query["_rows"]})
        raise ServiceError(404, f"No query has the id {query_id!r}.")

    async def _add_outcomes(self, request: web.Request) -> web.Response:
        kind, outcomes = orders.new_outcomes(await json_body(request))
        return answer({"kind": kind.value, "waiting": self._hand.add_outcomes(kind, outcomes)})

    async def _add_fault(self, request: web.Request) -> web.Response:
        return answer({"id": self._hand.add_fault(orders.new_fault(await json_body(request)))})

    async def _evaluate(self, request: web.Request) -> web.Response:
        job = self._hand.start(run_orders.new_evaluation(await json_body(request)))
        return answer({"id": job.id})

    async def _evaluate_past(self, request: web.Request) -> web.Response:
        new = run_orders.new_past(await json_body(request))
        jobs = await self._past.make(new, is_awaited=lambda: request.transport is not None)
        return answer({"ids": [job.id for job in jobs]})

    async def _export(self, request: web.Request) -> web.Response:
        job = self._hand.start(run_orders.new_export(await json_body(request)))
        return answer({"id": job.id})

    async def _make_batch(self, request: web.Request) -> web.Response:
        batch_id = await self._hand.make_batch(batch_orders.new_batch(await json_body(request)))
        return answer({"batch_id": batch_id})

    async def _add_schedule(self, request: web.Request) -> web.Response:
        schedule = self._hand.add_schedule(run_orders.new_plan(await json_body(request)))
        return answer({"id": schedule["id"]})

    async def _skip(self, request: web.Request) -> web.Response:
        schedule_id = request.match_info["id"]
        times = run_orders.new_skip(await json_body(request))
        self._hand.skip(schedule_id, times)
        return answer({"id": schedule_id, "skip": self._world.scheduler.documents()[schedule_id]["skip"]})

    async def _play(self, request: web.Request) -> web.Response:
        name = run_orders.scenario_name(await json_body(request), bundled())
        self._playback.play(load(name))
        return answer({"name": name})

    async def _change_profiles(self, request: web.Request) -> web.Response:
        change = run_orders.profile_change(await json_body(request))
        return answer(await self._hand.change_profiles(change))

    async def _faults(self, _request: web.Request) -> web.Response:
        return answer({"faults": self._world.faults.documents()})

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        return answer({"removed": self._world.faults.clear()})

    async def _remove_fault(self, request: web.Request) -> web.Response:
        rule_id = request.match_info["id"]
        if not self._world.faults.remove(rule_id):
            raise ServiceError(404, f"No fault {rule_id!r} is in force. GET /_emulator/faults shows those that are.")
        return answer({"removed": 1})

    async def _quirks(self, _request: web.Request) -> web.Response:
        return answer({quirk.value: quirk in self._world.quirks for quirk in Quirk})

    async def _set_quirks(self, request: web.Request) -> web.Response:
        self._hand.set_quirks(orders.new_quirks(await json_body(request)))
        return await self._quirks(request)

    async def _expire_tokens(self, _request: web.Request) -> web.Response:
        return answer({"expired": self._world.tokens.expire_all()})

    async def _reset(self, _request: web.Request) -> web.Response:
        await self._playback.stop()
        await self._world.reset()
        return answer({"reset": True})

    def _job(self, request: web.Request) -> Job:
        kind = orders.kind_of(request.match_info["kind"])
        job = self._world.find(kind, request.match_info["id"])
        if job is None:
            raise ServiceError(404, f"No {kind.value} has the id {request.match_info['id']!r}.")
        return job


def _job_document(job: Job) -> Json:
    document: Json = {
        "kind": job.kind.value,
        "id": job.id,
        "sandbox": job.sandbox,
        "org": job.org,
        "status": job.status,
        "origin": job.origin,
        "script": [[step.status, step.seconds] for step in job.script],
        "step": job.position,
        "created_ms": job.created_ms,
        "updated_ms": job.updated_ms,
        "ended_ms": job.ended_ms,
        "history": [[move.status, move.at_ms] for move in job.moves],
        "errors": job.errors,
        "body": job.request,
    }
    if (target := dataset_id(job.request)) is not None:
        document["dataset"] = target
    return document
