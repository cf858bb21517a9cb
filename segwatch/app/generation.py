"""What is built from one reading of the settings, and replaced as a whole by a reload."""

import random
from asyncio import Semaphore
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from segwatch.alerts.inhibition import may_be_explained
from segwatch.app import channels, pipelines
from segwatch.app.clients import Clients
from segwatch.app.detectors import SandboxDetectors
from segwatch.app.knowledge import knowledge_without_names
from segwatch.app.meter import Meter
from segwatch.config import Sandbox, Settings
from segwatch.daemon.alerter import Alerter
from segwatch.daemon.bus import Bus, News
from segwatch.daemon.clock import Clock
from segwatch.daemon.commands import Commands
from segwatch.daemon.demand import Demand
from segwatch.daemon.digester import Digester
from segwatch.daemon.dispatcher import ChannelWorker
from segwatch.daemon.first_looks import FirstLooks
from segwatch.daemon.leftovers import Leftovers
from segwatch.daemon.names import NameBook, NameReader
from segwatch.daemon.opened import OpenAlerts
from segwatch.daemon.poller import Poller
from segwatch.daemon.reader import Reader
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.refresher import Refresher, firing_on
from segwatch.daemon.sentinel import Sentinel
from segwatch.daemon.silencer import Silencer
from segwatch.daemon.source import Source
from segwatch.daemon.submitter import Submitter
from segwatch.daemon.supervisor import BEAT_WITHIN_S, Run, Supervisor, Worker
from segwatch.daemon.timeline import Timeline
from segwatch.decision import Policy
from segwatch.deliveries.model import Delivery
from segwatch.jobs import proof
from segwatch.jobs.events import Event
from segwatch.jobs.model import JobState
from segwatch.jobs.quota import Spend
from segwatch.jobs.resubmission import Step
from segwatch.jobs.tracker import Watch
from segwatch.kinds.base import JobKind
from segwatch.notifiers.base import Refreshable
from segwatch.pipelines import model as pipeline_model
from segwatch.store.base import Store, StoreError
from segwatch.telemetry.health import Heartbeats
from segwatch.upstream.budget import Share
from segwatch.upstream.redaction import Redactor
from segwatch.upstream.tokens import TokenSource
from segwatch.upstream.wire import open_session

log = structlog.get_logger()

_NO_SANDBOX = "The settings have no such sandbox, so nobody answers this failure: put it back, or export by hand"

