"""Several processes order the same job, and die whenever they like: no order ever leads to two jobs, nor do equal ones.

The orderer and the SQL are the real ones; the platform is a model that loses answers, declines, lists late, and leaves
out times, on a host whose clock is wrong and is set. Each
step of a process is a turn that the test gives it, so that every order of steps and every moment of death can happen.
"""

import asyncio
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from examples import examples
from fakes import T0, FakeClock
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segwatch.daemon.orderer import Orderer, OrderPolicy
from segwatch.jobs.model import Facts, JobKey, Missing, Observation, Status
from segwatch.jobs.order import Order, OrderStep, wanted
from segwatch.jobs.resubmission import Resubmission
from segwatch.kinds.base import Page, Request
from segwatch.kinds.export_job import KIND
from segwatch.store import orders, reads, writes
from segwatch.store.file import migrations
from segwatch.upstream.errors import Fate, RateLimited, Refused, Unavailable

WINDOW = timedelta(seconds=60)
MUCH_LATER_S = 1800  # what no look can tell, but an UNDECIDED order still keeps equal ones away
HOLD_S = 50  # within which the platform acts on a request, and lists what came of it
BODY = '{"destination":{"datasetId":"d1"}}'
FACTS = Facts(dataset="d1", request=BODY, fingerprint="f")
# the same, with what the platform would fill in
FILLED = Facts(dataset="d1", request=BODY[:-1] + ',"mergePolicy":{"id":"mp","version":1}}', fingerprint="filled")
DEEPER = Request(method="GET", path="/deeper", endpoint="/deeper")
PROCESSES = ("a", "b", "c")
WORDS = {"a": FACTS, "b": FACTS, "c": FILLED}


class Fortune(StrEnum):
    """What becomes of a POST, and what we hear of it."""

    TAKEN = "taken"
    LOST_BUT_TAKEN = "lost but taken"
    LOST_AND_TAKEN_MUCH_LATER = "lost and taken much later"
    LOST = "lost"
    DECLINED_BUT_TAKEN = "declined but taken"
    DECLINED = "declined"
    THROTTLED = "throttled"
    REJECTED = "rejected"


class Killed(BaseException):
    """kill -9: nothing of the process goes on."""


@dataclass
class Job:
    id: str
    created_at: datetime
    order: str  # the one whose POST made it; "" for other people's
    ended_at: datetime | None = None


@dataclass
class Platform:
    """cut_until: until then, by its clock, it fails at every page of its list but the first."""

    jobs: list[Job] = field(default_factory=list)
    lag_s: float = 0
    effect_s: float = 0
    fills_in: bool = False
    fortunes: list[Fortune] = field(default_factory=list)
    replies_tell_times: bool = True
    cut_until: datetime = T0

    def create(self, when: datetime, order: str = "") -> Job:
        self.jobs.append(Job(id=str(len(self.jobs) + 1), created_at=when, order=order))
        return self.jobs[-1]

    def shown(self, job: Job, now: datetime) -> Observation:
        """now: by the platform's clock, as are all times here."""
        status = Status.SUCCEEDED if job.ended_at and job.ended_at <= now else Status.PROCESSING
        key = JobKey(sandbox="prod", kind="export_job", id=job.id)
        return Observation(
            key=key, status=status, word=status.value, asked_at=now, created_at=job.created_at,
            facts=FILLED if self.fills_in else WORDS[job.order[-1]],
        )  # fmt: skip

    def list(self, now: datetime) -> list[Observation]:
        lag = timedelta(seconds=self.lag_s)
        return [self.shown(job, now) for job in reversed(self.jobs) if job.created_at + lag <= now]


