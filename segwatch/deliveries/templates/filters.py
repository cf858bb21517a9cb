"""The filters that a template may use. Each takes texts, numbers and lists, and refuses what would grow too large."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

from segwatch.deliveries import phrases, runes
from segwatch.deliveries.templates.budget import TEXT_MAX, Budget, Refused
from segwatch.jobs.events import moment_of

BUDGET = "the budget"  # under this name it is in the context; no template can write it, for its blank
_DIGITS_MAX = 12


def text_of(value: object) -> str:
    """Return a value as it is shown. Raises Refused for a list or a table, and UndefinedError for what is not there."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Undefined):
        return str(value)
    if isinstance(value, Mapping):
        raise Refused(
            "this is a table. Write one of its values, or |items|first, or {% for name, value in ...|items %}"
        )
    raise Refused('this is a list. Write |join(", ") behind it, or {% for one in ... %}')


def ago(value: object, *, near: datetime) -> str:
    """How long before the event a time was: `6 m 52 s ago`; `in 2 m` for what was still to come."""
    seconds = (near - _time(value)).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{phrases.span(seconds)} ago" if seconds > 0 else f"in {phrases.span(-seconds)}"


def capitalize(value: object) -> str:
    """The text with its first letter large, and all others as they are."""
    text = text_of(value)
    return text[:1].upper() + text[1:]


def clock(value: object, zone: str = "UTC", *, near: datetime) -> str:
    """The time of day in a time zone: `04:12:07 CET`; with the date, unless that is the date of the event there."""
    at, then = (one.astimezone(_zone(text_of(zone))) for one in (_time(value), near))
    return f"{at:%H:%M:%S %Z}" if at.date() == then.date() else f"{at:%Y-%m-%d %H:%M:%S %Z}"


def date_(value: object, zone: str = "UTC") -> str:
    """The date in a time zone: `2026-01-05`."""
    day: date = _time(value).astimezone(_zone(text_of(zone))).date()
    return day.isoformat()


def default(value: object, instead: object = "", empty: object = False) -> object:
    """What to show in place of a value that is not there; with `true` behind it, also of one that is empty."""
    return instead if isinstance(value, Undefined) or (empty and not value) else value


def first(value: object) -> object:
    """The first of a list, or the first letter of a text."""
    return next(iter(_many(value)), "")


def items(value: object) -> list[tuple[Any, Any]]:
    """The names and values of a table, to loop over."""
    if not isinstance(value, Mapping):
        raise Refused("|items takes a table, such as message.fields")
    return list(value.items())


def join(value: object, between: str = "") -> str:
    """The texts of a list in one."""
    texts, glue = [text_of(one) for one in _many(value)], text_of(between)
    _fits(sum(map(len, texts)) + len(glue) * len(texts))
    return glue.join(texts)


def last(value: object) -> object:
    """The last of a list, or the last letter of a text."""
    many = _many(value)
    return many[-1] if many else ""


def length(value: object) -> int:
    """How many there are: entries of a list or a table, letters of a text."""
    return len(value if isinstance(value, Mapping) else _many(value))


def lower(value: object) -> str:
    """The text in small letters."""
    return text_of(value).lower()


def map_(value: object, attribute: str) -> list[Any]:
    """Of each table in a list the value of that name; those without one are left out."""
    return [one[attribute] for one in _many(value) if isinstance(one, Mapping) and attribute in one]


def number(value: object, digits: int = 0, between: str = ",") -> str:
    """A number in groups of three digits: `1,234,567`. digits: behind the point. between: `.` gives `1.234,5`."""
    shown = f"{_number(value):,.{_whole(digits)}f}"
    swapped = {",": text_of(between)[:1], ".": "," if between == "." else "."}
    return "".join(swapped.get(letter, letter) for letter in shown)


def plural(value: object, one: str, many: str = "") -> str:
    """A number with its noun: `1 export`, `200 exports`; many: the noun for other numbers than one."""
    count = _number(value)
    return f"{count:,} {text_of(one) if count == 1 else text_of(many) or text_of(one) + 's'}"


def replace(value: object, old: str, new: str) -> str:
    """The text with another one in place of every `old`."""
    text, sought, instead = text_of(value), text_of(old), text_of(new)
    if not sought:
        raise Refused("|replace needs a text to look for, and has an empty one")
    _fits(len(text) + text.count(sought) * len(instead))
    return text.replace(sought, instead)


