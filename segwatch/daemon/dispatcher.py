"""From the outbox to the receivers: one worker per channel, so that a dead one delays no other."""

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from segwatch.backoff import Backoff
from segwatch.daemon.clock import Clock
from segwatch.daemon.lateness import as_of_now
from segwatch.daemon.timeline import Timeline
from segwatch.deliveries.health import ChannelHealth, counted, judged
from segwatch.deliveries.model import Accepted, Delivery, Outcome, Rejected, Retryable, Stage
from segwatch.deliveries.routing import Promise
from segwatch.deliveries.settle import DeliveryPolicy, reason_code, settle
from segwatch.deliveries.threads import subjects_of
from segwatch.jobs.events import Event
from segwatch.notifiers.base import Notifier
from segwatch.store.base import Change, Conflict, Store, StoreError, StoreUnavailable

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=2)  # a command in another process may have added rows, and wakes nobody here
_STORE_BACKOFF = Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=30))
_PACING_S = 10.0  # beyond the channel's timeout: a notifier may wait for its own turn, as Slack's does
_CANCEL_S = 1.0
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class DeliveryObserver(Protocol):
    """Who counts attempts."""

    def delivered(self, channel: str, seconds: float) -> None:
        """Hear of an accepted delivery, and how long its last attempt took."""

    def failed(self, channel: str, reason: str) -> None:
        """Hear of a failed attempt. reason: from a small set, fit for a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A configured receiver, and how patiently it is tried. timeout_s: bounds one attempt.

    stateful: it keeps incidents, which it is told to open and to close, each in its turn.
    """

    name: str
    notifier: Notifier
    policy: DeliveryPolicy
    timeout_s: float = 10.0
    concurrency: int = 8
    stateful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    delivery: Delivery
    outcome: Outcome
    seconds: float


