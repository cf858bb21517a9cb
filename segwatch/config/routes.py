"""Who is told of what: the routes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, create_model
from pydantic_core import CoreSchema

from segwatch.alerts import matching
from segwatch.alerts.labels import LABELS
from segwatch.alerts.matching import Condition
from segwatch.alerts.notices import FOR_ONE, follows_no_route
from segwatch.alerts.quiet import QuietHours
from segwatch.config.sections import Section, setting
from segwatch.config.values import Duration, ShortDuration, TimeOfDay, ZoneName
from segwatch.deliveries.routing import Route
from segwatch.errors import BadValue
from segwatch.jobs.events import EventType, Severity
from segwatch.kinds.base import load_kinds

if TYPE_CHECKING:  # which kinds there are is known when their files have been found
    KindName = str
else:
    KindName = Literal[tuple(load_kinds())]

_T = TypeVar("_T")


class OneOrMany:
    """The form of `OneOrMore` in the JSON Schema, and what tells it from a list in the reference."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _listed(value: object) -> object:
    """Return one value as a list of it; ids may be written as numbers."""
    if value == [] or value == ():
        raise BadValue(", which is empty and would match nothing. Leave the key out to match everything.")
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple(str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in many)


OneOrMore = Annotated[tuple[_T, ...], BeforeValidator(_listed), OneOrMany()]


if TYPE_CHECKING:
    EventTypeName = str
else:
    EventTypeName = Literal[tuple(one.value for one in EventType)]


def _routed(value: object) -> object:
    for type_ in sorted(FOR_ONE):
        if value in (type_, f"{type_.value.partition('.')[0]}.*"):
            raise BadValue(follows_no_route(type_))
    return value


if TYPE_CHECKING:
    RoutedType = str
else:
    RoutedType = Annotated[
        Literal[tuple(one.value for one in EventType if one not in FOR_ONE)], BeforeValidator(_routed)
    ]

StatusWord = Literal["NEW", "QUEUED", "PROCESSING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED", "VANISHED"]


class Match(Section):
    """What an event must have; each key takes one value or a list of which one must fit. Empty matches everything."""

    type: OneOrMore[EventTypeName] | None = setting("The event's type, such as `job.failed`.", default=None)
    severity: OneOrMore[Severity] | None = setting("The event's severity.", default=None)
    sandbox: OneOrMore[str] | None = setting("A sandbox's `name`.", default=None)
    kind: OneOrMore[KindName] | None = setting("The job's kind.", default=None)
    status: OneOrMore[StatusWord] | None = setting("The job's status, in the platform's words.", default=None)
    reason: OneOrMore[str] | None = setting("The event's `reason`.", default=None)
    job_id: OneOrMore[str] | None = setting("The job's id.", default=None)
    late: bool | None = setting("Whether it happened while segwatch was down.", default=None)
    segment: OneOrMore[str] | None = setting("The id of one of the job's segments.", default=None)
    dataset: OneOrMore[str] | None = setting("The id of the dataset that is exported to.", default=None)
    pipeline: OneOrMore[str] | None = setting("A pipeline's `name`.", default=None)
    schedule: OneOrMore[str] | None = setting("The id of one of the platform's schedules.", default=None)
    channel: OneOrMore[str] | None = setting("The `name` of the channel that the event is about.", default=None)
    alert: OneOrMore[str] | None = setting(
        "The subject of an alert that the event opens, adds to or closes, such as `sandbox/prod`.", default=None
    )

    @property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """Return the keys that are set, each with the texts of which an event must have one."""
        many = {key: value for key, value in self if isinstance(value, tuple)}
        return {key: tuple(str(one) for one in value) for key, value in many.items()} | (
            {} if self.late is None else {"late": (str(self.late).lower(),)}
        )


class RouteMatch(Match):
    """What an event must have; each key takes one value or a list of which one must fit. Empty matches everything."""

    type: OneOrMore[RoutedType] | None = setting("The event's type, such as `job.failed`.", default=None)


def condition_of(match: Match, matchers: Iterable[str]) -> Condition:
    """Return `match` and `matchers` in the form that decides."""
    return Condition(match=match.wanted, matchers=matching.parse_all(matchers))


