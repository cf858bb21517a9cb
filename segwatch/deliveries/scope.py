"""What a channel may see: of which sandboxes, jobs and alerts its routes could tell it at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from segwatch.alerts.labels import LABELS
from segwatch.alerts.model import Labels
from segwatch.deliveries.routing import Route
from segwatch.jobs.events import Severity

_OF_THE_JOB = frozenset({"sandbox", "kind", "segment", "dataset", "job_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one channel may see.

    rules: all routes, in their order; a condition on anything but the job (type of event, severity, status ...) says
    when the channel is told, not of what, and does not count. unrestricted: no route names the channel, so that
    nothing is kept from it. sandboxes: only these; () for all.
    """

    channel: str
    rules: tuple[Route, ...] = ()
    unrestricted: bool = True
    sandboxes: tuple[str, ...] = ()

    def covers(self, labels: Labels) -> bool:
        """Return whether the channel may see what has these labels."""
        whole = {label: tuple(labels.get(label, ())) for label in LABELS}
        if self.sandboxes and not set(self.sandboxes) & set(whole["sandbox"]):
            return False
        return self.unrestricted or self._told_of(whole)

    def seen(self, sandboxes: Iterable[str]) -> tuple[str, ...]:
        """Return those of these sandboxes of which the channel may see anything."""
        return tuple(one for one in sandboxes if self.unrestricted or self._told_within(one) if self._wants(one))

    def _wants(self, sandbox: str) -> bool:
        return not self.sandboxes or sandbox in self.sandboxes

    def _told_within(self, sandbox: str) -> bool:
        labels = dict.fromkeys(LABELS, ()) | {"sandbox": (sandbox,)}
        rules = (_about(rule, frozenset({"sandbox"})) for rule in self.rules if self.channel in rule.channels)
        return any(not rule.objection(labels, Severity.CRITICAL) for rule in rules)

    def _told_of(self, labels: Labels) -> bool:
        fallback = taken = False
        for rule in self.rules:
            about = _about(rule, _OF_THE_JOB)
            if about.objection(labels, Severity.CRITICAL):
                continue
            if rule.default:
                fallback |= self.channel in rule.channels
                continue
            if self.channel in rule.channels:
                return True
            if about == rule:  # it takes all there is about such a job, so no default gets anything of it
                taken = True
                if not rule.continues:
                    break
        return fallback and not taken


def scope_of(channel: str, routes: Sequence[Route], sandboxes: Sequence[str] = ()) -> Scope:
    """Return what the channel may see. sandboxes: only these; () for all."""
    unrestricted = not any(channel in route.channels for route in routes)
    return Scope(channel=channel, rules=tuple(routes), unrestricted=unrestricted, sandboxes=tuple(sandboxes))


def _about(route: Route, labels: frozenset[str]) -> Route:
    """Return the route with only what it demands of these labels."""
    return replace(
        route,
        match={label: value for label, value in route.match.items() if label in labels},
        matchers=tuple(matcher for matcher in route.matchers if matcher.label in labels),
        min_severity=Severity.INFO,
    )
