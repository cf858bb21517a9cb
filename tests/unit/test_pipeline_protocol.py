"""A run against a platform that loses answers and lists late, in a process that may die between any two acts.

The orders are modelled as what `jobs/ordering.py` promises, which has tests of its own; here it is about the run: what
it asks for again after a crash, what it takes for an end, and what it tells.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from builders import answer
from fakes import at
from hypothesis import given
from hypothesis import strategies as st
from pipeline_builders import DATASET, SEGMENT, evaluation, export, order, plan

from segwatch.jobs.model import Status
from segwatch.jobs.order import OrderRefusal, OrderStep
from segwatch.jobs.resubmission import Step as AnswerStep
from segwatch.pipelines import advance, chain
from segwatch.pipelines.model import RunState, Step, person
from segwatch.pipelines.plausibility import BatchSeen, BatchState
from segwatch.pipelines.seen import (
    BatchesStand,
    DatasetKnown,
    EvaluationStands,
    ExportStands,
    OrderStands,
    Pending,
    Trouble,
)

LIVES = 60  # turns after which whatever happens goes well
WINDOW = timedelta(minutes=3)
LAG = timedelta(minutes=1)  # how late the list shows a new job
ADOPT_WITHIN = timedelta(minutes=2)
MAX_ATTEMPTS = 3


class Died(Exception):
    """The process was killed."""


@dataclass
class Job:
    """One job over there. ours: a POST of the run's, or of a resubmission's."""

    id: str
    made_at: object
    ends: Status
    by: str
    takes: timedelta

    def status(self, now):
        return self.ends if now >= self.made_at + self.takes else Status.PROCESSING


@dataclass
class World:
    """The platform, the disk, and the chance that rules both."""

    chance: object
    now: object = field(default_factory=lambda: at(0))
    turns: int = 0
    evaluations: list = field(default_factory=list)
    exports: list = field(default_factory=list)
    orders: dict = field(default_factory=dict)
    answers: dict = field(default_factory=dict)
    posts: list = field(default_factory=list)
    passed_over: list = field(default_factory=list)  # exports that could have been adopted when ours was posted
    own_export: bool = False
    told: list = field(default_factory=list)

    def draws(self, what, of=None):
        """Return what chance says while anything may happen, later that all is well."""
        if self.turns > LIVES:
            return False if of is None else of[0]
        return self.chance.draw(st.booleans() if of is None else st.sampled_from(of), label=what)

    def may_die(self, where):
        if self.draws(f"dies {where}"):
            raise Died

    def listed(self, jobs):
        return [job for job in jobs if self.now >= job.made_at + LAG]

    # the platform

    def make(self, kind, by):
        jobs = self.evaluations if kind == "segment_job" else self.exports
        ends = self.draws(f"{kind} ends", [Status.SUCCEEDED, Status.FAILED])
        if kind == "segment_job":
            ends = Status.SUCCEEDED
        jobs.append(Job(f"{kind}-{len(jobs) + 1}", self.now, ends, by, timedelta(minutes=2)))
        return jobs[-1]

    def tick(self):
        self.now += timedelta(minutes=1)
        self.turns += 1
        for one in self.evaluations:
            if one.status(self.now) is Status.SUCCEEDED and self.own_export:
                self.own_export = False
                self.make("export_job", "platform")
        for one in self.exports:  # the submitter's part: each failure has one answer
            if one.status(self.now) is Status.FAILED and one.id not in self.answers:
                last = sum(1 for other in self.exports if other.by != "run") >= MAX_ATTEMPTS
                self.answers[one.id] = None if last else self.make("export_job", "retry").id

    # the orders, as they are promised

    def place(self, id_, kind, *, adopts):
        there = self.orders.get(id_) or order(OrderStep.INTENDED, id=id_, kind=kind, since=self.now)
        if not there.step.is_open:
            return there
        if there.step is OrderStep.POSTING:
            found = [job for job in self.listed(self._jobs(kind)) if job.by == "run"]
            if found:
                return self._keep(replace(there, step=OrderStep.PLACED, job_id=found[0].id))
            if self.now - there.posted_at > WINDOW:
                why = OrderRefusal.UNDECIDED.value
                return self._keep(replace(there, step=OrderStep.UNDECIDED, reason=why))
            return there
        if adopted := [job for job in self.listed(self._jobs(kind)) if adopts(job)]:
            return self._keep(replace(there, step=OrderStep.ADOPTED, job_id=adopted[0].id))
        self._keep(there)
        self.may_die("before the mark")
        there = self._keep(replace(there, step=OrderStep.POSTING, posted_at=self.now))
        self.may_die("behind the mark")
        self.posts.append(kind)
        self.passed_over += [job for job in self.listed(self._jobs(kind)) if adopts(job)]
        job = self.make(kind, "run")
        self.may_die("before the answer")
        if self.draws("the answer is lost"):
            return there
        return self._keep(replace(there, step=OrderStep.PLACED, job_id=job.id))

    def _jobs(self, kind):
        return self.evaluations if kind == "segment_job" else self.exports

    def _keep(self, there):
        self.orders[there.id] = there
        return there

    # what the run sees

    def see(self, run):
        if self.draws("the call fails"):
            return Trouble(why="503")
        match run.step:
            case Step.EVALUATE:
                return OrderStands(order=self.place(f"{run.id}/evaluate", "segment_job", adopts=lambda job: False))
            case Step.EVALUATION:
                (job,) = [one for one in self.evaluations if one.id == run.segment_job]
                return EvaluationStands(job=self.state(evaluation, job))
            case Step.DATASET:
                return DatasetKnown(id=DATASET)
            case Step.EXPORT:
                since = run.evaluated_at

                def adopts(job):
                    return job.made_at >= since and job.by != "run"

                there = [job for job in self.listed(self.exports) if adopts(job)]
                if self.now < run.since + ADOPT_WITHIN and not there:
                    return Pending(why="one may come by itself")
                return OrderStands(order=self.place(f"{run.id}/export", "export_job", adopts=adopts))
            case Step.EXPORTING:
                (job,) = [one for one in self.exports if one.id == run.current_export]
                return ExportStands(at=chain.where(self.state(export, job), self.answer(job)))
            case Step.CHECK:
                return BatchesStand(batches=(BatchSeen(id="b1", state=BatchState.READY, word="success"),))
            case _:
                raise AssertionError(run.step)

    def state(self, build, job):
        status = job.status(self.now)
        ended = {"ended_at": job.made_at + job.takes} if status.is_final else {}
        facts = {"segments": (SEGMENT,)} if build is evaluation else {}
        return replace(build(status, job_id=job.id, facts=facts), created_at=job.made_at, **ended)

    def answer(self, job):
        if job.id not in self.answers:
            # the failure and its answer are written together, so one that is seen has one
            return None if job.status(self.now) is not Status.FAILED else answer(AnswerStep.SCHEDULED)
        new = self.answers[job.id]
        step = AnswerStep.SUBMITTED if new else AnswerStep.REFUSED
        return answer(step, new_id=new or "", reason="" if new else "attempts")


def live(world):
    """Take one run to its end, whatever happens on the way."""
    disk = advance.wished("nightly", "prod", plan(step_deadline=timedelta(hours=3)), person("w"), world.now)
    order_of_steps = [*Step]
    while disk.state.is_open:
        assert world.turns < 1000, "the run comes to no end"
        world.tick()
        try:
            if disk.state is RunState.WAITING:
                turn = advance.begun(disk, world.now)
            elif not disk.is_due(world.now):
                continue
            else:
                turn = advance.advance(disk, world.see(disk), world.now)
            world.may_die("before the commit")
        except Died:
            continue
        assert order_of_steps.index(turn.run.step) >= order_of_steps.index(disk.step)
        disk = turn.run
        world.told += turn.events
    return disk


@given(st.data())
def test_a_run_ends_and_begins_nothing_twice(data):
    world = World(chance=data)
    world.own_export = world.draws("the platform starts an export by itself")
    run = live(world)

    assert world.posts.count("segment_job") <= 1
    assert world.posts.count("export_job") <= 1
    assert world.passed_over == [], "an export of the platform's own was there"
    assert [event.sequence for event in world.told] == list(range(1, len(world.told) + 1))
    types = [event.type.value for event in world.told]
    assert types[0] == "pipeline.started"
    assert types[-1] == f"pipeline.{run.state.value}"
    assert set(types[1:-1]) <= {"pipeline.step_done"}
    assert run.ended_at is not None
    if run.state is RunState.SUCCEEDED:
        (last,) = [job for job in world.exports if job.id == run.current_export]
        assert last.status(world.now) is Status.SUCCEEDED
        assert last.made_at >= run.evaluated_at
        assert run.reason == ""
    else:
        assert run.reason in ("undecided", "export")
        assert run.why
