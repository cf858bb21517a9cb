"""What a channel may see: of which sandboxes, jobs and alerts its routes could tell it at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from segwatch.alerts.labels import LABELS
from segwatch.alerts.model import Labels
from segwatch.deliveries.routing import Route
from segwatch.jobs.events import Severity

_OF_THE_JOB = frozenset({"sandbox", "kind", "segment", "dataset", "job_id"})
_NONE: dict[str, tuple[str, ...]] = dict.fromkeys(LABELS, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A route, as far as it says of which jobs it tells.

    about: with only its conditions on the job; one on anything else (type of event, severity, status ...) says when
    channels are told, not of what. whole: there is no other condition, so that it takes all there is about such a job.
    """

    about: Route
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one channel may see.

    rules: of all routes, in their order. unrestricted: no route names the channel, so that nothing is kept from it.
    sandboxes: only these; () for all.
    """

    channel: str
    rules: tuple[Rule, ...] = ()
    unrestricted: bool = True
    sandboxes: tuple[str, ...] = ()

    def covers(self, labels: Labels) -> bool:
        """Return whether the channel may see what has these labels."""
        if self.sandboxes and not set(self.sandboxes) & set(labels.get("sandbox", ())):
            return False
        return self.unrestricted or self._told_of(_NONE | dict(labels))

    def seen(self, sandboxes: Iterable[str]) -> tuple[str, ...]:
        """Return those of these sandboxes of which the channel may see anything."""
        wanted = (one for one in sandboxes if not self.sandboxes or one in self.sandboxes)
        return tuple(one for one in wanted if self.unrestricted or self._told_within(sandbox=one))

    def kinds(self, kinds: Iterable[str], sandboxes: Iterable[str]) -> tuple[str, ...]:
        """Return those of these kinds of which the channel may see anything in one of these sandboxes."""
        where = tuple(sandboxes)
        return tuple(
            kind
            for kind in kinds
            if self.unrestricted or any(self._told_within(sandbox=one, kind=kind) for one in where)
        )

    def _told_within(self, **of: str) -> bool:
        labels = _NONE | {label: (value,) for label, value in of.items()}
        ours = (_about(rule.about, frozenset(of)) for rule in self.rules if self._is_ours(rule))
        return any(not route.objection(labels, Severity.CRITICAL) for route in ours)

    def _told_of(self, labels: Labels) -> bool:
        fallback = taken = False
        for rule in self.rules:
            if rule.about.objection(labels, Severity.CRITICAL):
                continue
            if rule.about.default:
                fallback |= self._is_ours(rule)
                continue
            if self._is_ours(rule):
                return True
            taken |= rule.whole
            if rule.whole and not rule.about.continues:
                break
        return fallback and not taken

    def _is_ours(self, rule: Rule) -> bool:
        return self.channel in rule.about.channels


def scope_of(channel: str, routes: Sequence[Route], sandboxes: Sequence[str] = ()) -> Scope:
    """Return what the channel may see. sandboxes: only these; () for all."""
    unrestricted = not any(channel in route.channels for route in routes)
    rules = tuple(Rule(about=about, whole=about == route) for route in routes for about in [_about(route, _OF_THE_JOB)])
    return Scope(channel=channel, rules=rules, unrestricted=unrestricted, sandboxes=tuple(sandboxes))


def _about(route: Route, labels: frozenset[str]) -> Route:
    """Return the route with only what it demands of these labels."""
    return replace(
        route,
        condition=route.condition.about(labels),
        min_severity=Severity.INFO,
    )