def round_(value: object, digits: int = 0) -> float | int:
    """The number, rounded; a whole one unless digits are asked for."""
    return round(_number(value), _whole(digits)) if _whole(digits) else round(_number(value))


def span(value: object) -> str:
    """A number of seconds as `6 m 52 s`."""
    return phrases.span(_number(value))


def trim(value: object) -> str:
    """The text without blanks at its ends."""
    return text_of(value).strip()


def truncate(value: object, most: int = 100) -> str:
    """At most so many runes of the text; an ellipsis tells of more."""
    return runes.clip(text_of(value), _whole(most, least=1, most=TEXT_MAX))


def upper(value: object) -> str:
    """The text in large letters."""
    return text_of(value).upper()


def urlencode(value: object) -> str:
    """The text as a part of a URL."""
    return quote(text_of(value), safe="")


PLAIN: dict[str, Callable[..., Any]] = {
    "ago": ago, "capitalize": capitalize, "clock": clock, "date": date_, "default": default, "first": first,
    "items": items, "join": join, "last": last, "length": length, "lower": lower, "map": map_, "number": number,
    "plural": plural, "replace": replace, "round": round_, "span": span, "trim": trim, "truncate": truncate,
    "upper": upper, "urlencode": urlencode,
}  # fmt: skip
"""Every filter by its name."""


def misused(name: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bool:
    """True when the filter does not take these arguments, of which only the number and the names count."""
    near = {"near": None} if is_timed(name) else {}
    try:
        inspect.signature(PLAIN[name]).bind(None, *args, **kwargs, **near)
    except TypeError:
        return True
    return "near" in kwargs


def form_of(name: str) -> str:
    """Return how the filter is written: `clock(zone="UTC")`."""
    given = [one for one in list(inspect.signature(PLAIN[name]).parameters.values())[1:] if one.name != "near"]
    shown = (one.name if one.default is one.empty else f"{one.name}={_quoted(one.default)}" for one in given)
    return f"{name}({', '.join(shown)})" if given else name


def metered(name: str) -> Callable[..., Any]:
    """Return the filter as Jinja calls it: what it is given costs steps, and what is not there is refused.

    It asks for the context, which also keeps Jinja from working it out while a template is compiled.
    """

    @pass_context
    def call(context: Context, value: object, *args: object, **kwargs: object) -> object:
        budget: Budget = context.parent[BUDGET]
        for one in (value, *args, *kwargs.values()):
            if isinstance(one, Undefined) and name != "default":
                str(one)  # raises, and says what is not there
            budget.spend(1, _size(one))
        return plain(name, value, *args, near=budget.at, **kwargs)

    return call


def plain(name: str, value: object, *args: object, near: datetime, **kwargs: object) -> Any:
    """Return what the filter makes of a value. near: when the event was. Raises Refused."""
    return PLAIN[name](value, *args, **kwargs, **({"near": near} if is_timed(name) else {}))


@cache
def is_timed(name: str) -> bool:
    """True when the filter shows a time as seen from the event."""
    return "near" in inspect.signature(PLAIN[name]).parameters


def _quoted(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _size(value: object) -> int:
    if isinstance(value, list | tuple | Mapping):
        return len(value)
    return len(value) if isinstance(value, str) else 0


def _fits(runes: int) -> None:
    if runes > TEXT_MAX:
        raise Refused(f"this would be a text of {runes:,} runes, more than {TEXT_MAX:,}. Write less of it")


def _many(value: object) -> Sequence[Any]:
    if isinstance(value, list | tuple | str):
        return value
    raise Refused(f"this filter takes a list or a text, and has {_kind(value)}")


def _number(value: object) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30:
        return value
    raise Refused(f"this filter takes a number, and has {_kind(value)}")


def _whole(value: object, *, least: int = 0, most: int = _DIGITS_MAX) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(value, least), most)
    raise Refused(f"this filter takes a whole number in its brackets, and has {_kind(value)}")


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, list | tuple) else f'"{runes.clip(text_of(value), 40)}"'


def _time(value: object) -> datetime:
    at = moment_of(value)
    if at is None or not _YEAR_FIRST <= at.year <= _YEAR_LAST:
        raise Refused(f"this filter takes a time, such as event.at, and has {_kind(value)}")
    return at


_YEAR_FIRST, _YEAR_LAST = 2, 9998  # another zone leads no further than a day


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(f'"{name}" is no time zone. Write its IANA name, such as "Europe/Amsterdam"') from None
