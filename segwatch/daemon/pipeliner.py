"""Drives the runs of one sandbox's pipelines: begins them, takes each a step further, and writes what became of it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from segwatch.backoff import Backoff, spread
from segwatch.daemon.abandoned import Abandoned
from segwatch.daemon.clock import Clock
from segwatch.daemon.orderer import Orderer
from segwatch.daemon.pipeline_acts import PipelineActs
from segwatch.daemon.pipeline_words import order_id
from segwatch.daemon.recorder import Recorder
from segwatch.deliveries.model import promised
from segwatch.jobs.events import EventType
from segwatch.jobs.order import OrderStep
from segwatch.pipelines import advance, trigger
from segwatch.pipelines.advance import Turn
from segwatch.pipelines.model import Plan, Reason, Run, RunState, Step
from segwatch.store.base import Change, Conflict, Store, StoreError
from segwatch.store.filters import RunFilter

log = structlog.get_logger()

_TURN_S = 1.0  # how soon a wish written by a command beside us is noticed
_PAUSE = timedelta(seconds=5)  # after the store failed
_SETBACK = Backoff(first=timedelta(seconds=5), cap=timedelta(minutes=10))  # after an error of our own
_SETBACKS_MAX = 5
_LONG_STEPS = (Step.DOWNLOAD, Step.COMMAND)
_LONG_AT_ONCE = 2
_ORDERING_STEPS = (Step.EVALUATE, Step.EXPORT)
_LOOK_LEAST_S = 5.0  # for a look that begins shortly before the deadline
_SETTLE_EVERY_S = 60.0
_ENDS = (EventType.PIPELINE_SUCCEEDED, EventType.PIPELINE_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One pipeline as it is now configured. channels: told of the end of runs that keep none of their own."""

    name: str
    plan: Plan
    channels: tuple[str, ...] = ()


