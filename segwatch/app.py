"""Builds the objects from the settings and hands them to the supervisor; nothing else knows everybody."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import structlog

from segwatch.config import ConfigError, Sandbox, Settings
from segwatch.daemon.bus import Bus, News
from segwatch.daemon.caretaker import Caretaker
from segwatch.daemon.clock import Clock, SystemClock
from segwatch.daemon.demand import Demand
from segwatch.daemon.dispatcher import Channel, ChannelWorker
from segwatch.daemon.poller import Poller
from segwatch.daemon.reader import Reader
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.sentinel import Sentinel
from segwatch.daemon.source import Source
from segwatch.daemon.submitter import Submitter
from segwatch.daemon.supervisor import BEAT_WITHIN_S, Run, Supervisor, Worker
from segwatch.decision import Policy
from segwatch.deliveries import routing, settle
from segwatch.deliveries.model import Delivery
from segwatch.jobs.events import Event
from segwatch.jobs.model import JobState
from segwatch.jobs.resubmission import Step
from segwatch.jobs.tracker import Watch
from segwatch.kinds.base import JobKind, load_kinds
from segwatch.notifiers.base import Surroundings, load_notifiers
from segwatch.store.base import Store, StoreError
from segwatch.store.factory import store_of
from segwatch.telemetry.health import Heartbeats, Readiness
from segwatch.telemetry.metrics import Exposition, Metrics
from segwatch.upstream.auth import ClientSecret, Credential, TokenSources
from segwatch.upstream.budget import Budget, Share
from segwatch.upstream.client import Call, PlatformClient
from segwatch.upstream.client import Sandbox as Identity
from segwatch.upstream.tokens import FixedToken, TokenFile, TokenSource
from segwatch.upstream.wire import Endpoint, Timeouts, open_session, proxy_for
from segwatch.web.server import Server

log = structlog.get_logger()

_REMEMBER_MIN = timedelta(hours=48)
_SHUTTING_DOWN = ("segwatch is shutting down; the settings were not read again",)


def channel_of(settings: Settings, name: str, session: aiohttp.ClientSession, clock: Clock) -> Channel:
    """Return the configured channel of that name, ready to send."""
    chosen = next(channel for channel in settings.channels if channel.name == name)
    kind = load_notifiers()[chosen.kind]
    options = kind.options(**{key: getattr(chosen, key) for key in kind.options.model_fields})
    timeout_s = chosen.timeout.total_seconds()
    around = Surroundings(channel=name, session=session, now=clock.now, timeout_s=timeout_s, route_to=_through_proxy)
    return Channel(
        name=name,
        notifier=kind.build(options, around),
        policy=settle.Policy(backoff=chosen.backoff, max_age=chosen.max_age),
        timeout_s=timeout_s,
    )


class Clients:
    """Makes the clients of all sandboxes on one session; equal credentials share their tokens."""

    def __init__(
        self, settings: Settings, session: aiohttp.ClientSession, *, now: Callable[[], datetime],
        observe: Callable[[Call], None] = lambda call: None,
    ) -> None:  # fmt: skip
        timeout = settings.platform.timeout
        self._session = session
        self._now = now
        self._observe = observe
        self._endpoint = Endpoint(
            base_url=settings.platform.base_url,
            ims_url=settings.platform.ims_url,
            timeouts=Timeouts(connect=timeout, read=timeout, total=timeout),
        )
        self._tokens = TokenSources(session, endpoint=self._endpoint, now=now)

    def of(self, sandbox: Sandbox) -> tuple[PlatformClient, Share, TokenSource]:
        """Return the client of one sandbox, its call budget, and where it gets its token."""
        budget = Budget(requests_per_second=sandbox.requests_per_second, burst=sandbox.burst).share()
        tokens = self._tokens.of(credential_of(sandbox))
        client = PlatformClient(
            self._session,
            sandbox=Identity(name=sandbox.name, org_id=sandbox.org_id, api_key=sandbox.client_id),
            endpoint=self._endpoint,
            tokens=tokens,
            budget=budget,
            now=self._now,
            observe=self._observe,
        )
        return client, budget, tokens


def credential_of(sandbox: Sandbox) -> Credential:
    """Return what the sandbox's settings say about getting a token."""
    if sandbox.access_token_file:
        return TokenFile(client_id=sandbox.client_id, path=sandbox.access_token_file)
    if sandbox.access_token:
        return FixedToken(client_id=sandbox.client_id, token=sandbox.access_token)
    assert sandbox.client_secret is not None  # the settings demand one of the three
    return ClientSecret(client_id=sandbox.client_id, client_secret=sandbox.client_secret, scopes=tuple(sandbox.scopes))


