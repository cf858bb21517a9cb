"""The kinds of value that a setting can have: how each is written, read, and written again."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, PlainSerializer, SecretStr
from pydantic_core import CoreSchema

from segwatch.addresses import is_host, service_url
from segwatch.errors import BadValue
from segwatch.store.factory import file_of

DURATION_PATTERN = r"^[0-9]{1,12}(ms|s|m|h|d)$"

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS = 3650 * _UNITS_MS["d"]


def parse_duration(value: object) -> timedelta:
    """Return the span that `value` writes: a whole number and ms, s, m, h or d. Refuses everything else."""
    if isinstance(value, timedelta):
        return value
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if re.fullmatch("[0-9]{1,12}", text):
        raise BadValue(f', which has no unit. Write "{text}s".')
    found = re.match(DURATION_PATTERN, text)
    if found is None or text.endswith("\n"):
        raise BadValue(', which is no duration. Write a whole number and ms, s, m, h or d, such as "90s".')
    unit = found[1]
    span_ms = int(text.removesuffix(unit)) * _UNITS_MS[unit]
    if span_ms > _LONGEST_MS:
        raise BadValue(', which is above 3650d. Write "3650d" or shorter.')
    return timedelta(milliseconds=span_ms)


def format_duration(span: timedelta) -> str:
    """Return `span`, in whole milliseconds, in the largest unit that needs no fraction: `90s`, `15m`."""
    span_ms = span // timedelta(milliseconds=1)
    if span_ms == 0:
        return "0s"
    unit = next(unit for unit in reversed(_UNITS_MS) if span_ms % _UNITS_MS[unit] == 0)
    return f"{span_ms // _UNITS_MS[unit]}{unit}"


@dataclass(frozen=True, slots=True)
class _Within:
    """Bounds of a duration, both included, and its form in the JSON Schema."""

    least: str
    most: str = "3650d"

    def __call__(self, span: timedelta) -> timedelta:
        if span < parse_duration(self.least):
            raise BadValue(f', which is below {self.least}. Write "{self.least}" or longer.')
        if span > parse_duration(self.most):
            raise BadValue(f', which is above {self.most}. Write "{self.most}" or shorter.')
        return span

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": DURATION_PATTERN}


def _span(least: str, most: str = "3650d") -> tuple[Any, ...]:
    within = _Within(least, most)
    return (AfterValidator(within), BeforeValidator(parse_duration), PlainSerializer(format_duration), within)


Duration = Annotated[timedelta, *_span("1s")]
ShortDuration = Annotated[timedelta, *_span("1ms")]
Grace = Annotated[timedelta, *_span("1s", "9s")]


def _no_truth(value: object) -> object:
    if isinstance(value, bool):  # pydantic would take `true` for 1
        raise BadValue(", which is not a number. Write a number.")
    return value


Count = Annotated[int, Field(ge=1), BeforeValidator(_no_truth)]
CountOrZero = Annotated[int, Field(ge=0), BeforeValidator(_no_truth)]
FractionOrMore = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False), BeforeValidator(_no_truth)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_truth)]


ServiceUrl = Annotated[str, AfterValidator(service_url)]


def _plain_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text:
        raise BadValue(", which is empty. Write the secret, or leave the setting out.")
    if not text.isprintable():
        raise BadValue(", which contains a line break or a control character. Write the secret on one line.")
    return secret


def _header_secret(secret: SecretStr) -> SecretStr:
    text = _plain_secret(secret).get_secret_value()
    if " " in text or not text.isascii():
        raise BadValue(", which contains a blank or a letter that a header cannot carry. Write the token only.")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_plain_secret)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]


def _fits(pattern: str, tail: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise BadValue(tail)
        return text

    return check


# Adobe, "Sandbox management UI guide": all lower case, begins with a letter, letters, digits and hyphens, at most 256
SandboxName = Annotated[
    str,
    AfterValidator(
        _fits(
            "[a-z][a-z0-9-]{0,255}", ", which no sandbox can be called. Write lower-case letters, digits and hyphens."
        )
    ),
]
ChannelName = Annotated[
    str,
    AfterValidator(
        _fits("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", ". Write letters, digits, dots, hyphens and underscores, at most 64.")
    ),
]
OrgId = Annotated[
    str,
    AfterValidator(
        _fits("[0-9A-Fa-f]{24}@AdobeOrg", ', which is no organization id. Write 24 hex digits and "@AdobeOrg".')
    ),
]
Word = Annotated[str, AfterValidator(_fits(r"\S+", ", which is empty or contains a blank. Write one word."))]

_SEGMENTS_MAX = 100


def _few(segments: tuple[str, ...]) -> tuple[str, ...]:
    if len(segments) > _SEGMENTS_MAX:
        tail = f", which names {len(segments)} segments. Name {_SEGMENTS_MAX} or fewer: each is a series of its own."
        raise BadValue(tail)
    return segments


SegmentIds = Annotated[tuple[Word, ...], AfterValidator(_few)]


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the HTTP server listens. Port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^.+:[0-9]{1,5}$"}


def _listen(value: object) -> Listen:
    if isinstance(value, Listen):
        return value
    found = (
        re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})", value)
        if isinstance(value, str)
        else None
    )
    if found is None or int(found[3]) > 65535:
        raise BadValue(', which is not host:port. Write such as "127.0.0.1:9469"; "0.0.0.0:9469" for every interface.')
    host = found[1] or found[2]
    if not is_host(host):
        raise BadValue(', which is no address of a machine. Write such as "127.0.0.1:9469", or the name of a host.')
    return Listen(host=host, port=int(found[3]))


ListenAddress = Annotated[Listen, BeforeValidator(_listen), PlainSerializer(str)]


def _store_url(url: str) -> str:
    return f"sqlite://{file_of(url)}"


StoreUrl = Annotated[str, AfterValidator(_store_url)]


def parse_time_of_day(value: object) -> time:
    """Return the time of day that `value` writes, to the second. Refuses everything else."""
    if isinstance(value, time):  # a literal of TOML, or what was read before
        return value.replace(microsecond=0)
    if not isinstance(value, str) or re.fullmatch("(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?", value) is None:
        raise BadValue(', which is no time of day. Write hours and minutes, such as "08:00".')
    return time.fromisoformat(value)


class _TimeOfDaySchema:
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"}


def _clock(at: time) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


TimeOfDay = Annotated[time, BeforeValidator(parse_time_of_day), PlainSerializer(_clock), _TimeOfDaySchema()]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        ends = sorted(one for one in available_timezones() if one.rpartition("/")[2].lower() == name.lower())
        hint = f" Did you mean {ends[0]}?" if ends else ""
        raise BadValue(f', which is no time zone. Write its IANA name, such as "Europe/Amsterdam".{hint}') from None
    return name


ZoneName = Annotated[str, AfterValidator(_zone)]
