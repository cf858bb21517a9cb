"""How computed jobs pass through their statuses, with a bench that only pretends to compute."""

import asyncio
import time

import pytest
from emulator_fixtures import until

from segwatch.emulator.engine import Engine, Job, Kind, Step
from segwatch.emulator.seed import chance, facts
from segwatch.emulator.workshop import Workshop


class FakeBench:
    """Takes a while, and keeps what it was asked for. refuses: what it says no to."""

    def __init__(self, takes_s=0.0, profiles=0, refuses="", too_late=False):
        self.takes_s, self.profiles, self.refuses, self.too_late = takes_s, profiles, refuses, too_late
        self.calls, self.at_work, self.most = [], 0, 0

    async def prepare(self):
        pass

    async def size(self, job):
        return self.profiles

    async def evaluate(self, job):
        await self._work("evaluate", job)

    async def export(self, job):
        await self._work("export", job)

    def withdraw(self, job):
        return not self.too_late

    async def _work(self, what, job):
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.at_work -= 1
        if self.refuses:
            raise ValueError(self.refuses)
        self.calls.append((what, job.id))


class Shop:
    def __init__(self, bench, speed=1000.0):
        loop = asyncio.get_running_loop()
        self.done = []
        self.engine = Engine(speed=speed, now=time.time, call_later=loop.call_later, changed=lambda job: None)
        self.workshop = Workshop(self.engine, bench, speed=speed, now=time.time, done=self.done.append)

    def job(self, job_id, *words, kind=Kind.SEGMENT_JOB, sandbox="prod", request=None):
        script = tuple(Step(status=word, seconds=0) for word in words or ("NEW", "QUEUED", "PROCESSING", "SUCCEEDED"))
        return Job(
            kind=kind, id=job_id, sandbox=sandbox, org="o", origin="platform", request=request or {"segments": ["*"]},
            facts=facts(chance(0, "t", 0), batches=1), script=script, computed=True,
        )  # fmt: skip

    def take(self, *jobs):
        for job in jobs:
            self.workshop.take(job)


async def ended(*jobs):
    async def are_over():
        return all(job.is_final for job in jobs)

    await until(are_over)


async def at_work(bench):
    async def is_at_work():
        return bench.at_work

    await until(is_at_work)


def words(job):
    return [move.status for move in job.moves]


async def test_evaluations_of_a_sandbox_wait_for_each_other_in_their_order_and_others_do_not():
    bench = FakeBench(takes_s=0.05)
    shop = Shop(bench)
    first, second, third = (shop.job(name) for name in "abc")
    elsewhere = shop.job("d", sandbox="dev")
    shop.take(first, second, third, elsewhere)
    assert words(second) == ["NEW"]
    await ended(first, elsewhere)
    assert words(third)[-1] == "QUEUED"
    await ended(second, third)
    assert [job_id for _, job_id in bench.calls if job_id != "d"] == ["a", "b", "c"]
    assert bench.most == 2
    assert second.started_ms >= first.ended_ms
    assert third.started_ms >= second.ended_ms


async def test_exports_run_side_by_side():
    bench = FakeBench(takes_s=0.05)
    shop = Shop(bench)
    jobs = [shop.job(n, "NEW", "PROCESSING", "SUCCEEDED", kind=Kind.EXPORT_JOB, request={}) for n in range(3)]
    shop.take(*jobs)
    await ended(*jobs)
    assert bench.most == 3


async def test_an_export_that_evaluates_waits_for_its_turn_and_evaluates_before_it_writes():
    bench = FakeBench(takes_s=0.05)
    shop = Shop(bench, speed=100_000)
    evaluation = shop.job("a")
    request = {"evaluationInfo": {"segmentation": True}}
    export = shop.job(1, "NEW", "PROCESSING", "SUCCEEDED", kind=Kind.EXPORT_JOB, request=request)
    shop.take(evaluation)
    await at_work(bench)
    shop.take(export)
    await ended(evaluation, export)
    assert bench.calls == [("evaluate", "a"), ("evaluate", 1), ("export", 1)]