def _through_proxy(url: str) -> dict[str, Any]:
    """Return the options of a request that honour HTTPS_PROXY and NO_PROXY."""
    proxy = proxy_for(url)
    return {"proxy": proxy.url, "proxy_headers": proxy.headers} if proxy else {}


def routes_of(settings: Settings) -> tuple[routing.Route, ...]:
    """Return the configured routes in the form that decides."""
    return tuple(routing.Route(match=route.match.wanted, channels=route.channels) for route in settings.routes)


@dataclass(slots=True, kw_only=True)
class _Generation:
    """What is built from one reading of the settings, and replaced as a whole by a reload."""

    settings: Settings
    resources: AsyncExitStack
    recorders: list[Recorder] = field(default_factory=list)
    channels: list[ChannelWorker] = field(default_factory=list)
    budgets: dict[str, Share] = field(default_factory=dict)
    tokens: dict[str, TokenSource] = field(default_factory=dict)


class Daemon:
    """The whole process. reread: returns the settings as they are on disk now, or raises ConfigError."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self._reread = reread
        self._clock = SystemClock()
        self._began = self._clock.now()
        self._bus = Bus()
        self._metrics = Metrics()
        self._heartbeats = Heartbeats(monotonic=asyncio.get_running_loop().time)
        self._readiness = Readiness()
        self._supervisor = Supervisor(
            self._clock,
            self._heartbeats,
            on_restart=lambda worker: self._metrics.restarts.labels(_family(worker)).inc(),
        )
        self._store: Store = store_of(
            settings.store.url, on_commit=lambda seconds, _: self._metrics.commit_seconds.observe(seconds)
        )
        self._server = Server(
            Exposition(self._metrics, self._measure), self._heartbeats, self._readiness, self.reload,
            token=lambda: self._now_running.settings.http.token,
        )  # fmt: skip
        self._kinds = load_kinds()
        self._now_running = _Generation(settings=settings, resources=AsyncExitStack())
        self._changing = asyncio.Lock()  # held by whoever starts, reloads or drains: one after the other
        self._stopping = asyncio.Event()
        self._bus.listen(self._hear)

    async def run(self, stop: asyncio.Event, listening: Callable[[str], None]) -> None:
        """Run until `stop` is set, then drain and return. listening: told the URL as soon as it is known.

        Raises StoreError when the store cannot be opened, OSError when the address is taken.
        """
        settings = self._now_running.settings
        await self._store.open()
        try:
            async with self._changing:
                url = await self._server.start(settings.http.listen.host, settings.http.listen.port)
                log.info("listening", url=url)
                listening(url)
                await self._build(settings)
            self._keep("caretaker", Caretaker(
                self._store, self._clock, self._readiness, self._metrics, settings.store.retention
            ).run)  # fmt: skip
            self._readiness.ok("start")
            log.info("started", sandboxes=[one.name for one in settings.sandboxes])
            await stop.wait()
            self._readiness.problem("stop", "shutting down")
            log.info("stopping")
            self._stopping.set()
            async with self._changing:
                await self._drain()
        finally:
            self._stopping.set()
            await self._supervisor.stop()
            await self._server.stop()
            await self._store.close()
            log.info("stopped")

    async def reload(self) -> Sequence[str]:
        """Read the settings again and work by them; return what is wrong with them, and then change nothing."""
        async with self._changing:
            if self._stopping.is_set():
                return _SHUTTING_DOWN
            before = self._now_running.settings
            try:
                settings = self._reread()
            except ConfigError as error:
                self._metrics.reload_ok.set(0)
                log.error("reload_refused", problems=error.problems)
                return error.problems
            fixed = [
                f"{name}: cannot change while running; restart segwatch to apply it"
                for name, old, new in (
                    ("store.url", before.store.url, settings.store.url),
                    ("http.listen", before.http.listen, settings.http.listen),
                )
                if old != new
            ]
            if fixed:
                self._metrics.reload_ok.set(0)
                log.error("reload_refused", problems=fixed)
                return fixed
            await self._drain()
            if (
                self._stopping.is_set()
            ):  # it waits for its turn to drain; nothing may begin before that
                return _SHUTTING_DOWN
            await self._build(settings)
            self._metrics.reload_ok.set(1)
            log.info("reloaded", sandboxes=[one.name for one in settings.sandboxes])
            return ()

    async def _drain(self) -> None:
        """Stop polling, then finish the deliveries under way; what is not done stays in the store."""
        await self._supervisor.stop("sandbox:")
        await self._supervisor.stop("channel:")
        await self._now_running.resources.aclose()

    async def _build(self, settings: Settings) -> None:
        generation = self._now_running = _Generation(settings=settings, resources=AsyncExitStack())
        kinds = tuple(self._kinds.by_name)
        self._metrics.expect(
            {one.name: kinds for one in settings.sandboxes}, tuple(one.name for one in settings.channels)
        )
        await self._build_channels(generation)
        await self._build_sandboxes(generation)

    async def _build_channels(self, generation: _Generation) -> None:
        settings = generation.settings
        session = await generation.resources.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        for one in settings.channels:
            name = f"channel:{one.name}"
            worker = ChannelWorker(
                channel_of(settings, one.name, session, self._clock),
                store=self._store,
                routes=routes_of(settings),
                clock=self._clock,
                random=random.random,
                beat=partial(self._heartbeats.beat, name, BEAT_WITHIN_S),
                observer=_Deliveries(self._metrics),
                told=self._told,
                grace_s=settings.daemon.shutdown_grace.total_seconds() / 2,
            )
            generation.channels.append(worker)
            self._keep(name, _without_beat(worker))

    async def _build_sandboxes(self, generation: _Generation) -> None:
        settings = generation.settings
        session = open_session()
        generation.resources.push_async_callback(session.close)
        clients = Clients(settings, session, now=self._clock.now, observe=self._called)
        for sandbox in settings.sandboxes:
            client, budget, tokens = clients.of(sandbox)
            generation.budgets[sandbox.name], generation.tokens[sandbox.name] = budget, tokens
            policies = {name: self._policy(settings, kind) for name, kind in self._kinds.by_name.items()}
            recorder = Recorder(
                sandbox.name, self._store, self._clock, self._bus,
                partial(_promise, routes_of(settings)),
                policies=policies,
                by_change={name: kind.changes_first for name, kind in self._kinds.by_name.items()},
                remember=max(2 * settings.polling.lookback, _REMEMBER_MIN),
            )  # fmt: skip
            generation.recorders.append(recorder)
            sentinel = Sentinel(recorder, self._store, self._clock, self._metrics)
            demand = Demand()
            places = asyncio.Semaphore(settings.polling.concurrency)
            for name, kind in self._kinds.by_name.items():
                with suppress(StoreError):  # then the reader writes it, as soon as the store works
                    await recorder.position(name, self._began)
                source = Source(kind, client, budget, self._clock, unreadable=self._unreadable, places=places)
                self._follow(settings, source, recorder, sentinel, demand)
                if policies[name].retry:
                    submitter = Submitter(
                        source, recorder, self._store, self._clock, settings.retry.policy,
                        grace_s=settings.daemon.shutdown_grace.total_seconds() / 2,
                    )  # fmt: skip
                    self._keep(f"sandbox:{sandbox.name}/submitter-{name}", submitter.run, patience=source.patience)

    def _follow(
        self, settings: Settings, source: Source, recorder: Recorder, sentinel: Sentinel, demand: Demand
    ) -> None:
        """Start the reader of one stream; it starts a poller for every active job."""
        cadence = settings.polling.cadence
        prefix = f"sandbox:{recorder.sandbox}/{source.kind.name}"

        def poll(job: JobState) -> None:
            name = f"{prefix}/{job.key.id}"
            self._supervisor.start(Worker(name=name, run=Poller(job, reader, cadence).run))

        reader = Reader(
            source, recorder, self._clock, cadence, sentinel,
            demand=demand,
            began_at=self._began,
            lookback=settings.polling.lookback,
            on_active=poll,
        )  # fmt: skip
        self._keep(prefix, reader.run, patience=source.patience)

    def _policy(self, settings: Settings, kind: JobKind) -> Policy:
        overdue_after = settings.polling.overdue_after.of(kind.name)
        watch = Watch(path=kind.path, since=self._began, overdue_after=overdue_after)
        return Policy(watch=watch, retry=settings.retry.policy if kind.resubmits else None)

    def _keep(self, name: str, run: Run, *, patience: timedelta = timedelta()) -> None:
        """Keep a worker running. patience: how long it may wait for somebody else's answer without a heartbeat."""
        self._metrics.restarts.labels(_family(name))  # at zero, so that `rate()` sees the first restart
        self._supervisor.start(Worker(name=name, run=run, within_s=BEAT_WITHIN_S + patience.total_seconds()))

    def _hear(self, news: News) -> None:
        event = news.event
        self._metrics.on_event(event, news.job)
        log.info(
            "event", type=event.type.value, stream=event.stream, sequence=event.sequence, status=event.status,
            previous=event.previous, reason=event.reason, late=event.late,
        )  # fmt: skip
        for channel in self._now_running.channels:
            channel.wake()

    def _told(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._bus.publish(News(event=event))

    def _called(self, call: Call) -> None:
        self._metrics.calls.labels(call.sandbox, call.endpoint, call.code).inc()
        self._metrics.call_seconds.labels(call.sandbox, call.endpoint).observe(call.seconds)

    def _unreadable(self, part: str, count: int) -> None:
        self._metrics.parse_errors.labels(part).inc(count)

    async def _measure(self) -> None:
        """Set the gauges that are measured when somebody asks."""
        for recorder in self._now_running.recorders:
            for kind in self._kinds.by_name:
                self._metrics.set_jobs(recorder.sandbox, kind, recorder.known(kind))
        for name, budget in self._now_running.budgets.items():
            self._metrics.budget.labels(name).set(budget.rate)
        for name, tokens in self._now_running.tokens.items():
            if tokens.expires_at:
                self._metrics.token_expiry.labels(name).set(tokens.expires_at.timestamp())
        try:
            depths = {depth.channel: depth for depth in await self._store.outbox_depth()}
            for name in {one.name for one in self._now_running.settings.channels} | set(depths):
                depth = depths.get(name)
                self._metrics.outbox_pending.labels(name).set(depth.pending if depth else 0)
                self._metrics.dead_letters.labels(name).set(depth.dead if depth else 0)
                oldest = depth.oldest if depth else None
                self._metrics.outbox_oldest.labels(name).set(oldest.timestamp() if oldest else 0)
            for sandbox in self._now_running.settings.sandboxes:
                steps = (Step.PROPOSED, Step.SCHEDULED, Step.POSTING)
                waiting = await self._store.resubmissions(sandbox.name, steps=steps)
                self._metrics.retries_pending.labels(sandbox.name).set(len(waiting))
        except StoreError as error:
            log.warning("gauges_not_measured", error=str(error))  # the last values stay


class _Deliveries:
    """Counts attempts to notify."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def delivered(self, channel: str, seconds: float) -> None:
        """Hear of an accepted delivery."""
        self._metrics.deliveries.labels(channel).inc()
        self._metrics.delivery_seconds.labels(channel).observe(seconds)

    def failed(self, channel: str, reason: str) -> None:
        """Hear of a failed attempt."""
        self._metrics.deliveries_failed.labels(channel, reason).inc()


def _without_beat(worker: ChannelWorker) -> Run:
    async def run(beat: Callable[[], None]) -> None:
        await worker.run()  # it was given its heartbeat when it was built

    return run


def _promise(routes: Sequence[routing.Route], events: Sequence[Event], now: datetime) -> tuple[Delivery, ...]:
    return routing.promises(events, routes, now)


def _family(worker: str) -> str:
    """Return the worker's name without ids: a label's values must stay few."""
    return "/".join(worker.split("/")[:2])
