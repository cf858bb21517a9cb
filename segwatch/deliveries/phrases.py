"""What sentences are made of: numbers, times and somebody else's texts, as they may be shown."""

from dataclasses import dataclass
from datetime import datetime

from segwatch.deliveries.runes import clip
from segwatch.jobs.events import moment_of

_TEXT_MAX = 600  # runes of somebody else's text: an error message may hold a page of stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A headline, a sentence on what happened, and one on what segwatch does about it."""

    title: str
    summary: str
    action: str = ""


def text(value: object) -> str:
    """Return somebody else's text in one line of bearable length; "" for anything but a text or a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return clip(printable(str(value)), _TEXT_MAX)


def printable(words: str) -> str:
    """Return the words in one line, without what steers a terminal or turns the direction of writing."""
    if not words.isprintable():
        words = "".join(c if c.isprintable() else " " for c in words)
    return " ".join(words.split())


def texts(value: object) -> list[str]:
    """Return the texts of a list, without the empty ones."""
    return [shown for one in value if (shown := text(one))] if isinstance(value, list | tuple) else []


def count(value: object) -> str:
    """Return a whole number; "" for anything else."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def amount(value: object) -> str:
    """Return a large number in groups of three digits."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else ""


def span(seconds: object) -> str:
    """Return a number of seconds as `6 m 52 s`, its two largest units."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e10:
        return ""
    if seconds < 1:
        return f"{seconds:.1f} s"
    left, parts = round(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def moment(value: object, near: datetime) -> str:
    """Return an RFC 3339 time as `03:14:20 UTC`, with its date unless that is the date of `near`."""
    at = moment_of(value)
    if at is None:
        return text(value) if isinstance(value, str) else ""
    return f"{at:%H:%M:%S} UTC" if at.date() == near.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def said(title: str, tail: str = "", action: str = "") -> Said:
    return Said(title=title, summary=f"{title}{tail}.", action=action)


def around(words: str, value: str) -> str:
    """Return the words around a value; nothing without the value."""
    return words.format(value) if value else ""


def since_when(when: str) -> str:
    return around(" since {}", when)


def times(value: object, noun: str) -> str:
    return around(f"{{}} {noun}" + ("" if value == 1 else "s"), count(value))