class Pipeliner:
    """The worker of all pipelines of one sandbox. Runs of different pipelines go side by side, of one in turn.

    only: for one who is not the daemon: the id of the one run that it drives. It begins no other, and settles no order
    of anybody else's.
    """

    def __init__(
        self, recorder: Recorder, store: Store, clock: Clock, acts: PipelineActs, orderer: Orderer,
        abandoned: Abandoned, pipelines: Sequence[Pipeline], *, only: str = "",
    ) -> None:  # fmt: skip
        self._recorder = recorder
        self._sandbox = recorder.sandbox
        self._store = store
        self._clock = clock
        self._acts = acts
        self._orderer = orderer
        self._abandoned = abandoned
        self._pipelines: Mapping[str, Pipeline] = {one.name: one for one in pipelines}
        self._only = only
        self._long = asyncio.Semaphore(_LONG_AT_ONCE)
        self._under_way: set[str] = set()
        self._unwritten: dict[str, tuple[int, Turn]] = {}  # by run: the version that it was made of, and what it became
        self._written: dict[str, int] = {}  # the version of each run that we wrote last
        self._later: dict[str, datetime] = {}  # runs that are put off without a word on disk
        self._setbacks: Counter[str] = Counter()
        self._since: dict[str, datetime] = {}
        self._served: defaultdict[str, set[str]] = defaultdict(
            set
        )  # segment jobs of each pipeline that begin no run any more
        self._began_s = self._settle_s = clock.ran_s()

    async def run(self, beat: Callable[[], None]) -> None:
        """Drive all runs, for ever. One that the last process left is taken up where it stands."""
        await self._recorder.load()
        async with asyncio.TaskGroup() as acts:
            while True:
                beat()
                try:
                    await self._turn(acts, beat)
                except StoreError as error:
                    log.warning("pipelines_wait", sandbox=self._sandbox, error=str(error))
                await self._clock.sleep(_TURN_S)

    async def _turn(self, acts: asyncio.TaskGroup, beat: Callable[[], None]) -> None:
        found = await self._store.runs(RunFilter(sandbox=self._sandbox, open_only=True))
        open_runs = sorted(found, key=lambda run: (run.began_at, run.id))
        now = self._clock.now()
        self._later = {run.id: self._later[run.id] for run in open_runs if run.id in self._later}
        self._written = {run.id: self._written[run.id] for run in open_runs if run.id in self._written}
        self._unwritten = {run.id: self._unwritten[run.id] for run in open_runs if run.id in self._unwritten}
        busy = {run.pipeline for run in open_runs if run.state is RunState.RUNNING}
        for run in open_runs:
            self._serves(run)
            if self._only not in ("", run.id) or run.id in self._under_way or not self._is_due(run, now):
                continue
            if run.version < self._written.get(run.id, 0):
                continue  # it was read before its last act was written, which must not be done again
            if run.state is RunState.WAITING:
                if run.pipeline not in busy:
                    busy.add(run.pipeline)
                    await self._write(run, advance.begun(run, now))
                continue
            self._under_way.add(run.id)
            acts.create_task(self._act(run, beat), name=f"pipeline:{run.pipeline}/{run.id}")
        if self._only:
            return
        taken = {run.pipeline for run in open_runs}
        for pipeline in self._pipelines.values():
            if pipeline.plan.after != "manual":
                await self._trigger(pipeline, is_free=pipeline.name not in taken)
        if self._clock.ran_s() >= self._settle_s:
            self._settle_s = self._clock.ran_s() + _SETTLE_EVERY_S
            acts.create_task(self._settle_orders(beat), name=f"orders:{self._sandbox}")

    def _is_due(self, run: Run, now: datetime) -> bool:
        return replace(run, due_at=max(run.due_at, self._later.get(run.id, run.due_at))).is_due(now)

    async def _trigger(self, pipeline: Pipeline, *, is_free: bool) -> None:
        """Begin a run where a segment job is there that should have begun one. is_free: none of its runs is open."""
        name, behind = pipeline.name, self._recorder.clock_behind
        if name not in self._since:
            if behind is None:  # nothing that this process has seen could begin one, and its times are not known yet
                return
            ran = timedelta(seconds=self._clock.ran_s() - self._began_s)
            began = self._clock.now() - ran - behind  # by the platform's clock, as are the ends of what begins a run
            self._since[name] = await self._store.followed_since(self._sandbox, name, began)
            for run in await self._store.runs(RunFilter(sandbox=self._sandbox, pipeline=name)):
                self._serves(run)
        known, served = self._recorder.known("segment_job"), self._served[name]
        job = trigger.begins(pipeline.plan, known, served, self._since[name]) if is_free else None
        if job is not None:
            turn = advance.triggered(name, self._sandbox, pipeline.plan, job, self._clock.now())
            log.info("pipeline_triggered", pipeline=name, run=turn.run.id, segment_job=job.key.id)
            await self._write(None, turn)

    async def _settle_orders(self, beat: Callable[[], None]) -> None:
        """Find out what became of orders whose command has died; the runs need not wait for that."""
        try:
            again = await self._abandoned.settle(beat)
            if again is not None:
                self._settle_s = min(self._settle_s, self._clock.ran_s() + again.total_seconds())
        except StoreError as error:
            log.warning("orders_wait", sandbox=self._sandbox, error=str(error))
        except Exception:
            log.exception("orders_not_settled", sandbox=self._sandbox)

    def _serves(self, run: Run) -> None:
        """Keep in mind which segment jobs begin no further run of this pipeline."""
        self._served[run.pipeline] |= {run.segment_job, run.cause.removeprefix("job/")}

    async def _act(self, run: Run, beat: Callable[[], None]) -> None:
        """Take one run one step further. One that we did not expect is put aside, and at last given up."""
        try:
            await self._write(run, await (self._kept if run.step in _LONG_STEPS else self._acted)(run, beat))
            self._unwritten.pop(run.id, None)
            self._setbacks.pop(run.id, None)
        except Conflict:
            log.info("pipeline_changed_meanwhile", pipeline=run.pipeline, run=run.id)
        except StoreError as error:
            self._later[run.id] = self._clock.now() + _PAUSE
            log.warning("pipeline_waits", pipeline=run.pipeline, run=run.id, error=str(error))
        except Exception as error:
            log.exception("pipeline_failed", pipeline=run.pipeline, run=run.id, step=run.step.value)
            await self._set_back(run, error)
        finally:
            self._under_way.discard(run.id)

    async def _kept(self, run: Run, beat: Callable[[], None]) -> Turn:
        """Return what became of a run by an act that takes its time.

        What could not be written is kept: a command is not told the same again because the disk was full.
        """
        version, turn = self._unwritten.get(run.id, (None, None))
        if turn is None or version != run.version:
            turn = await self._acted(run, beat)
            self._unwritten[run.id] = (run.version, turn)
        return turn

    async def _acted(self, run: Run, beat: Callable[[], None]) -> Turn:
        """Return what became of a run by a look or an act, which is stopped at the deadline of its step."""
        deadline = asyncio.timeout(self._bound_s(run))
        try:
            async with deadline, self._long if run.step in _LONG_STEPS else nullcontext():
                seen = await self._acts.see(run, beat)
            return advance.advance(run, seen, self._clock.now())
        except TimeoutError:
            if not deadline.expired():
                raise
        await self._acts.stop(run)
        order = await self._store.order(order_id(run, run.step)) if run.step in _ORDERING_STEPS else None
        return advance.stopped(run, order, self._clock.now())

    def _bound_s(self, run: Run) -> float | None:
        """Return how long this act may take; None for a look behind the deadline, which bounds itself by its calls.

        What such a look shows counts: we may have been away for a day.
        """
        left_s = (run.since + run.plan.step_deadline - self._clock.now()).total_seconds()
        if run.step in _LONG_STEPS:
            return left_s
        return max(left_s, _LOOK_LEAST_S) if left_s > 0 else None

    async def _set_back(self, run: Run, error: Exception) -> None:
        self._setbacks[run.id] += 1
        count, now = self._setbacks[run.id], self._clock.now()
        self._later[run.id] = now + _SETBACK.delay(count, spread(run.id))
        if count >= _SETBACKS_MAX:
            why = f"segwatch fails on it ({type(error).__name__}); its log tells where"
            with suppress(StoreError):  # then the next setback ends it
                await self._write(run, advance.failed(run, Reason.INTERNAL, why, now))

    async def _write(self, before: Run | None, turn: Turn) -> None:
        """Write what became of a run, and the promises to tell of its end; nothing for a look that showed nothing."""
        run = turn.run
        if before is not None and not turn.events and replace(run, due_at=before.due_at) == before:
            self._later[run.id] = run.due_at
            return
        run = replace(run, version=before.version + 1 if before else 1)
        now = self._clock.now()
        promises = tuple(
            promised(event, channel, now)
            for event in turn.events
            if event.type in _ENDS
            for channel in self._channels(run)
        )

        async def changes() -> Sequence[Change]:
            return [Change(run=run, run_before=before, events=turn.events, deliveries=promises)]

        await self._recorder.write(changes)
        self._written[run.id] = run.version
        self._later.pop(run.id, None)
        self._serves(run)
        if run.state is RunState.FAILED and run.step in _ORDERING_STEPS:
            await self._withdraw(run)

    def _channels(self, run: Run) -> tuple[str, ...]:
        if run.plan.channels is not None:
            return run.plan.channels
        return self._pipelines[run.pipeline].channels if run.pipeline in self._pipelines else ()

    async def _withdraw(self, run: Run) -> None:
        """Let nobody send what a run that is over had wanted."""
        order = await self._store.order(order_id(run, run.step))
        if order is not None and order.step is OrderStep.INTENDED:
            await self._orderer.withdraw(order, f"run {run.id} of pipeline {run.pipeline} has ended")
