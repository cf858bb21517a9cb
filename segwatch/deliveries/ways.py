"""How channels are told of alerts: what the routes say of it, for the groups."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from segwatch.alerts.grouping import GROUP_INTERVAL, GROUP_WAIT, REPEAT_INTERVAL, Way
from segwatch.alerts.model import Alert, Labels
from segwatch.alerts.rerouting import Leads
from segwatch.deliveries.routing import Route, leading, leading_labels
from segwatch.jobs.events import Event, Severity

_AT_ONCE = timedelta()


def ways_for(event: Event, routes: Iterable[Route]) -> tuple[Way, ...]:
    """Return how those are told of the event who are told in groups."""
    found = (way_of(route, channel) for channel, route in leading(event, routes).items())
    return tuple(way for way in found if way)


def ways_of(routes: Iterable[Route]) -> tuple[Way, ...]:
    """Return all ways that these routes have."""
    return tuple(way for route in routes for channel in route.channels if (way := way_of(route, channel)))


def leads_of(alert: Alert, routes: Sequence[Route]) -> Leads:
    """Return who is told of an open alert by these routes, judged by each event that said that it is wrong."""
    ways: dict[tuple[str, str], tuple[Way, Labels]] = {}
    at_once: dict[str, str] = {}
    for event_id, labels in alert.alarmed:
        (severity,) = labels["severity"]
        for channel, route in leading_labels(labels, Severity(severity), routes).items():
            if way := way_of(route, channel):
                ways.setdefault((way.route, channel), (way, labels))
            else:
                at_once[channel] = event_id
    return Leads(ways=tuple(ways.values()), at_once=at_once)


def way_of(route: Route, channel: str) -> Way | None:
    """Return how the route tells the channel of alerts; None when it tells of each event at once.

    A channel with incidents of its own has one for each alert, opened and closed at once, unless the route groups.
    """
    is_stateful = channel in route.stateful
    if not route.groups:
        if not is_stateful:
            return None
        each = Way(route=_name(route), channel=channel, group_by=("alert",), stateful=True, repeat_interval=None)
        return replace(each, group_wait=_AT_ONCE, group_interval=_AT_ONCE)
    return Way(
        route=_name(route),
        channel=channel,
        group_by=route.group_by or (),
        group_wait=_or(route.group_wait, GROUP_WAIT),
        group_interval=_or(route.group_interval, GROUP_INTERVAL),
        repeat_interval=_or(route.repeat_interval, REPEAT_INTERVAL),
        quiet=route.quiet_hours,
        stateful=is_stateful,
    )


def _name(route: Route) -> str:
    """Return what stays the same as long as the route takes the same events and groups them by the same labels."""
    same = replace(
        route, channels=(), stateful=frozenset(),
        group_wait=None, group_interval=None, repeat_interval=None, quiet_hours=None,
    )  # fmt: skip
    return hashlib.sha256(repr(same).encode()).hexdigest()[:16]


def _or(span: timedelta | None, usual: timedelta) -> timedelta:
    return usual if span is None else span