async def test_a_job_takes_as_long_as_its_work_by_the_speed_and_never_less_than_the_computation():
    small, large = Shop(FakeBench(profiles=0)), Shop(FakeBench(profiles=20_000_000))
    slow = Shop(FakeBench(takes_s=0.3), speed=1e6)
    jobs = [shop.job("a") for shop in (small, large, slow)]
    for shop, job in zip((small, large, slow), jobs, strict=True):
        shop.take(job)
    await ended(*jobs)
    took = [job.ended_ms - job.started_ms for job in jobs]
    assert took == [pytest.approx(100, abs=60), pytest.approx(500, abs=60), pytest.approx(300, abs=60)]
    assert jobs[1].script[2] == Step(status="PROCESSING", seconds=pytest.approx(500))


async def test_what_cannot_be_computed_fails_and_says_why_and_the_next_has_its_turn():
    bench = FakeBench(refuses="line 1, column 3: no such field")
    shop = Shop(bench)
    first, second = shop.job("a"), shop.job("b")
    shop.take(first, second)
    await ended(first, second)
    assert words(first) == ["NEW", "QUEUED", "PROCESSING", "FAILED"]
    assert first.errors[0]["msg"] == "line 1, column 3: no such field"
    assert shop.done == []


async def test_an_outcome_other_than_success_computes_nothing_but_takes_its_turn():
    bench = FakeBench()
    shop = Shop(bench)
    failing = shop.job("a", "NEW", "QUEUED", "PROCESSING", "FAILED")
    good = shop.job("b")
    shop.take(failing, good)
    await ended(failing, good)
    assert bench.calls == [("evaluate", "b")]
    assert shop.done == [good]
    assert good.started_ms >= failing.ended_ms


@pytest.mark.parametrize("at", ["QUEUED", "PROCESSING"])
async def test_a_dropped_job_computes_nothing_and_makes_room(at):
    bench = FakeBench(takes_s=0.2)
    shop = Shop(bench)
    first, second = shop.job("a"), shop.job("b")
    shop.take(first, second)
    await at_work(bench)
    assert words(second)[-1] == "QUEUED"
    dropped, kept = (second, first) if at == "QUEUED" else (first, second)
    shop.workshop.drop(dropped)
    await ended(kept)
    assert bench.calls == [("evaluate", kept.id)]
    assert words(dropped)[-1] == at


async def test_a_cancel_that_comes_after_the_effect_lets_the_job_succeed():
    bench = FakeBench(takes_s=1.5, too_late=True)
    shop = Shop(bench)
    job = shop.job("a")
    shop.take(job)
    await at_work(bench)
    assert not shop.workshop.withdraw(job)
    await ended(job)
    assert words(job)[-2:] == ["PROCESSING", "SUCCEEDED"]
    async with asyncio.timeout(10):
        while not shop.workshop.withdraw(job):  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.002)


async def test_jobs_of_a_process_that_ended_go_on_where_they_were():
    bench = FakeBench()
    shop = Shop(bench)
    running, waiting = shop.job("a"), shop.job("b")
    for _ in range(3):
        shop.engine.move(running)
    for _ in range(2):
        shop.engine.move(waiting)
    shop.take(running, waiting)
    await ended(running, waiting)
    assert words(running) == words(waiting) == ["NEW", "QUEUED", "PROCESSING", "SUCCEEDED"]
    assert bench.calls == [("evaluate", "a"), ("evaluate", "b")]


async def test_the_seed_dialect_starts_at_once_and_waits_only_for_another():
    shop = Shop(FakeBench(takes_s=0.05))
    first, second = (shop.job(name, "PROCESSING", "SUCCEEDED") for name in "ab")
    shop.take(first, second)
    assert (words(first), words(second)) == (["PROCESSING"], ["QUEUED"])
    await ended(first, second)
    assert second.started_ms >= first.ended_ms


async def test_nothing_is_at_work_after_closing():
    bench = FakeBench(takes_s=5)
    shop = Shop(bench, speed=1e6)
    job = shop.job("a")
    shop.take(job)
    await at_work(bench)
    await shop.workshop.close()
    assert (bench.at_work, bench.calls, words(job)[-1]) == (0, [], "PROCESSING")
