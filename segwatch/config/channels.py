"""Who is told: the channels, and the routes that lead to them."""

from datetime import timedelta
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from pydantic import BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, create_model
from pydantic_core import CoreSchema

from segwatch.alerts.grouping import GROUP_INTERVAL, GROUP_WAIT, REPEAT_INTERVAL
from segwatch.alerts.labels import LABELS
from segwatch.backoff import Backoff
from segwatch.config.layout import is_secret
from segwatch.config.sections import Section, setting
from segwatch.config.values import ChannelName, ShortDuration, format_duration
from segwatch.errors import BadValue
from segwatch.jobs.events import EventType, Severity
from segwatch.kinds.base import load_kinds
from segwatch.notifiers.base import NotifierKind, load_notifiers


def _file_will_do(schema: dict[str, Any]) -> None:
    """Take out of what a schema requires all that may be given as a file: `load` sees to it that one of both is."""
    if "required" in schema:
        schema["required"] = [key for key in schema["required"] if f"{key}_file" not in schema["properties"]]


class ChannelSection(Section):
    """What all channels have."""

    model_config = ConfigDict(json_schema_extra=_file_will_do)

    name: ChannelName = setting("The channel's name, for routes, metrics and `notify replay`.")
    kind: str = setting("How the receiver is spoken to.")
    timeout: ShortDuration = setting("Longest wait for the receiver's answer to one attempt.", default="10s")
    first_delay: ShortDuration = setting("Wait after the first failed attempt; it doubles with each one.", default="2s")
    max_delay: ShortDuration = setting("Longest wait between two attempts.", default="10m")
    max_age: ShortDuration = setting(
        "Age at which an undelivered notification becomes a dead letter, still sendable by hand.", default="24h"
    )

    @property
    def backoff(self) -> Backoff:
        """Return the wait between attempts, in the form that decides."""
        return Backoff(first=self.first_delay, cap=self.max_delay)


def _section_of(kind: NotifierKind) -> type[ChannelSection]:
    """Return the settings of one kind of channel: its own beside those of all, and a file for each secret.

    An instance is also one of the kind's options, so that a notifier is built from what was validated here.
    """
    secrets = [key for key, field in kind.options.model_fields.items() if is_secret(field.annotation)]
    added: dict[str, Any] = {
        f"{key}_file": (Path | None, setting(f"File that holds `{key}`.", default=None)) for key in secrets
    }
    added["kind"] = (Literal[kind.name], setting("How the receiver is spoken to."))
    name = "".join(word.title() for word in kind.name.split("_"))
    # the first base comes last in the table
    bases = (kind.options, ChannelSection)
    return cast(
        type[ChannelSection], create_model(f"{name}Channel", __base__=bases, __doc__=kind.options.__doc__, **added)
    )


if TYPE_CHECKING:  # which kinds there are is known when their files have been found
    AnyChannel = ChannelSection
    KindName = str
else:
    AnyChannel = Annotated[
        reduce(or_, (_section_of(kind) for kind in load_notifiers().values())), Field(discriminator="kind")
    ]
    KindName = Literal[tuple(load_kinds())]

_T = TypeVar("_T")


class _Schema:
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _listed(value: object) -> object:
    """Return one value as a list of it; ids may be written as numbers."""
    if value == [] or value == ():
        raise BadValue(", which is empty and would match nothing. Leave the key out to match everything.")
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple(str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in many)


OneOrMore = Annotated[tuple[_T, ...], BeforeValidator(_listed), _Schema()]


StatusWord = Literal["NEW", "QUEUED", "PROCESSING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED", "VANISHED"]


class Match(Section):
    """What an event must have; each key takes one value or a list of which one must fit. Empty matches everything."""

    type: OneOrMore[EventType] | None = setting("The event's type, such as `job.failed`.", default=None)
    severity: OneOrMore[Severity] | None = setting("The event's severity.", default=None)
    sandbox: OneOrMore[str] | None = setting("A sandbox's `name`.", default=None)
    kind: OneOrMore[KindName] | None = setting("The job's kind.", default=None)
    status: OneOrMore[StatusWord] | None = setting("The job's status, in the platform's words.", default=None)
    reason: OneOrMore[str] | None = setting("The event's `reason`.", default=None)
    job_id: OneOrMore[str] | None = setting("The job's id.", default=None)
    late: bool | None = setting("Whether it happened while segwatch was down.", default=None)

    @property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """Return the keys that are set, each with the texts of which an event must have one."""
        many = {key: value for key, value in self if isinstance(value, tuple)}
        return {key: tuple(str(one) for one in value) for key, value in many.items()} | (
            {} if self.late is None else {"late": (str(self.late).lower(),)}
        )


if TYPE_CHECKING:
    LabelName = str
else:
    LabelName = Literal[LABELS]


def _wait(sentence: str, usual: timedelta) -> Any:
    return setting(f"{sentence} Where the route gathers: {format_duration(usual)}.", default=None)


class RouteSection(Section):
    """Which events go to which channels. Every route that matches is followed; a channel is told once."""

    match: Match = Field(default_factory=Match, description=str(Match.__doc__))
    channels: tuple[str, ...] = setting("Names of the channels that are told.", min_length=1)
    group_by: tuple[LabelName, ...] | None = setting(
        "Labels that the alerts of one message share; `[]` gathers all. Any of these four makes the route gather.",
        default=None,
    )
    group_wait: ShortDuration | None = _wait("How long the first alert of a message waits for others.", GROUP_WAIT)
    group_interval: ShortDuration | None = _wait("Shortest time between two messages of a group.", GROUP_INTERVAL)
    repeat_interval: ShortDuration | None = _wait("When what still fires is said again.", REPEAT_INTERVAL)