def _matcher(text: str) -> str:
    matching.parse(text)
    return text


def _routed_matcher(text: str) -> str:
    matching.routable(matching.parse(text))
    return text


def _label(name: str) -> str:
    if name not in LABELS:
        raise BadValue(f", which is no label of an event. Known labels: {', '.join(LABELS)}.")
    return name


MatcherText = Annotated[str, AfterValidator(_matcher)]
RoutedMatcherText = Annotated[str, AfterValidator(_routed_matcher)]
LabelName = Annotated[str, AfterValidator(_label)]


class _QuietHours(Section):
    """When what is not urgent waits: it is told, in groups, when they end."""

    @property
    def hours(self) -> QuietHours:
        """Return these settings in the form that decides."""
        given: dict[str, Any] = dict(self)
        return QuietHours(begin=given["from"], end=given["to"], zone=given["zone"], below=given["below"])


class _Route(Section):
    """Which events go to which channels. Every route that matches is followed; a channel is told once."""

    match: RouteMatch = Field(default_factory=RouteMatch, description=str(RouteMatch.__doc__))
    matchers: tuple[RoutedMatcherText, ...] = setting(
        'What must fit besides `match`, written as Alertmanager\'s matchers: `severity!=info`, `segment=~"nl-.*"`.',
        default=(),
    )
    min_severity: Severity = setting("Events that are less severe are not taken.", default="info")
    channels: tuple[str, ...] = setting("Names of the channels that are told.", min_length=1)
    default: bool = setting("Whether the route takes only what no other route takes.", default=False)
    group_by: tuple[LabelName, ...] | None = setting(
        "The labels that alerts of one group have in common; `[]` puts all into one. With this, `group_wait`,"
        " `group_interval`, `repeat_interval` or `quiet_hours`, channels are told of groups of alerts, not of events.",
        default=None,
    )
    group_wait: ShortDuration | None = setting("How long a new group waits for more alerts.", default=None)
    group_interval: ShortDuration | None = setting("The least time between two messages of a group.", default=None)
    repeat_interval: Duration | None = setting("After which time an unchanged group is told again.", default=None)

    @property
    def continues(self) -> bool:
        """Return whether the routes behind are looked at as well."""
        given: dict[str, Any] = dict(self)
        return bool(given["continue"])

    @property
    def quiet(self) -> QuietHours | None:
        """Return the quiet hours in the form that decides."""
        given: dict[str, Any] = dict(self)
        quiet: _QuietHours | None = given["quiet_hours"]
        return None if quiet is None else quiet.hours

    @property
    def route(self) -> Route:
        """Return these settings in the form that decides; which of the channels are stateful, their kinds say."""
        return Route(
            channels=self.channels,
            condition=condition_of(self.match, self.matchers),
            min_severity=self.min_severity,
            continues=self.continues,
            default=self.default,
            group_by=self.group_by,
            group_wait=self.group_wait,
            group_interval=self.group_interval,
            repeat_interval=self.repeat_interval,
            quiet_hours=self.quiet,
        )


if TYPE_CHECKING:  # `from` and `continue` are words of Python's own, so their fields cannot be written in a class
    QuietHoursSection = _QuietHours
    RouteSection = _Route
else:
    QuietHoursSection = create_model(
        "QuietHours",
        __base__=_QuietHours,
        __doc__=_QuietHours.__doc__,
        **{
            "from": (TimeOfDay, setting("The time of day at which they begin.")),
            "to": (TimeOfDay, setting("The time of day at which they end; before `from`, on the next day.")),
            "zone": (ZoneName, setting("The time zone of both, by its IANA name.")),
            "below": (Severity, setting("What is less severe waits; the rest is told at once.", default="critical")),
        },
    )
    RouteSection = create_model(
        "Route",
        __base__=_Route,
        __doc__=_Route.__doc__,
        **{
            "continue": (
                bool,
                setting("Whether the routes behind are followed too when this one takes an event.", default=True),
            ),
            "quiet_hours": (
                QuietHoursSection | None,
                Field(default=None, description=str(QuietHoursSection.__doc__)),
            ),
        },
    )
