"""Answers all looks at one stream (a kind of job in a sandbox) with few calls, and finds new jobs on the way."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from segwatch.daemon.clock import Clock
from segwatch.daemon.demand import Demand
from segwatch.daemon.poller import Looked
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.source import Source
from segwatch.daemon.sweep import BULK, Sweep
from segwatch.jobs import reading
from segwatch.jobs.cadence import RETRY_WITHIN, Cadence
from segwatch.jobs.model import JobKey, JobState
from segwatch.jobs.reading import Plan, Position
from segwatch.store.base import StoreError
from segwatch.upstream.errors import Refused, UpstreamError

log = structlog.get_logger()

_BEAT_EVERY_S = 10.0
_DISTRUST = timedelta(hours=1)


class StreamHealth(Protocol):
    """Who wants to know whether a sandbox answers, and whether what it says can be recorded."""

    async def answered(self, kind: str, at: datetime) -> None:
        """Note a complete sweep, whose first call was made at `at`."""

    async def failed(self, kind: str, error: UpstreamError | StoreError, at: datetime) -> None:
        """Note a sweep that began at `at` and was cut short."""


@dataclass(slots=True, kw_only=True)
class _Look:
    due: datetime
    answer: "asyncio.Future[Looked]"


class Reader:
    """The worker of one stream. Pollers wait at `look`; `run` sweeps when the first of them, or discovery, is due.

    on_active: called for every active job that nobody looks at yet. on_recovery: called when the platform answers
    again after a failure.
    """

    def __init__(
        self, source: Source, recorder: Recorder, clock: Clock, cadence: Cadence, health: StreamHealth,
        *, demand: Demand, began_at: datetime, lookback: timedelta, on_active: Callable[[JobState], None],
        on_recovery: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._source = source
        self._kind = source.kind
        self._recorder = recorder
        self._clock = clock
        self._cadence = cadence
        self._health = health
        self._demand = demand
        self._began_at = began_at
        self._lookback = lookback
        self._on_active = on_active
        self._on_recovery = on_recovery
        self._failures = 0  # of the platform, in a row
        self._store_failures = 0
        self._stream = f"{source.sandbox}/{source.kind.name}"
        self._looks: dict[JobKey, _Look] = {}
        self._rung = asyncio.Event()
        self._next_discovery = clock.now() + cadence.phase(self._stream)
        self._reconciled_at: datetime | None = None
        self._distrusted_until: datetime | None = None
        self._doubted = False
        self._calls = 1.0  # per sweep, smoothed
        self._page_most = self._kind.page_most
        self._page = self._page_most  # what the platform gives, as well as we know

    def stretch(self) -> float:
        """Return how much longer than wished the intervals must be for the call budget to suffice."""
        return self._demand.stretch(self._source.calls_per_second)

    async def look(self, key: JobKey, due: datetime, beat: Callable[[], None]) -> Looked:
        """Return the job as soon as somebody looked at it, which happens at `due` at the latest; see Reads."""
        look = self._looks[key] = _Look(due=due, answer=asyncio.get_running_loop().create_future())
        if due < self._next_discovery:
            self._rung.set()
        try:
            while not look.answer.done():
                beat()  # we wait for the reader, whose own heartbeat tells whether it turns
                await asyncio.wait([look.answer], timeout=_BEAT_EVERY_S)
            return look.answer.result()
        finally:
            if self._looks.get(key) is look:
                del self._looks[key]

    def retry_now(self) -> None:
        """Sweep at once if the last sweep failed: the platform was just seen to answer."""
        if self._failures:
            self._next_discovery = self._clock.now()
            self._rung.set()

    async def run(self, beat: Callable[[], None]) -> None:
        """Sweep, for ever."""
        position = await self._begin(beat)
        while True:
            await self._wait(beat)
            started = self._clock.now()
            try:
                position = await self._sweep(position, started, beat)
            except UpstreamError as error:
                self._failures += 1
                log.warning("sweep_failed", stream=self._stream, failures=self._failures, error=str(error))
                await self._health.failed(self._kind.name, error, started)
                self._put_off(self._cadence.after_failure(self._failures, self._stream, stretch=self.stretch()))
            except StoreError as error:
                self._store_failed(error)
                await self._health.failed(self._kind.name, error, started)
            else:
                self._schedule(started)
                self._store_failures = 0
                recovered, self._failures = self._failures > 0, 0
                await self._health.answered(self._kind.name, started)
                if recovered:
                    self._on_recovery()

    async def _begin(self, beat: Callable[[], None]) -> Position:
        """Return where we stood, as soon as the store can tell, and start the pollers of what was active then."""
        while True:
            try:
                await self._recorder.load()
                position = await self._recorder.position(self._kind.name, self._began_at)
            except StoreError as error:
                self._store_failed(error)
                await self._wait(beat)
            else:
                for job in self._recorder.active(self._kind.name):
                    self._on_active(job)
                return position

    def _store_failed(self, error: StoreError) -> None:
        self._store_failures += 1
        log.warning("sweep_failed", stream=self._stream, failures=self._store_failures, error=str(error))
        self._put_off(self._cadence.after_store_failure(self._store_failures, self._stream))

    async def _wait(self, beat: Callable[[], None]) -> None:
        while True:
            beat()
            due = min([self._next_discovery, *(look.due for look in self._looks.values())])
            wait_s = (due - self._clock.now()).total_seconds()
            if wait_s <= 0 or wait_s > self._longest_wait_s():  # the latter: the clock was set back
                return
            self._rung.clear()
            try:
                async with asyncio.timeout(min(wait_s, _BEAT_EVERY_S)):
                    await self._rung.wait()
            except TimeoutError:
                continue

    def _longest_wait_s(self) -> float:
        longest = max(self._cadence.interval * self.stretch(), self._cadence.idle, RETRY_WITHIN)
        return 2 * longest.total_seconds()

    def _schedule(self, started: datetime) -> None:
        any_active = bool(self._recorder.active(self._kind.name))
        self._next_discovery = self._cadence.next_discovery(started, any_active=any_active, stretch=self.stretch())

    def _put_off(self, wait: timedelta) -> None:
        """Sweep again after `wait`, whatever is due."""
        self._next_discovery = self._clock.now() + wait
        for look in self._looks.values():
            look.due = max(look.due, self._next_discovery)

    async def _sweep(self, position: Position, started: datetime, beat: Callable[[], None]) -> Position:
        """Look at the whole stream: record what changed, answer every waiting look, start pollers for new jobs.

        position: where the last complete sweep came to. Returns where this one did.
        """
        calls_before, ran_s = self._source.calls, self._clock.ran_s()
        reconcile = self._reconciled_at is None or started - self._reconciled_at >= self._cadence.reconcile
        if reconcile:  # what was deleted from the store meanwhile is no news when a list shows it again
            on_disk = await self._recorder.position(self._kind.name, self._began_at)
            position = replace(position, forgotten_before=on_disk.forgotten_before)
        plan = self._plan(position, started, reconcile=reconcile)
        sweep = Sweep(self._source, self._recorder, position, beat)
        distrusted = self._distrusted_until is not None and started < self._distrusted_until
        if not await self._newest(sweep, plan, reconcile=reconcile) and not distrusted:
            self._distrust(started, "rows are not in order of their last change")
            distrusted = True
        if self._kind.changes_first and (reconcile or distrusted):
            await sweep.active_lists()
            await sweep.by_id(job.key.id for job in self._recorder.active(self._kind.name))
            if sweep.surprises and self._reconciled_at and not distrusted:
                self._distrust(started, f"{sweep.surprises} changes were not listed")
        else:
            await sweep.by_id(plan.reread)
        if reconcile:
            self._reconciled_at = started
            self._recorder.forget_old()
        if self._believes(sweep):
            # the two clocks are compared as they are now: ours may have been set while the sweep went on
            there = self._clock.now() - self._source.clock_behind - timedelta(seconds=self._clock.ran_s() - ran_s)
            position = reading.advanced(position, sweep.listed, started, there=there)
            await self._recorder.save_position(position)
        self._answer(started)
        if not reconcile:  # which is rare, and as large as it must be
            self._note_calls(self._source.calls - calls_before)
        return position

    def _believes(self, sweep: Sweep) -> bool:
        """True when the list was read to where we stood: only then may we stand further on.

        A list that seems to end too soon is read once more from the same place; if it does so again, that is its end.
        """
        if sweep.complete or self._doubted:
            self._doubted = not sweep.complete
            return True
        log.warning("list_ends_too_soon", stream=self._stream, rows=len(sweep.listed))
        self._doubted = True
        return False

    def _note_calls(self, calls: int) -> None:
        self._calls = 0.7 * self._calls + 0.3 * calls
        any_active = bool(self._recorder.active(self._kind.name))
        every = self._cadence.interval if any_active else self._cadence.idle
        self._demand.note(self._stream, self._calls, every)

    async def _newest(self, sweep: Sweep, plan: Plan, *, reconcile: bool) -> bool:
        """Read the list, and learn how many rows the platform puts on a page: no document says."""
        try:
            ordered = await sweep.newest(plan)
        except Refused:
            if plan.limit > self._kind.page_size:
                log.warning("page_size_refused", stream=self._stream, asked=plan.limit, next=self._kind.page_size)
                self._page = self._page_most = self._kind.page_size
            raise
        if sweep.page_given is not None:
            self._page = max(sweep.page_given, reading.PAGE_LEAST)
        elif reconcile:
            self._page = self._page_most
        return ordered

    def _distrust(self, now: datetime, why: str) -> None:
        """Read by active status and by id for a while: the order of the list is documented nowhere."""
        log.warning("list_not_trusted", stream=self._stream, why=why, for_s=_DISTRUST.total_seconds())
        self._distrusted_until = now + _DISTRUST

    def _plan(self, position: Position, now: datetime, *, reconcile: bool) -> Plan:
        """Return what this sweep reads; a reconciling one reads as far back as rows may be listed late."""
        active = self._recorder.active(self._kind.name)
        late = 2 * self._cadence.reconcile
        if self._kind.changes_first:
            return reading.plan_changes(
                position,
                active,
                now,
                lookback=self._lookback,
                reread_after=self._cadence.reread,
                bulk=BULK,
                page=self._page,
                behind=late if reconcile else reading.OVERLAP,
            )
        return reading.plan_newest(
            position,
            active,
            self._recorder.created(self._kind.name),
            now,
            lookback=self._lookback,
            page=self._page,
            behind=max(late, reading.CREATION_OVERLAP) if reconcile else reading.CREATION_OVERLAP,
        )

    def _answer(self, at: datetime) -> None:
        for key, look in self._looks.items():
            job = self._recorder.job(key)
            if job is None:
                look.due = at + self._cadence.interval  # nobody knows it any more; its poller must not make us spin
            elif not look.answer.done():
                look.answer.set_result(Looked(job=job, at=at))
        for job in self._recorder.active(self._kind.name):
            if job.key not in self._looks:
                self._on_active(job)
