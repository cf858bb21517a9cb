"""The workers of all sandboxes."""

from asyncio import Semaphore
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from segwatch.app import pipelines
from segwatch.app.clients import Clients
from segwatch.app.detectors import SandboxDetectors
from segwatch.app.lasting import Lasting
from segwatch.config import Sandbox, Settings
from segwatch.daemon.bus import News
from segwatch.daemon.demand import Demand
from segwatch.daemon.names import NameBook, NameReader
from segwatch.daemon.poller import Poller
from segwatch.daemon.reader import Reader
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.sentinel import Sentinel
from segwatch.daemon.source import Source
from segwatch.daemon.submitter import Submitter
from segwatch.daemon.supervisor import Worker
from segwatch.decision import Policy
from segwatch.deliveries.routing import Promise
from segwatch.jobs import proof
from segwatch.jobs.model import JobState
from segwatch.jobs.tracker import Watch
from segwatch.kinds.base import JobKind
from segwatch.pipelines import model as pipeline_model
from segwatch.store.base import StoreError
from segwatch.upstream.budget import Share
from segwatch.upstream.tokens import TokenSource

_REMEMBER_MIN = timedelta(hours=48)


class Sandboxes:
    """Reads the jobs of each sandbox, answers failures, drives pipelines, learns names and looks for what is odd.

    began and only: as in Generation. promise: who is told of what is recorded. looked: told of each complete sweep, by
    sandbox and kind. grace_s: how long a worker may take for what it is at when it is stopped.
    """

    def __init__(
        self, settings: Settings, lasting: Lasting, names: NameBook, promise: Promise, began: datetime, *,
        looked: Callable[[str, str], None], grace_s: float, only: pipeline_model.Run | None,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._lasting = lasting
        self._names = names
        self._promise = promise
        self._began = began
        self._looked = looked
        self._grace_s = grace_s
        self._only = only
        self._recorders: list[Recorder] = []
        self._budgets: dict[str, Share] = {}
        self._tokens: dict[str, TokenSource] = {}
        self._listeners: list[Callable[[News], None]] = []

    async def start(self, sandbox: Sandbox, clients: Clients) -> None:
        """Build the workers of one sandbox and let them run."""
        lasting, kinds = self._lasting, self._lasting.kinds
        client, budget, tokens = clients.of(sandbox)
        self._budgets[sandbox.name], self._tokens[sandbox.name] = budget, tokens
        detectors = SandboxDetectors(sandbox.name, self._settings, lasting.store, lasting.clock)
        recorder = Recorder(
            sandbox.name, lasting.store, lasting.clock, lasting.bus, self._promise,
            policies={name: self._policy(kind) for name, kind in kinds.items()},
            remember=max(2 * self._settings.polling.lookback, _REMEMBER_MIN), only_own=self._only is not None,
            follow=None if self._only else detectors.follow,
        )  # fmt: skip
        self._recorders.append(recorder)
        sentinel = Sentinel(
            recorder, lasting.store, lasting.clock, lasting.meter.metrics, lasting.readiness, looked=self._looked
        )
        demand, places = Demand(), Semaphore(self._settings.polling.concurrency)
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
                policy = self._settings.retry.policy
                submitter = Submitter(
                    source, recorder, lasting.store, lasting.clock, policy,
                    timeline=lasting.timeline, grace_s=self._grace_s,
                )  # fmt: skip
                lasting.keep(f"sandbox:{sandbox.name}/submitter-{name}", submitter.run, patience=source.patience)
        pipeliner = pipelines.pipeliner_of(
            self._settings, client, sources, recorder, lasting.store, lasting.clock,
            polls=polls, under_way=lasting.commands, began=self._began, grace_s=self._grace_s,
            timeline=lasting.timeline, only=self._only.id if self._only else "",
        )  # fmt: skip
        if self._only is None:
            inspector = detectors.inspector(recorder, sources["export_job"], tokens, self._began)
            self._listeners.append(inspector.heard)
            lasting.keep(f"sandbox:{sandbox.name}/inspector", inspector.run, patience=client.patience)
            if self._settings.polling.names:
                names = NameReader(client, recorder, self._names, lasting.clock)
                self._listeners.append(names.heard)
                lasting.keep(f"sandbox:{sandbox.name}/names", names.run, patience=client.patience)
            if schedules := detectors.schedules(client, recorder):
                lasting.keep(f"sandbox:{sandbox.name}/schedules", schedules.run, patience=client.patience)
        # also without a pipeline: a command that was killed leaves an order to be settled
        lasting.keep(f"sandbox:{sandbox.name}/pipelines", pipeliner.run, patience=client.patience)

    def heard(self, news: News) -> None:
        """Hand on an event that is on disk."""
        for listener in self._listeners:
            listener(news)

    def measure(self) -> None:
        """Set the gauges of jobs and of access that are measured when somebody asks."""
        for recorder in self._recorders:
            self._lasting.meter.measure_jobs(recorder, self._lasting.kinds)
        self._lasting.meter.measure_access(self._budgets, self._tokens)

    def _follow(
        self, source: Source, recorder: Recorder, sentinel: Sentinel, demand: Demand, readers: list[Reader]
    ) -> pipelines.Poll:
        """Start the reader of one stream and add it to the sandbox's; it starts a poller for every active job.

        Return what starts the poller of a job that no sweep has brought.
        """
        cadence = self._settings.polling.cadence
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
            lookback=self._settings.polling.lookback,
            on_active=poll,
            on_recovery=retry_all,
        )  # fmt: skip
        readers.append(reader)
        self._lasting.keep(prefix, reader.run, patience=source.patience)
        return poll

    def _policy(self, kind: JobKind) -> Policy:
        overdue_after = self._settings.polling.overdue_after.of(kind.name)
        shown_within = proof.patience(self._settings.retry.settle_window)
        watch = Watch(path=kind.path, since=self._began, overdue_after=overdue_after, shown_within=shown_within)
        return Policy(watch=watch, retry=self._settings.retry.policy if kind.resubmits else None)