_REMEMBER_MIN = timedelta(hours=48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """What lives as long as the process does."""

    store: Store
    clock: Clock
    bus: Bus
    meter: Meter
    heartbeats: Heartbeats
    supervisor: Supervisor
    kinds: Mapping[str, JobKind]
    redactor: Redactor
    timeline: Timeline
    commands: Commands


class Generation:
    """The workers of all channels and sandboxes. began: when their watching begins, for those never watched before.

    only: for one who is not the daemon: the run that is driven. Nothing but what belongs to it is then written, told,
    sent or submitted again.
    """

    def __init__(
        self, settings: Settings, lasting: Lasting, began: datetime, *, only: pipeline_model.Run | None = None
    ) -> None:
        self.settings = settings
        self._only = only
        self._began = began
        self._lasting = lasting
        routes = channels.routes_of(settings)
        self._names = NameBook(lasting.store, knowledge_without_names(settings))
        self.silencer = Silencer(
            lasting.store, lasting.clock, routes, OpenAlerts(lasting.store), self._told, self._names.knowledge,
            # who drives one run tells of nothing that would explain its end
            waits=may_be_explained if only is None else lambda event: False,
        )  # fmt: skip
        self._grace_s = settings.daemon.shutdown_grace.total_seconds() / 2
        self._resources = AsyncExitStack()
        self._channels: list[ChannelWorker] = []
        self._alerter = Alerter(
            lasting.store, lasting.clock, channels.Routes(routes),
            silenced=self.silencer.silenced, told=self._told_of_alerts, knowledge=self._names.knowledge,
        )  # fmt: skip
        self._recorders: list[Recorder] = []
        self._budgets: dict[str, Share] = {}
        self._tokens: dict[str, TokenSource] = {}
        self._listeners: list[Callable[[News], None]] = []
        self._first_looks = FirstLooks((one.name, kind) for one in settings.sandboxes for kind in lasting.kinds)

    async def start(self) -> None:
        """Build everything and let it run."""
        kinds = tuple(self._lasting.kinds)
        names = tuple(channel.name for channel in self.settings.channels)
        sandboxes = {one.name: kinds for one in self.settings.sandboxes}
        self._lasting.meter.metrics.expect(sandboxes, names, self.settings.metrics.segments)
        self._lasting.meter.metrics.expect_runs(pipelines.pipelines_of(self.settings))
        # before anything is recorded, so that nobody is told of what a silence of before is about
        with suppress(StoreError):  # then the worker reads them, as soon as the store works
            await self.silencer.load()
            await self._names.load()
        self.keep("silences", self.silencer.run)
        self._start_channels()
        self.keep("alerter", self._alerter.run)
        if self._only is None:  # who drives one run has left other sandboxes out
            watched, lasting = channels.watched_of(self.settings), self._lasting
            leftovers = Leftovers(lasting.store, lasting.clock, watched, self._promise, told=self._told)
            self.keep("leftovers", leftovers.run)
        session = open_session()
        self._resources.push_async_callback(session.close)
        meter, clock = self._lasting.meter, self._lasting.clock
        clients = Clients(
            self.settings, session,
            now=clock.now, monotonic=clock.ran_s, observe=meter.called, redactor=self._lasting.redactor,
        )  # fmt: skip
        for sandbox in self.settings.sandboxes:
            await self._start_sandbox(sandbox, clients)
        if self._only is None:
            await self._warn_of_the_rest()
            self._start_digests(kinds)

    async def _warn_of_the_rest(self) -> None:
        """Say which failures nobody answers, since their sandbox is no longer in the settings."""
        ours = {one.name for one in self.settings.sandboxes}
        steps = tuple(step for step in Step if step.is_open)
        with suppress(StoreError):  # it is told apart where it is met
            for answer in await self._lasting.store.resubmissions(steps=steps):
                if answer.failed.sandbox not in ours:
                    step = answer.step.value
                    log.warning("failure_of_no_sandbox", job=str(answer.failed), step=step, hint=_NO_SANDBOX)

    async def drain(self) -> None:
        """Stop polling, then finish the deliveries under way; what is not done stays in the store."""
        await self._lasting.supervisor.stop("sandbox:")
        await self._lasting.supervisor.stop("silences")
        await self._lasting.supervisor.stop("leftovers")
        await self._lasting.supervisor.stop("alerter")
        await self._lasting.supervisor.stop("digests")
        await self._lasting.supervisor.stop("channel:")
        await self._resources.aclose()

    def heard(self, news: News) -> None:
        """Hand on an event that is on disk."""
        for listener in self._listeners:
            listener(news)

    def wake(self) -> None:
        """Let every channel look at the outbox now, and the alerter at the log."""
        self._alerter.wake()
        for channel in self._channels:
            channel.wake()

    async def measure(self) -> None:
        """Set the gauges that are measured when somebody asks."""
        for recorder in self._recorders:
            self._lasting.meter.measure_jobs(recorder, self._lasting.kinds)
        self._lasting.meter.measure_access(self._budgets, self._tokens)
        spend = Spend.at(self._lasting.clock.now(), self.settings.quota.allowance)
        await self._lasting.meter.measure_store(
            self._lasting.store,
            [channel.name for channel in self.settings.channels],
            [sandbox.name for sandbox in self.settings.sandboxes],
            pipelines.pipelines_of(self.settings),
            spend,
        )

    def keep(self, name: str, run: Run, *, patience: timedelta = timedelta()) -> None:
        """Keep a worker running. patience: how long it may wait for somebody else's answer without a heartbeat."""
        self._lasting.meter.kept(name)
        within_s = BEAT_WITHIN_S + patience.total_seconds()
        self._lasting.supervisor.start(Worker(name=name, run=run, within_s=within_s))

    def _start_channels(self) -> None:
        session = channels.open_session()
        self._resources.push_async_callback(session.close)
        lasting = self._lasting
        for one in self.settings.channels:
            channel = channels.channel_of(
                self.settings, one.name, session, lasting.clock,
                knowledge=self._names.knowledge, failed=lasting.meter.unworded,
            )  # fmt: skip
            worker = ChannelWorker(
                channel,
                store=lasting.store,
                promise=self._promise,
                clock=lasting.clock,
                timeline=lasting.timeline,
                random=random.random,
                observer=lasting.meter,
                told=self._told,
                grace_s=self._grace_s,
                only_stream=self._only.stream if self._only else "",
            )
            self._channels.append(worker)
            self.keep(f"channel:{one.name}", worker.run)
            if isinstance(channel.notifier, Refreshable):
                firing = partial(firing_on, lasting.store, one.name)
                looked = self._first_looks.are_over
                refresher = Refresher(one.name, channel.notifier, firing, lasting.clock, has_looked=looked)
                self.keep(f"channel:{one.name}/refresher", refresher.run, patience=one.timeout)

    def _start_digests(self, kinds: Sequence[str]) -> None:
        plans, lasting = channels.digests_of(self.settings), self._lasting
        sandboxes = [one.name for one in self.settings.sandboxes]
        # also without a plan: a digest that is no longer wanted is noted, so that it is new when it comes back
        digester = Digester(lasting.store, lasting.clock, plans, sandboxes, kinds, self._told)
        self.keep("digests", digester.run)

    async def _start_sandbox(self, sandbox: Sandbox, clients: Clients) -> None:
        lasting, kinds = self._lasting, self._lasting.kinds
        client, budget, tokens = clients.of(sandbox)
        self._budgets[sandbox.name], self._tokens[sandbox.name] = budget, tokens
        detectors = SandboxDetectors(sandbox.name, self.settings, lasting.store, lasting.clock)
        recorder = Recorder(
            sandbox.name, lasting.store, lasting.clock, lasting.bus, self._promise,
            policies={name: self._policy(kind) for name, kind in kinds.items()},
            remember=max(2 * self.settings.polling.lookback, _REMEMBER_MIN), only_own=self._only is not None,
            follow=None if self._only else detectors.follow,
        )  # fmt: skip
        self._recorders.append(recorder)
        looked = self._first_looks.took
        sentinel = Sentinel(recorder, lasting.store, lasting.clock, lasting.meter.metrics, looked=looked)
        demand, places = Demand(), Semaphore(self.settings.polling.concurrency)
        readers: list[Reader] = []
        sources: dict[str, Source] = {}
        polls: dict[str, pipelines.Poll] = {}
        for name, kind in kinds.items():
            with suppress(StoreError):  # then the reader writes it, as soon as the store works
                await recorder.position(name, self._began)
            source = Source(
                kind, client, budget, lasting.clock,
                unreadable=lasting.meter.unreadable, odd=detectors.oddities.note, places=places,
            )  # fmt: skip
            sources[name], polls[name] = source, self._follow(source, recorder, sentinel, demand, readers)
            if kind.resubmits:
                policy = self.settings.retry.policy
                submitter = Submitter(
                    source, recorder, lasting.store, lasting.clock, policy,
                    timeline=lasting.timeline, grace_s=self._grace_s,
                )  # fmt: skip
                self.keep(f"sandbox:{sandbox.name}/submitter-{name}", submitter.run, patience=source.patience)
        pipeliner = pipelines.pipeliner_of(
            self.settings, client, sources, recorder, lasting.store, lasting.clock,
            polls=polls, under_way=lasting.commands, began=self._began, grace_s=self._grace_s,
            timeline=lasting.timeline, only=self._only.id if self._only else "",
        )  # fmt: skip
        if self._only is None:
            inspector = detectors.inspector(recorder, sources["export_job"], tokens, self._began)
            self._listeners.append(inspector.heard)
            self.keep(f"sandbox:{sandbox.name}/inspector", inspector.run, patience=client.patience)
            if self.settings.polling.names:
                names = NameReader(client, recorder, self._names, lasting.clock)
                self._listeners.append(names.heard)
                self.keep(f"sandbox:{sandbox.name}/names", names.run, patience=client.patience)
            if schedules := detectors.schedules(client, recorder):
                self.keep(f"sandbox:{sandbox.name}/schedules", schedules.run, patience=client.patience)
        # also without a pipeline: a command that was killed leaves an order to be settled
        self.keep(f"sandbox:{sandbox.name}/pipelines", pipeliner.run, patience=client.patience)

    def _follow(
        self, source: Source, recorder: Recorder, sentinel: Sentinel, demand: Demand, readers: list[Reader]
    ) -> pipelines.Poll:
        """Start the reader of one stream and add it to the sandbox's; it starts a poller for every active job.

        Return what starts the poller of a job that no sweep has brought.
        """
        cadence = self.settings.polling.cadence
        prefix = f"sandbox:{recorder.sandbox}/{source.kind.name}"

        def poll(job: JobState) -> None:
            name = f"{prefix}/{job.key.id}"
            self._lasting.supervisor.start(Worker(name=name, run=Poller(job, reader, cadence).run))

        def retry_all() -> None:
            for one in readers:
                one.retry_now()

        reader = Reader(
            source, recorder, self._lasting.clock, cadence, sentinel,
            demand=demand,
            began_at=self._began,
            lookback=self.settings.polling.lookback,
            on_active=poll,
            on_recovery=retry_all,
        )  # fmt: skip
        readers.append(reader)
        self.keep(prefix, reader.run, patience=source.patience)
        return poll

    def _policy(self, kind: JobKind) -> Policy:
        overdue_after = self.settings.polling.overdue_after.of(kind.name)
        shown_within = proof.patience(self.settings.retry.settle_window)
        watch = Watch(path=kind.path, since=self._began, overdue_after=overdue_after, shown_within=shown_within)
        return Policy(watch=watch, retry=self.settings.retry.policy if kind.resubmits else None)

    def _told_of_alerts(self, events: tuple[Event, ...]) -> None:
        self._told(events)
        for channel in self._channels:  # a closing is promised without an event of its own
            channel.wake()

    def _told(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._lasting.bus.publish(News(event=event))

    def _promise(self, events: Sequence[Event], now: datetime) -> tuple[Delivery, ...]:
        told = [event for event in events if self._only is None or event.stream == self._only.stream]
        return self.silencer.promise(told, now)
