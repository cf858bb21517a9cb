"""What becomes of open alerts when routes are edited: each goes on, the way that now leads to its channel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from segwatch.alerts.grouping import Group, Hush, Member, Way
from segwatch.alerts.model import Alert, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Leads:
    """Who is told of an open alert, by the routes as they are now.

    ways: those of grouped routes, each with the labels of the event that they take. at_once: the other channels, each
    with the id of the last event about the alert that it is told of.
    """

    ways: tuple[tuple[Way, Labels], ...] = ()
    at_once: Mapping[str, str] = field(default_factory=dict)

    def to(self, channel: str) -> list[tuple[Way, Labels]]:
        """Return the ways that lead to the channel, the first one first."""
        return [(way, labels) for way, labels in self.ways if way.channel == channel]


Lead = Callable[[Alert], Leads]


def rerouted(group: Group, alerts: Mapping[str, Alert], lead: Lead) -> Group:
    """Return the group on the way that its open alerts go now; without those that begin anew on another one.

    What was told stays together, under the same id: an incident, a thread. So only alerts of which nothing was told
    leave for the group where they now belong. What no route takes any more stays to be closed, and nothing else.
    """
    ways = {id_: lead(alerts[id_]).to(group.way.channel) for id_ in group.members if alerts[id_].is_open}
    found = [way for led in ways.values() for way, _ in led]
    way = next((one for one in found if one.route == group.way.route), found[0] if found else group.way)
    members: dict[str, Member] = {}
    for id_, member in group.members.items():
        if id_ not in ways:
            members[id_] = member
        elif member.known:
            members[id_] = _routed(member, is_led=bool(ways[id_]))
        elif any(_belongs(group, way, one, labels) for one, labels in ways[id_]):
            members[id_] = member
    return replace(group, way=way, members=members)


def _routed(member: Member, *, is_led: bool) -> Member:
    if not is_led:
        return replace(member, hush=Hush.UNROUTED)
    return replace(member, hush=Hush.NONE) if member.hush is Hush.UNROUTED else member


def _belongs(group: Group, way: Way, led: Way, labels: Labels) -> bool:
    """True when an alert that goes the way `led` belongs to the group, which goes `way`."""
    if led.route != way.route:
        return False
    return way.route == group.way.route or way.labels(labels) == group.labels


def resumed(group: Group, alert_id: str, way: Way) -> Group:
    """Return the group with an alert in it that a route takes again; on that route's way if all others are unrouted."""
    is_led = any(member.hush is not Hush.UNROUTED for member in group.members.values())
    members = group.members | {alert_id: replace(group.members[alert_id], hush=Hush.NONE)}
    return replace(group, members=members, way=group.way if is_led else way)


def still_owed(alert: Alert, leads: Leads) -> Alert:
    """Return the alert without what waits for channels that no immediate route leads to any more."""
    waiting = tuple(one for one in alert.inhibited if one[0] in leads.at_once)
    return alert if waiting == alert.inhibited else replace(alert, inhibited=waiting)
