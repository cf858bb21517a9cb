"""Who is told: the channels, and the routes that lead to them."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from segwatch.backoff import Backoff
from segwatch.config.sections import Section, setting
from segwatch.config.values import ChannelName, SecretUrl, ShortDuration, SigningSecret
from segwatch.errors import Refused
from segwatch.jobs.events import EventType, Severity


def _unset(schema: dict[str, Any]) -> None:
    """Take the default out of a schema: `load` sees to it that the setting is given, here or in a file."""
    schema.pop("default", None)


_NEEDED: dict[str, Any] = {"validate_default": False, "json_schema_extra": _unset}


class _Channel(Section):
    """What all channels have."""

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


class LogChannel(_Channel):
    """Writes each notification as a log line."""

    kind: Literal["log"] = setting("How the receiver is spoken to.")


class WebhookChannel(_Channel):
    """Posts each event as JSON, signed as the Standard Webhooks specification says if a secret is given."""

    kind: Literal["webhook"] = setting("How the receiver is spoken to.")
    url: SecretUrl = setting("Where to post. Required, here or in `url_file`.", default=None, **_NEEDED)
    url_file: Path | None = setting("File that holds `url`.", default=None)
    secret: SigningSecret | None = setting(
        "Signs each request: base64, with or without `whsec_` before it, as the receiver hands it out.", default=None
    )
    secret_file: Path | None = setting("File that holds `secret`.", default=None)
    format: Literal["standard"] = setting("The form of the body.", default="standard")


class SlackChannel(_Channel):
    """Posts to a Slack incoming webhook."""

    kind: Literal["slack"] = setting("How the receiver is spoken to.")
    url: SecretUrl = setting(
        "The incoming webhook's address. Required, here or in `url_file`.", default=None, **_NEEDED
    )
    url_file: Path | None = setting("File that holds `url`.", default=None)


Channel = Annotated[LogChannel | WebhookChannel | SlackChannel, Field(discriminator="kind")]

_T = TypeVar("_T")


class _Schema:
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _listed(value: object) -> object:
    """Return one value as a list of it; ids may be written as numbers."""
    if value == [] or value == ():
        raise Refused(", which is empty and would match nothing. Leave the key out to match everything.")
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple(str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in many)


OneOrMore = Annotated[tuple[_T, ...], BeforeValidator(_listed), _Schema()]


StatusWord = Literal["NEW", "QUEUED", "PROCESSING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED", "VANISHED"]


class Match(Section):
    """What an event must have; each key takes one value or a list of which one must fit. Empty matches everything."""

    type: OneOrMore[EventType] | None = setting("The event's type, such as `job.failed`.", default=None)
    severity: OneOrMore[Severity] | None = setting("The event's severity.", default=None)
    sandbox: OneOrMore[str] | None = setting("A sandbox's `name`.", default=None)
    kind: OneOrMore[Literal["segment_job", "export_job"]] | None = setting("The job's kind.", default=None)
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


class Route(Section):
    """Which events go to which channels. Every route that matches is followed; a channel is told once."""

    match: Match = Field(default_factory=Match, description=str(Match.__doc__))
    channels: tuple[str, ...] = setting("Names of the channels that are told.", min_length=1)