class Disk:
    """The tables of the store in memory, written by the store's own SQL."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        for sql in migrations():
            self.db.executescript(sql)

    def of(self, process: "Process") -> "Handle":
        return Handle(self, process)


class Handle:
    """The store as one process has it: one that is dead writes nothing."""

    def __init__(self, disk: Disk, process: "Process") -> None:
        self._db, self._process = disk.db, process

    async def commit(self, changes):
        self._process.must_live()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            writes.apply(self._db, changes)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    async def order(self, id_):
        return orders.order(self._db, id_)

    async def orders(self, sandbox="", *, kind="", steps=(), owner="", fingerprint="", since=None):
        return orders.orders(self._db, sandbox, kind, steps, owner, fingerprint, since)

    async def jobs(self, wanted, *, limit=None):
        return reads.jobs(self._db, wanted, limit)

    async def resubmissions(self, sandbox="", *, steps=(), since=None) -> list[Resubmission]:
        return reads.resubmissions(self._db, sandbox, steps, since)

    async def position(self, sandbox, kind):
        return reads.position(self._db, sandbox, kind)


class Process:
    """One command, whose every step waits for its turn. As a Source it asks the model platform."""

    kind = KIND
    sandbox = "prod"

    def __init__(self, name: str, house: "House") -> None:
        self.name = name
        self.house = house
        self.dead = False
        self.turn: asyncio.Future[None] | None = None
        self.task: asyncio.Task[Order] | None = None
        policy = OrderPolicy(settle_window=WINDOW, believed_after=timedelta(minutes=10))
        self.orderer = Orderer({"export_job": self}, house.disk.of(self), house.clock, policy, grace_s=0)
        self.wish = wanted(
            f"cmd-{name}", sandbox="prod", kind="export_job", owner="command", request=WORDS[name].request,
            fingerprint=WORDS[name].fingerprint,
            now=house.clock.now(), not_before=house.clock.now() - timedelta(hours=6), dataset="d1",
        )  # fmt: skip

    @property
    def clock_behind(self) -> timedelta:
        """What the dates of its answers tell, if there are any."""
        return self.house.clock.now() - self.house.now_there() if self.house.tells_dates else timedelta()

    def must_live(self) -> None:
        if self.dead:
            raise Killed

    async def _my_turn(self) -> None:
        self.turn = asyncio.get_running_loop().create_future()
        await self.turn
        self.must_live()

    async def page(self, request) -> Page:
        platform, now = self.house.platform, self.house.now_there()
        rows, is_cut = platform.list(now), now < platform.cut_until
        await self._my_turn()
        if request == DEEPER:
            raise Refused("too deep", fate=Fate.ANSWERED, reason="http_400", status=400)
        return Page(rows=tuple(rows[:1]), next=DEEPER) if is_cut and rows else Page(rows=tuple(rows))

    async def one(self, job_id):
        (job,) = [job for job in self.house.platform.jobs if job.id == job_id]
        now = self.house.now_there()
        if job.created_at > now:
            return Missing(key=JobKey(sandbox="prod", kind="export_job", id=job_id), asked_at=now)
        return self.house.platform.shown(job, now)

    async def post(self, request, *, before_send):
        await self._my_turn()  # for a token, and for the budget
        await before_send()
        await self._my_turn()
        platform, now = self.house.platform, self.house.now_there()
        fortune = platform.fortunes.pop(0) if platform.fortunes else Fortune.TAKEN
        delay_s = {
            Fortune.TAKEN: 0, Fortune.LOST_BUT_TAKEN: platform.effect_s, Fortune.DECLINED_BUT_TAKEN: platform.effect_s,
            Fortune.LOST_AND_TAKEN_MUCH_LATER: MUCH_LATER_S,
        }.get(fortune)  # fmt: skip
        if delay_s is not None:
            made = platform.create(now + timedelta(seconds=delay_s), f"cmd-{self.name}")
        await self._my_turn()
        match fortune:
            case Fortune.TAKEN:
                reply = platform.shown(made, self.house.now_there())
                return reply if platform.replies_tell_times else replace(reply, created_at=None)
            case Fortune.LOST | Fortune.LOST_BUT_TAKEN | Fortune.LOST_AND_TAKEN_MUCH_LATER:
                raise Unavailable("lost", fate=Fate.LOST, reason="reset")
            case Fortune.DECLINED | Fortune.DECLINED_BUT_TAKEN:
                raise Unavailable("declined", fate=Fate.ANSWERED, reason="http_500", status=500)
            case Fortune.THROTTLED:
                raise RateLimited("slow down", retry_after=None, fate=Fate.ANSWERED)
            case Fortune.REJECTED:
                raise Refused("no", fate=Fate.ANSWERED, reason="http_400", status=400)

    async def step(self) -> None:
        """Let it act until it waits for its next turn, or has gone as far as it can for now."""
        if self.task is None:
            place = self.orderer.place(self.wish, lambda: None, adopt="never", serves=lambda row, order: False)
            self.task = asyncio.create_task(place)
        elif self.turn is not None:
            turn, self.turn = self.turn, None
            turn.set_result(None)
        while not self.task.done() and self.turn is None:  # noqa: ASYNC110 - what it waits for is the loop's next round
            await asyncio.sleep(0)
        if self.task.done():
            with suppress(Killed):
                self.wish = self.task.result()
            self.task = None


class House:
    """tells_dates: the platform's answers tell what its clock shows. Our clock may show anything, and be set."""

    def __init__(self, *, ahead: timedelta = timedelta(), tells_dates: bool = True) -> None:
        self.clock = FakeClock()
        self.clock.set(self.clock.now() + ahead)
        self.tells_dates = tells_dates
        self.disk = Disk()
        self.platform = Platform()
        self.processes = {name: Process(name, self) for name in PROCESSES}

    def now_there(self) -> datetime:
        """What the platform's clock shows."""
        return T0 + timedelta(seconds=self.clock.ran_s())

    async def kill(self, name: str) -> None:
        """End the process at once, and start it anew with the same wish."""
        old = self.processes[name]
        old.dead = True
        if old.task is not None:
            await old.step()
        new = self.processes[name] = Process(name, self)
        new.wish = replace(new.wish, since=old.wish.since, not_before=old.wish.not_before)

    async def close(self) -> None:
        for name in PROCESSES:
            await self.kill(name)
        self.disk.db.close()

    async def until_all_ended(self) -> None:
        """Let everybody act for as long as anything is open."""
        for _ in range(9000):
            idle = True
            for process in self.processes.values():
                if process.task is not None or (process.wish.step.is_open and process.wish.is_due(self.clock.now())):
                    await process.step()
                    idle = False
            if all(not process.wish.step.is_open for process in self.processes.values()):
                return
            if idle:
                await self.clock.advance(seconds=1)
        raise AssertionError([process.wish for process in self.processes.values()])


