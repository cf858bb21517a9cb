"""From the settings to channels and routes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from segwatch.alerts.ending import Watched
from segwatch.alerts.grouping import Way
from segwatch.alerts.model import Alert
from segwatch.alerts.rerouting import Leads
from segwatch.app.knowledge import knowledge_without_names
from segwatch.app.wording import Failed, Wording, rules_of, unheard
from segwatch.config import Settings
from segwatch.daemon.clock import Clock
from segwatch.daemon.digester import Plan
from segwatch.daemon.dispatcher import Channel
from segwatch.deliveries import routing, settle, ways
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.message import message_of
from segwatch.deliveries.scope import Scope, scope_of
from segwatch.jobs.events import Event
from segwatch.kinds.base import load_kinds
from segwatch.notifiers.base import NotifierContext, load_notifiers
from segwatch.upstream.wire import proxy_for


def open_session() -> aiohttp.ClientSession:
    """Return the session on which all channels send: one that keeps no cookies and reads no ~/.netrc."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())


def wording_of(
    settings: Settings, name: str,
    *, knowledge: Callable[[], Knowledge] | None = None, failed: Failed = unheard,
) -> Wording:  # fmt: skip
    """Return what the channel of that name says of events.

    knowledge: what is known when a message is composed; what the settings say, without it. failed: as in `Wording`.
    """
    base = knowledge_without_names(settings)
    return Wording(
        name,
        rules_of(settings),
        standard=lambda event: message_of(event, knowledge() if knowledge else base),
        failed=failed,
    )


def channel_of(
    settings: Settings, name: str, session: aiohttp.ClientSession, clock: Clock,
    *, knowledge: Callable[[], Knowledge] | None = None, failed: Failed = unheard,
) -> Channel:  # fmt: skip
    """Return the configured channel of that name, ready to send. knowledge, failed: as in `wording_of`."""
    chosen = next(channel for channel in settings.channels if channel.name == name)
    kind = load_notifiers()[chosen.kind]
    timeout_s = chosen.timeout.total_seconds()
    context = NotifierContext(
        channel=name, session=session, now=clock.now, timeout_s=timeout_s, route_to=_through_proxy,
        compose=wording_of(settings, name, knowledge=knowledge, failed=failed).compose,
    )  # fmt: skip
    return Channel(
        name=name,
        notifier=kind.build(chosen, context),
        policy=settle.DeliveryPolicy(backoff=chosen.backoff, max_age=chosen.max_age),
        timeout_s=timeout_s,
        stateful=kind.stateful,
    )


def routes_of(settings: Settings) -> tuple[routing.Route, ...]:
    """Return the configured routes in the form that decides."""
    stateful = stateful_channels(settings)
    return tuple(replace(one.route, stateful=stateful.intersection(one.channels)) for one in settings.routes)


def stateful_channels(settings: Settings) -> frozenset[str]:
    """Return the channels whose receivers keep incidents of their own: their kind says so."""
    kinds = load_notifiers()
    return frozenset(one.name for one in settings.channels if kinds[one.kind].stateful)


def watched_of(settings: Settings) -> Watched:
    """Return what is watched, in the form that decides of alerts whether their end could still be heard of."""
    return Watched(
        sandboxes=frozenset(one.name for one in settings.sandboxes),
        channels=frozenset(one.name for one in settings.channels),
        pipelines=frozenset((settings.sandbox_of(one), one.name) for one in settings.pipelines),
        retention=settings.store.retention,
        schedules=settings.detectors.schedules,
        audiences=settings.detectors.audiences,
        exports=settings.detectors.exports,
    )


def digests_of(settings: Settings) -> tuple[Plan, ...]:
    """Return the digests that channels are told."""
    return tuple(
        Plan(channel=one.name, daily=one.digest.daily, scope=scope_for(settings, one.name, one.digest.sandboxes or ()))
        for one in settings.channels
        if one.digest
    )


def scope_for(settings: Settings, channel: str, only: Sequence[str] = ()) -> Scope:
    """Return what a channel may see; all that is watched for "". only: of these sandboxes alone; () for all."""
    return scope_of(
        channel, routes_of(settings), only=only,
        watched=[one.name for one in settings.sandboxes], kinds=tuple(load_kinds()),
        pipelines=[(settings.sandbox_of(one), one.name) for one in settings.pipelines],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes, as `Routing` asks for them."""

    routes: tuple[routing.Route, ...]

    @property
    def ways(self) -> Sequence[Way]:
        """All ways in which channels are told of alerts."""
        return ways.ways_of(self.routes)

    def ways_for(self, event: Event) -> Sequence[Way]:
        """Return those that are told of this one, each channel once."""
        return ways.ways_for(event, self.routes)

    def leads(self, alert: Alert) -> Leads:
        """Return who is told of an open alert."""
        return ways.leads_of(alert, self.routes)

    def promised(self, event: Event) -> Sequence[str]:
        """Return the channels that are told of the event itself, but for a silence."""
        return routing.told_at_once(event, self.routes)


def _through_proxy(url: str) -> dict[str, Any]:
    """Return the options of a request that honour HTTPS_PROXY and NO_PROXY."""
    proxy = proxy_for(url)
    return {"proxy": proxy.url, "proxy_headers": proxy.headers} if proxy else {}
