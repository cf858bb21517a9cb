"""When a channel is told what the day was like."""

import re
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, GetJsonSchemaHandler, PlainSerializer
from pydantic_core import CoreSchema

from segwatch.config.routes import ZoneName
from segwatch.config.sections import Section, setting
from segwatch.config.values import SandboxName
from segwatch.deliveries.digest_times import Daily
from segwatch.errors import BadValue

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DayOfWeek = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _time_of_day(value: object) -> time:
    if isinstance(value, time):  # a literal of TOML, or what was read before
        return value.replace(microsecond=0)
    if not isinstance(value, str) or re.fullmatch("(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?", value) is None:
        raise BadValue(', which is no time of day. Write hours and minutes, such as "08:00".')
    return time.fromisoformat(value)


class _TimeOfDaySchema:
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"}


def _shown(at: time) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


TimeOfDay = Annotated[time, BeforeValidator(_time_of_day), PlainSerializer(_shown), _TimeOfDaySchema()]


def _some(value: object) -> object:
    if value == [] or value == ():
        raise BadValue(", which is empty. Leave the key out for all.")
    return value


class Digest(Section):
    """The daily digest: what ran, what failed, what moved since the last one. Not for channels that keep incidents."""

    at: TimeOfDay = setting("The time of day at which it is told, to the minute or the second.")
    zone: ZoneName = setting("The time zone of `at`, by its IANA name.")
    days: Annotated[tuple[DayOfWeek, ...], BeforeValidator(_some)] = setting(
        "The days on which it is told; it always goes back to the last one.", default=_WEEK
    )
    sandboxes: Annotated[tuple[SandboxName, ...], BeforeValidator(_some)] | None = setting(
        "Names of the sandboxes that it is about. Without them, all of which a route could tell the channel.",
        default=None,
    )

    @property
    def daily(self) -> Daily:
        """Return these settings in the form that decides."""
        return Daily(at=self.at, zone=self.zone, days=frozenset(map(_WEEK.index, self.days)))


def _table(value: object) -> object:
    if value is None or isinstance(value, dict | Digest):
        return value
    raise BadValue(', which is no table. Write digest = { at = "08:00", zone = "Europe/Amsterdam" }.')


MaybeDigest = Annotated[Digest | None, BeforeValidator(_table)]