STEPS = st.one_of(
    st.tuples(st.just("step"), st.sampled_from(PROCESSES)),
    st.tuples(st.just("step"), st.sampled_from(PROCESSES)),
    st.tuples(st.just("step"), st.sampled_from(PROCESSES)),
    st.tuples(st.just("kill"), st.sampled_from(PROCESSES)),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 30, 61, 200])),
    st.tuples(st.just("fortune"), st.sampled_from(list(Fortune))),
    st.tuples(st.just("end"), st.just("")),
    st.tuples(st.just("cut"), st.sampled_from([20, 120, 900])),
    st.tuples(st.just("set"), st.sampled_from([-120, -20, 20, 120])),
)
CLOCKS = st.sampled_from([(0, True), (0, True), (20, True), (20, False), (-40, True), (-40, False), (120, True)])


async def lived(
    steps, lag_s: float, effect_s: float, *, fills_in: bool = False, clock=(0, True), times_told: bool = True
) -> House:
    ahead_min, tells_dates = clock
    house = House(ahead=timedelta(minutes=ahead_min), tells_dates=tells_dates)
    house.platform.replies_tell_times = times_told
    house.platform.lag_s, house.platform.effect_s, house.platform.fills_in = lag_s, effect_s, fills_in
    for what, arg in steps:
        match what:
            case "step":
                await house.processes[arg].step()
            case "kill":
                await house.kill(arg)
            case "wait":
                await house.clock.advance(seconds=arg)
            case "fortune":
                house.platform.fortunes.append(arg)
            case "end":
                for job in house.platform.jobs:
                    job.ended_at = job.ended_at or max(house.now_there(), job.created_at)
            case "cut":
                house.platform.cut_until = house.now_there() + timedelta(seconds=arg)
            case "set" if tells_dates:  # else nobody could know
                house.clock.set(house.clock.now() + timedelta(minutes=arg))
    await house.until_all_ended()
    return house


