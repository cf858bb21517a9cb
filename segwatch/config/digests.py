"""When a channel is told what the day was like."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from segwatch.config.sections import Section, setting
from segwatch.config.values import SandboxName, TimeOfDay, ZoneName
from segwatch.deliveries.digest_times import Daily
from segwatch.errors import BadValue

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DayOfWeek = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


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
