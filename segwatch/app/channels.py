"""From the settings to channels and routes."""

from typing import Any

import aiohttp

from segwatch.config import Settings
from segwatch.daemon.clock import Clock
from segwatch.daemon.dispatcher import Channel
from segwatch.deliveries import routing, settle
from segwatch.notifiers.base import NotifierContext, load_notifiers
from segwatch.upstream.wire import proxy_for


def open_session() -> aiohttp.ClientSession:
    """Return the session on which all channels send: one that keeps no cookies and reads no ~/.netrc."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())


def channel_of(settings: Settings, name: str, session: aiohttp.ClientSession, clock: Clock) -> Channel:
    """Return the configured channel of that name, ready to send."""
    chosen = next(channel for channel in settings.channels if channel.name == name)
    kind = load_notifiers()[chosen.kind]
    timeout_s = chosen.timeout.total_seconds()
    context = NotifierContext(
        channel=name, session=session, now=clock.now, timeout_s=timeout_s, route_to=_through_proxy
    )
    return Channel(
        name=name,
        notifier=kind.build(chosen, context),
        policy=settle.DeliveryPolicy(backoff=chosen.backoff, max_age=chosen.max_age),
        timeout_s=timeout_s,
    )


def routes_of(settings: Settings) -> tuple[routing.Route, ...]:
    """Return the configured routes in the form that decides."""
    return tuple(
        routing.Route(
            channels=route.channels,
            match=route.match.wanted,
            matchers=route.parsed,
            min_severity=route.min_severity,
            continues=route.continues,
            default=route.default,
            group_by=route.group_by,
            group_wait=route.group_wait,
            group_interval=route.group_interval,
            repeat_interval=route.repeat_interval,
            quiet_hours=route.quiet,
        )
        for route in settings.routes
    )


def _through_proxy(url: str) -> dict[str, Any]:
    """Return the options of a request that honour HTTPS_PROXY and NO_PROXY."""
    proxy = proxy_for(url)
    return {"proxy": proxy.url, "proxy_headers": proxy.headers} if proxy else {}
