"""How commands speak: tables for people, JSON for programs, exit codes for both."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, NoReturn

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segwatch.cli.streams import needs_reader, put, say
from segwatch.daemon.clock import SystemClock
from segwatch.jobs.events import rfc3339


class Exit(IntEnum):
    """What a command's end means to a script."""

    OK = 0
    FAILED = 1  # the job or the check failed
    USAGE = 2  # the command line or the settings are wrong
    UNREACHABLE = 3  # the platform cannot be reached


_STYLES = {
    "SUCCEEDED": "green", "FAILED": "bold red", "CANCELLED": "yellow", "VANISHED": "yellow", "PROCESSING": "cyan",
    "critical": "bold red", "warning": "yellow", "submitted": "green", "adopted": "green", "refused": "yellow",
    "dead": "bold red", "delivered": "green", "pending": "cyan", "ok": "green", "healthy": "green",
    "failing": "bold red",
}  # fmt: skip

_GAP = 2  # blanks between columns
_NARROWEST = 12  # a column is not folded below this width


def style_of(word: str) -> str:
    """Return the style in which a terminal shows a status, a severity or the like; "" for any other word."""
    return _STYLES.get(word, "")


class Screen(Console):
    """A console that sends no escapes at all if NO_COLOR is set."""

    def __init__(self, *, stderr: bool = False) -> None:
        # rich's own reading of NO_COLOR leaves bold and dim
        super().__init__(color_system=None if os.environ.get("NO_COLOR") else "auto", stderr=stderr)


def fail(code: Exit, *texts: str) -> NoReturn:
    """Say what is wrong on stderr, and end."""
    for text in texts:
        say(text)
    raise SystemExit(int(code))


def show_json(value: object, *, indent: int | None = None) -> None:
    """Print one JSON document, on one line unless `indent` is given; times are RFC 3339 in UTC."""
    put(json.dumps(value, ensure_ascii=False, default=_jsonable, indent=indent))


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows as a table, or as one JSON array. empty: what to say instead of a table without rows.

    A pipe gets each row on a line of its own, however long. A terminal gets colours, no empty columns, and, where
    it is too narrow, the last column beneath each row; where it is too narrow for that, a field a line.
    """
    if as_json:
        return show_json(rows)
    if not rows:
        return lines([empty])
    titles = [_title(name, [row[name] for row in rows]) for name in rows[0]]
    cells = [[cell(value) for value in row.values()] for row in rows]
    if not sys.stdout.isatty():
        return lines(aligned([titles, *cells]))
    used = [number for number in range(len(titles)) if any(row[number] for row in cells)]
    return _show_table([titles[number] for number in used], [[row[number] for number in used] for row in cells])


def beneath(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a row for `show` whose long column `name` is the last one on a terminal: there it may stand beneath."""
    if not sys.stdout.isatty():
        return dict(row)
    return {key: value for key, value in row.items() if key != name} | {name: row[name]}


def _show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    screen = Screen()
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    beneath = _total(widths) > screen.width and widths[-1] == max(widths)
    if beneath:
        *widths, _ = widths
    if (over := _total(widths) - screen.width) > 0:
        widest = widths.index(max(widths))
        widths[widest] = max(_NARROWEST, widths[widest] - over)
    if _total(widths) > screen.width:  # squeezed further, columns would vanish
        _show_records(screen, titles, rows)
        return
    screen.print(_row(titles, widths, ["bold"] * len(titles)))
    for row in rows:
        screen.print(_row(row, widths, [style_of(text) for text in row]))
        if beneath and row[-1]:
            screen.print(Padding(Text(row[-1]), (0, 0, 0, 4)))


def _show_records(screen: Screen, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(rows):
        if number:
            screen.print()
        screen.print(_fields(zip(titles, row, strict=True), width=max(map(len, titles))))


def _fields(fields: Iterable[tuple[str, str]], *, width: int | None = None) -> Table:
    """Return a field a line, without those that are empty. width: of their names; that of the longest without it."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    table.add_column(style="bold", no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    for name, text in fields:
        if text:
            table.add_row(name, Text(text, style=style_of(text)))
    return table


def _row(cells: Sequence[str], widths: Sequence[int], styles: Sequence[str]) -> Table:
    """Return one row as wide as `widths` says; cells without a width are left out."""
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for width in widths:
        table.add_column(width=width, overflow="fold")
    table.add_row(*(Text(text, style=style) for text, style, _ in zip(cells, styles, widths, strict=False)))
    return table


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def show_one(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: a field a line without those that are empty, or one JSON object."""
    if as_json:
        return show_json(fields)
    known = {name.replace("_", " "): _whole(value) for name, value in fields.items()}
    rows = [(name, text) for name, text in known.items() if text]
    if not sys.stdout.isatty():
        return lines(aligned(rows))
    return Screen().print(_fields(rows))


def heading(text: str) -> None:
    """Print the title of a part."""
    lines(["", text], style="bold")


def lines(texts: Iterable[str], *, style: str = "") -> None:
    """Print plain lines; a terminal folds them between words, and shows them in `style`."""
    if not sys.stdout.isatty():
        for text in texts:
            put(cell(text))
        return
    screen = Screen()
    for text in texts:
        screen.print(Text(cell(text), style=style))


def line(when: str, text: str, *, style: str = "") -> None:
    """Print one line of something that goes on: a terminal folds its text beside the time. Raises ReaderGone."""
    if not sys.stdout.isatty():
        lines([f"{when}  {text}"])
        return needs_reader()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    table.add_row(when, Text(text, style=style))
    return Screen().print(table)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines whose columns begin below each other, without blanks at their ends."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def ago(then: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago something was, as people say it: `42s`, `7m`, `3h 12m`, `5d`."""
    if then is None:
        return ""
    return span((now or SystemClock().now()) - then)


def span(length: timedelta) -> str:
    """Return a length of time as people say it."""
    seconds = round(max(0.0, length.total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 2 * 3600:
        return f"{seconds // 60}m"
    if seconds < 48 * 3600:
        return f"{seconds // 3600}h {seconds % 3600 // 60}m"
    return f"{seconds // 86400}d"


def timed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with `took_s`, seconds or None, as people say it."""
    took_s = record.get("took_s")
    shown = {"took" if name == "took_s" else name: value for name, value in record.items()}
    return shown | {"took": "" if took_s is None else span(timedelta(seconds=took_s))} if "took_s" in record else shown


def clock(at: datetime) -> str:
    """Return a time of ours as people read it; its zone, UTC, is said beside it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def cell(value: object) -> str:
    """Return a value on one line. Text of the platform may hold anything, also what would steer a terminal."""
    if value is None or value in ([], {}, ()):
        return ""
    if isinstance(value, datetime):
        return clock(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = json.dumps(value, ensure_ascii=False, default=_jsonable) if isinstance(value, dict) else str(value)
    if isinstance(value, list | tuple):
        text = ", ".join(map(cell, value))
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _whole(value: object) -> str:
    return f"{cell(value)} UTC" if isinstance(value, datetime) else cell(value)


def _title(name: str, values: Iterable[object]) -> str:
    zone = " (UTC)" if any(isinstance(value, datetime) for value in values) else ""
    return name.replace("_", " ") + zone


def _jsonable(value: object) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)
