"""What is built from one reading of the settings, and replaced as a whole by a reload."""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from functools import partial

import structlog

from segwatch.alerts.inhibition import may_be_explained
from segwatch.app import channels, pipelines
from segwatch.app.clients import Clients
from segwatch.app.knowledge import knowledge_without_names
from segwatch.app.lasting import Lasting
from segwatch.app.sandboxes import Sandboxes
from segwatch.config import Settings
from segwatch.daemon.alerter import Alerter
from segwatch.daemon.bus import News
from segwatch.daemon.digester import Digester
from segwatch.daemon.dispatcher import ChannelWorker
from segwatch.daemon.first_looks import FirstLooks
from segwatch.daemon.leftovers import Leftovers
from segwatch.daemon.names import NameBook
from segwatch.daemon.opened import OpenAlerts
from segwatch.daemon.refresher import Refresher, firing_on
from segwatch.daemon.sentinel import SWEEPS
from segwatch.daemon.silencer import Silencer
from segwatch.deliveries.model import Delivery
from segwatch.jobs.events import Event
from segwatch.jobs.quota import Spend
from segwatch.jobs.resubmission import Step
from segwatch.notifiers.base import Refreshable
from segwatch.pipelines import model as pipeline_model
from segwatch.store.base import StoreError
from segwatch.upstream.wire import open_session

log = structlog.get_logger()

_NO_SANDBOX = "The settings have no such sandbox, so nobody answers this failure: put it back, or export by hand"


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
            silenced=self.silencer.silenced, held_back=self.silencer.held_back, told=self._told_of_alerts,
            knowledge=self._names.knowledge,
        )  # fmt: skip
        self._first_looks = FirstLooks((one.name, kind) for one in settings.sandboxes for kind in lasting.kinds)
        self._sandboxes = Sandboxes(
            settings, lasting, self._names, self._promise, began,
            looked=self._first_looks.took, grace_s=self._grace_s, only=only,
        )  # fmt: skip

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
        self._lasting.keep("silences", self.silencer.run)
        self._start_channels()
        self._lasting.keep("alerter", self._alerter.run)
        if self._only is None:  # who drives one run has left other sandboxes out
            watched, lasting = channels.watched_of(self.settings), self._lasting
            leftovers = Leftovers(lasting.store, lasting.clock, watched, self._promise, told=self._told)
            self._lasting.keep("leftovers", leftovers.run)
        session = open_session()
        self._resources.push_async_callback(session.close)
        meter, clock = self._lasting.meter, self._lasting.clock
        clients = Clients(
            self.settings, session,
            now=clock.now, monotonic=clock.ran_s, observe=meter.called, redactor=self._lasting.redactor,
        )  # fmt: skip
        for sandbox in self.settings.sandboxes:
            await self._sandboxes.start(sandbox, clients)
        if self._only is None:
            await self._warn_of_the_rest()
            self._start_digests()

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
        self._lasting.readiness.forget(SWEEPS)  # of sandboxes that may be gone by the new settings
        await self._lasting.supervisor.stop("silences")
        await self._lasting.supervisor.stop("leftovers")
        await self._lasting.supervisor.stop("alerter")
        await self._lasting.supervisor.stop("digests")
        await self._lasting.supervisor.stop("channel:")
        await self._resources.aclose()

    def heard(self, news: News) -> None:
        """Hand on an event that is on disk."""
        self._sandboxes.heard(news)

    def wake(self) -> None:
        """Let every channel look at the outbox now, and the alerter at the log."""
        self._alerter.wake()
        for channel in self._channels:
            channel.wake()

    async def measure(self) -> None:
        """Set the gauges that are measured when somebody asks."""
        self._sandboxes.measure()
        spend = Spend.at(self._lasting.clock.now(), self.settings.quota.allowance)
        await self._lasting.meter.measure_store(
            self._lasting.store,
            [channel.name for channel in self.settings.channels],
            [sandbox.name for sandbox in self.settings.sandboxes],
            pipelines.pipelines_of(self.settings),
            spend,
        )

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
            self._lasting.keep(f"channel:{one.name}", worker.run)
            if isinstance(channel.notifier, Refreshable):
                firing = partial(firing_on, lasting.store, one.name)
                looked = self._first_looks.are_over
                refresher = Refresher(one.name, channel.notifier, firing, lasting.clock, has_looked=looked)
                self._lasting.keep(f"channel:{one.name}/refresher", refresher.run, patience=one.timeout)

    def _start_digests(self) -> None:
        plans, lasting = channels.digests_of(self.settings), self._lasting
        # also without a plan: a digest that is no longer wanted is noted, so that it is new when it comes back
        digester = Digester(lasting.store, lasting.clock, plans, self._told)
        self._lasting.keep("digests", digester.run)

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