RIGHT = {"clock": (0, True), "times_told": True, "fills_in": False}


def one_death_after(steps: int) -> list[tuple[str, str]]:
    return [("step", "a")] * steps + [("kill", "a")]


DECLINED_AND_TAKEN = [
    ("fortune", Fortune.DECLINED_BUT_TAKEN), *[("step", "a")] * 5, ("end", ""), *[("step", "a"), ("wait", 30)] * 9,
]  # fmt: skip


@example(steps=one_death_after(3), times=(0, 0), **RIGHT)
@example(steps=one_death_after(4), times=(0, 0), **RIGHT)
@example(steps=[("fortune", Fortune.LOST_BUT_TAKEN), *one_death_after(4), ("step", "b")], times=(20, 30), **RIGHT)
@example(steps=[("fortune", Fortune.DECLINED_BUT_TAKEN), *[("step", "a")] * 5, ("wait", 200)], times=(20, 30), **RIGHT)
@example(steps=[("fortune", Fortune.DECLINED_BUT_TAKEN), *[("step", "a")] * 5], times=(20, 30), **RIGHT)
@example(steps=[("fortune", Fortune.LOST_AND_TAKEN_MUCH_LATER), *[("step", "a")] * 5], times=(0, 0), **RIGHT)
@example(steps=[("step", "a"), ("step", "b")] * 5, times=(40, 0), **RIGHT)
@example(steps=[("step", "a"), ("step", "c")] * 5, times=(40, 0), **RIGHT | {"fills_in": True})
@example(steps=DECLINED_AND_TAKEN, times=(0, 0), **RIGHT | {"clock": (20, True)})
@example(steps=DECLINED_AND_TAKEN, times=(0, 0), **RIGHT | {"clock": (20, False)})
@example(steps=DECLINED_AND_TAKEN, times=(0, 0), **RIGHT | {"clock": (-40, False)})
@example(steps=[*DECLINED_AND_TAKEN[:4], ("set", 20), *DECLINED_AND_TAKEN[4:]], times=(0, 0), **RIGHT)
@example(
    steps=[("fortune", Fortune.DECLINED_BUT_TAKEN), ("step", "a"), ("step", "a"), ("step", "b")], times=(29, 15),
    clock=(20, False), times_told=True, fills_in=True,
)  # fmt: skip
@example(steps=[("fortune", Fortune.LOST_BUT_TAKEN), *[("step", "a")] * 5, ("cut", 900)], times=(0, 0), **RIGHT)
@settings(max_examples=examples(100))
@given(
    steps=st.lists(STEPS, max_size=40),
    times=st.tuples(st.integers(0, HOLD_S), st.integers(0, HOLD_S)).filter(lambda pair: sum(pair) <= HOLD_S),
    clock=CLOCKS,
    times_told=st.booleans(),
    fills_in=st.booleans(),
)
def test_equal_orders_of_mortal_processes_never_lead_to_two_jobs_at_a_time(steps, times, clock, times_told, fills_in):
    """One of them names what the others leave to the platform, which may tell of all jobs what it filled in."""

    async def story():
        house = await lived(steps, *times, clock=clock, times_told=times_told, fills_in=fills_in)
        try:
            made = sorted(house.platform.jobs, key=lambda job: job.created_at)
            per_order = [job.order for job in made]
            assert len(per_order) == len(set(per_order)), made
            waited_s = sum(arg for what, arg in steps if what in ("wait", "cut"))
            for job, later in pairwise(made if waited_s < MUCH_LATER_S else []):
                assert job.ended_at is not None, made
                assert job.ended_at <= later.created_at, made
            on_disk = orders.orders(house.disk.db, "", "", (), "", "", None)
            for order in on_disk:
                of_it = [job.id for job in made if job.order == order.id]
                if order.step is OrderStep.PLACED:
                    assert of_it == [order.job_id]
                if order.step is OrderStep.REFUSED and order.reason != "exists":
                    assert of_it == []
        finally:
            await house.close()

    asyncio.run(story())
