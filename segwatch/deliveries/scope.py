"""What a channel may see: of which jobs, runs of pipelines, alerts and silences its routes could tell it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from segwatch.alerts.labels import LABELS, labels_of
from segwatch.alerts.matching import Condition, Matcher, Operator, fit
from segwatch.alerts.model import Alert, Labels
from segwatch.alerts.topics import JOBS, OF_ALL, PIPELINES, TOPICS, Topic, topic_of
from segwatch.deliveries.routing import Route
from segwatch.jobs.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one channel may see.

    watched, all_kinds, all_pipelines: sandboxes, kinds of job, and pipelines (sandbox and name) that there are.
    routes: all of them, in their order. only: of these sandboxes alone; () for all.
    """

    channel: str
    routes: tuple[Route, ...]
    watched: tuple[str, ...]
    all_kinds: tuple[str, ...]
    all_pipelines: tuple[tuple[str, str], ...]
    only: tuple[str, ...]

    def covers_job(self, labels: Labels) -> bool:
        """Return whether the channel may see the job with these labels."""
        return self._covers(JOBS, _of(JOBS, labels))

    def covers_event(self, event: Event) -> bool:
        """Return whether it may see the job, the audience or the run of a pipeline that the event is about."""
        topic = PIPELINES if event.type in PIPELINES.types else JOBS  # an audience is what a job has counted
        return self._covers(topic, _of(topic, labels_of(event)))

    def covers_alert(self, alert: Alert) -> bool:
        """Return whether it could be told of the alert."""
        topic = topic_of(alert.first_type)
        return self._covers(topic, _of(topic, alert.labels) | {"alert": (alert.subject,)})

    def covers_silence(self, matchers: Sequence[Matcher]) -> bool:
        """Return whether a silence with these matchers keeps back anything that it could be told of."""
        asked = Condition(matchers=tuple(matchers))
        equal = {one.label: (one.value,) for one in matchers if one.operator is Operator.EQUAL and one.value}
        of_type = [one for one in matchers if one.label == "type"]
        for topic in TOPICS:
            named = {label: value for label, value in equal.items() if label in topic.labels | OF_ALL - {"type"}}
            types = [one for one in topic.types if fit(of_type, {"type": (one,)})]
            for sandbox in self.watched if "sandbox" in topic.labels else ("",):
                known = named | ({"sandbox": (sandbox,)} if sandbox else {})
                certain = _certain(topic, known)
                if not asked.about(certain).objection(certain) and self._covers(topic, known, types):
                    return True
        return False

    @property
    def streams(self) -> tuple[tuple[str, str], ...]:
        """The sandboxes and kinds of job of which it may see anything."""
        every = ((sandbox, kind) for sandbox in self.watched for kind in self.all_kinds)
        return tuple(one for one in every if self._covers(JOBS, {"sandbox": (one[0],), "kind": (one[1],)}))

    @property
    def pipelines(self) -> tuple[tuple[str, str], ...]:
        """The pipelines that it may see, each with its sandbox."""
        return tuple(
            one for one in self.all_pipelines if self._covers(PIPELINES, {"sandbox": (one[0],), "pipeline": (one[1],)})
        )

    @property
    def sandboxes(self) -> tuple[str, ...]:
        """The sandboxes of whose jobs or pipelines it may see anything."""
        seen = {sandbox for sandbox, _ in (*self.streams, *self.pipelines)}
        return tuple(one for one in self.watched if one in seen)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of job of which it may see anything."""
        seen = {kind for _, kind in self.streams}
        return tuple(one for one in self.all_kinds if one in seen)

    def _covers(self, topic: Topic, known: Labels, types: Collection[str] | None = None) -> bool:
        """Return whether a route could lead an event to the channel that is about the topic, and of one of the types.

        known: labels that all such events have; of the others that the topic has, any may come. types: None for all.
        """
        if self.only and not set(self.only) & set(known.get("sandbox", ())):
            return False
        ours = [route for route in self.routes if self.channel in route.channels]
        if not ours:
            return True  # no route names it, so that nothing is kept from it
        certain = _certain(topic, known)
        if all(_rule(route, certain) is None for route in ours):
            return False
        # the rest of the others changes nothing, and this is asked for each of thousands of events
        falls_back = any(route.default for route in ours)
        relevant = (one for one in self.routes if self.channel in one.channels or falls_back or not one.continues)
        rules = [rule for route in relevant if (rule := _rule(route, certain)) is not None]
        return any(self._leads(type_, rules) for type_ in (topic.types if types is None else types))

    def _leads(self, type_: str, rules: Sequence["_Rule"]) -> bool:
        """Return whether the routes lead anything of that type to the channel, as `routing.judge` would."""
        falls_back = taken = False
        for rule in rules:
            is_ours = self.channel in rule.route.channels
            if rule.of_type.objection({"type": (type_,)}):
                continue
            if rule.route.default:
                falls_back |= is_ours
                continue
            if is_ours:
                return True
            taken |= rule.whole
            if rule.whole and not rule.route.continues:
                break
        return falls_back and not taken


def scope_of(
    channel: str, routes: Sequence[Route], *, watched: Sequence[str], kinds: Sequence[str],
    pipelines: Sequence[tuple[str, str]] = (), only: Sequence[str] = (),
) -> Scope:  # fmt: skip
    """Return what the channel may see.

    watched, kinds, pipelines: sandboxes, kinds of job, and pipelines (sandbox and name) that there are. only: of these
    sandboxes alone; () for all.
    """
    return Scope(
        channel=channel, routes=tuple(routes), watched=tuple(watched), all_kinds=tuple(kinds),
        all_pipelines=tuple(pipelines), only=tuple(only),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A route that could take events about a thing.

    of_type: what it asks of the type. whole: it takes all of such a type, since it asks for nothing more.
    """

    route: Route
    of_type: Condition
    whole: bool


def _rule(route: Route, certain: Labels) -> _Rule | None:
    """Return what is left open by these labels of what the route asks; None where it could take nothing."""
    if route.condition.about(certain).objection(certain):
        return None
    rest = route.condition.about(frozenset(LABELS) - certain.keys() - {"type"})
    if rest.about({"alert"}).objection({}):
        return None  # an alert is about one work or one thing: too little to show all there is in a sandbox
    whole = rest.is_empty and route.min_severity is Severity.INFO
    return _Rule(route=route, of_type=route.condition.about({"type"}), whole=whole)


def _certain(topic: Topic, known: Labels) -> dict[str, tuple[str, ...]]:
    """Return the labels that are known, with those that nothing about the topic has."""
    possible = topic.labels | OF_ALL
    return {label: () for label in LABELS if label not in possible} | dict(known)


def _of(topic: Topic, labels: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {label: values for label, values in labels.items() if label in topic.labels}