class ChannelWorker:
    """Sends what is due on one channel, several streams at once, each stream in order.

    timeline: tells how old a promise is; all workers may share one. random: draws from [0, 1).
    told: hears the channel events that were just recorded; wakes the other workers.
    grace_s: how long attempts under way may still take once `run` is cancelled.
    only_stream: for one who is not the daemon: only what is told of this is sent, and nothing is said of the channel.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        store: Store,
        promise: Promise,
        clock: Clock,
        timeline: Timeline,
        random: Callable[[], float],
        observer: DeliveryObserver,
        told: Callable[[tuple[Event, ...]], None] = lambda events: None,
        grace_s: float = 5.0,
        only_stream: str = "",
    ) -> None:
        self._channel = channel
        self._store = store
        self._promise = promise
        self._clock = clock
        self._timeline = timeline
        self._random = random
        self._observer = observer
        self._told = told
        self._grace_s = grace_s
        self._log = log.bind(channel=channel.name)
        self._wake = asyncio.Event()
        self._sending: dict[str, asyncio.Task[_Attempt]] = {}
        self._telling: dict[str, frozenset[str]] = {}  # of each delivery that is being sent: its subjects
        self._unsettled: dict[str, Delivery] = {}  # attempts made, not yet written: never sent again from here
        self._paused_until = _LONG_AGO
        self._health = ChannelHealth(channel=channel.name)
        self._health_read = False
        self._only_stream = only_stream
        self._store_failures = 0
        self._store_again_at = _LONG_AGO

    def wake(self) -> None:
        """Look at the outbox now: something was committed."""
        self._wake.set()

    async def run(self, beat: Callable[[], None]) -> None:
        """Work until cancelled; then finish the attempts under way, within the grace, and write what became of them.

        beat: called on each turn, at least every LOOK_EVERY or so, however long a receiver hangs.
        """
        try:
            while True:
                beat()
                self._wake.clear()
                await self._rest(await self._turn())
        finally:
            await self._stop()

    async def _turn(self) -> timedelta:
        """Write what ended, start what is due, and return how long nothing else needs to be done."""
        self._timeline.look(self._clock.now(), self._clock.ran_s())
        self._collect()
        now = self._clock.now()
        if closed := _left(self._store_again_at, now, _STORE_BACKOFF.cap):
            return closed
        try:
            await self._record()
            rest = await self._start()
        except StoreUnavailable as exc:
            return self._store_failed(exc)
        if self._store_failures:
            self._log.info("outbox_available_again", after_failures=self._store_failures)
            self._store_failures = 0
        return rest

    def _collect(self) -> None:
        """Take in the attempts that ended."""
        for id_, task in list(self._sending.items()):
            if task.done():
                del self._sending[id_], self._telling[id_]
                if not task.cancelled():
                    self._take_in(task.result())

    def _take_in(self, attempt: _Attempt) -> None:
        now, outcome, name = self._clock.now(), attempt.outcome, self._channel.name
        age = self._timeline.age(attempt.delivery.promised_at)
        settled = settle(attempt.delivery, outcome, now, self._channel.policy, self._random(), age=age)
        self._unsettled[settled.id] = settled
        self._health = counted(self._health, outcome, now - timedelta(seconds=attempt.seconds))
        line = self._log.bind(event_id=settled.event.id, type=settled.event.type.value, attempt=settled.attempts)
        match outcome:
            case Accepted():
                self._observer.delivered(name, attempt.seconds)
                line.info("delivery_accepted", took_s=round(attempt.seconds, 3))
            case Rejected() | Retryable():
                self._observer.failed(name, reason_code(outcome.reason))
                if settled.stage is Stage.DEAD:
                    line.error("delivery_dead", reason=outcome.reason)
                else:
                    wait_s = round((settled.due_at - now).total_seconds(), 1)
                    line.warning("delivery_retry_scheduled", reason=outcome.reason, wait_s=wait_s)
        if isinstance(outcome, Retryable) and outcome.retry_after is not None:
            # what the receiver says to one delivery it would say to all; the cap guards against "come back next year"
            pause = min(outcome.retry_after, self._channel.policy.backoff.cap)
            self._paused_until = max(self._paused_until, now + pause)

    async def _record(self) -> None:
        """Write what became of attempts, then what that says of the channel. Raises StoreUnavailable."""
        if self._unsettled:
            written = list(self._unsettled.values())
            await self._store.settle(written)
            for delivery in written:
                self._unsettled.pop(delivery.id, None)
        if self._only_stream:
            return
        if not self._health_read:
            said = await self._store.subject(self._health.stream)
            self._health, self._health_read = replace(self._health, said=said), True
        now = self._clock.now()
        after, events = judged(self._health, now)
        if not events:
            return
        change = Change(
            subject=after.said,
            subject_before=self._health.said,
            events=events,
            deliveries=self._promise(events, now),
        )
        try:
            await self._store.commit([change])
        except Conflict:  # another process said something of this channel: read that, and judge again next turn
            self._health_read = False
            return
        self._health = after
        for event in events:
            self._log.warning("channel_health_changed", condition=event.status, reason=event.details["why"])
        self._told(events)

    async def _start(self) -> timedelta:
        """Start the attempts that are due and have a free place. Raises StoreUnavailable."""
        now = self._clock.now()
        places = self._channel.concurrency
        if paused := _left(self._paused_until, now, self._channel.policy.backoff.cap):
            return paused
        if len(self._sending) >= places:
            return LOOK_EVERY
        # those under way are still pending over there, so they may be among the rows
        policy = self._channel.policy
        # while the clock repeats itself, a wait of hours may be its doing; rather send too early than hours late
        farthest = policy.backoff.cap if self._timeline.repeats else policy.max_age
        name, stream = self._channel.name, self._only_stream
        due = await self._store.due_deliveries(name, now=now, limit=places, farthest=farthest, stream=stream)
        for delivery in due:
            if len(self._sending) >= places:
                break
            subjects = frozenset(subjects_of(delivery.event))
            # one by one what is about one alert: the second belongs in the thread that the first begins
            if delivery.id not in self._sending and subjects.isdisjoint(self._told_now()):
                task = asyncio.create_task(self._attempt(delivery), name=f"delivery:{delivery.id}")
                self._sending[delivery.id], self._telling[delivery.id] = task, subjects
        due_at = await self._store.next_delivery_at(name, stream=stream)
        if due_at is None or due_at <= now:  # due, yet not given: under way, or behind another of its stream
            return LOOK_EVERY
        return max(due_at - self._clock.now(), timedelta(0))

    def _told_now(self) -> set[str]:
        return {subject for subjects in self._telling.values() for subject in subjects}

    async def _attempt(self, delivery: Delivery) -> _Attempt:
        """Return how one attempt ended; never raises, but for cancellation."""
        time = asyncio.get_running_loop().time
        begun = time()
        age = self._timeline.age(delivery.event.at)
        outcome: Outcome
        try:
            async with asyncio.timeout(self._channel.timeout_s + _PACING_S):
                told = await as_of_now(delivery, self._store, self._clock.now(), age, stateful=self._channel.stateful)
                outcome = await self._channel.notifier.send(told)
        except TimeoutError:
            outcome = Retryable(reason="timeout")
        except Exception as exc:  # noqa: BLE001 - one delivery that cannot be laid out must not hold up the others
            where = "".join(traceback.format_tb(exc.__traceback__))  # without its text, which may hold a secret
            self._log.error("delivery_attempt_crashed", error=type(exc).__name__, traceback=where)
            outcome = Retryable(reason="internal_error")
        return _Attempt(delivery=delivery, outcome=outcome, seconds=time() - begun)

    def _store_failed(self, exc: StoreUnavailable) -> timedelta:
        """Return how long to leave the store alone."""
        self._store_failures += 1
        if self._store_failures == 1:
            self._log.warning("outbox_unavailable", error=str(exc), unsettled=len(self._unsettled))
        wait = _STORE_BACKOFF.delay(self._store_failures, self._random())
        self._store_again_at = self._clock.now() + wait
        return wait

    async def _rest(self, span: timedelta) -> None:
        """Return when an attempt ends, somebody wakes us, or the time is over."""
        seconds = min(span, LOOK_EVERY).total_seconds()
        alarm = asyncio.create_task(self._clock.sleep(seconds), name=f"rest:{self._channel.name}")
        woken = asyncio.create_task(self._wake.wait(), name=f"wake:{self._channel.name}")
        try:
            await asyncio.wait({alarm, woken, *self._sending.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            woken.cancel()

    async def _stop(self) -> None:
        """Finish the attempts under way within the grace, drop the rest (they stay pending), and write the ends."""
        try:
            if self._sending:
                await asyncio.wait(self._sending.values(), timeout=self._grace_s)
        finally:
            late = [task for task in self._sending.values() if not task.done()]
            for task in late:
                task.cancel()
        if late:
            self._log.info("deliveries_released", count=len(late))
            await asyncio.wait(late, timeout=_CANCEL_S)
        self._collect()
        try:
            await self._record()
        except StoreError as exc:
            self._log.warning("deliveries_not_settled", count=len(self._unsettled), error=str(exc))


def _left(until: datetime, now: datetime, cap: timedelta) -> timedelta:
    """Return the time left until then. More than `cap` was never asked for: the clock was set back, so wait no more."""
    left = until - now
    return left if timedelta(0) < left <= cap else timedelta(0)
