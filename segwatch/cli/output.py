"""How commands speak: tables for people, JSON for programs, exit codes for both."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Any, NoReturn

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON instead of a table.")]
Limit = Annotated[int, Parameter(name="--limit", help="Show at most so many rows, the newest ones.")]
ConfigFile = Annotated[
    str | None,
    Parameter(name="--config", help="The settings file; else $SEGWATCH_CONFIG, else /etc/segwatch/config.toml."),
]


class Exit(IntEnum):
    """What a command's end means to a script."""

    OK = 0
    FAILED = 1  # the job or the check failed
    USAGE = 2  # the command line or the settings are wrong
    UNREACHABLE = 3  # the platform cannot be reached


_STATUS_STYLE = {
    "SUCCEEDED": "green", "FAILED": "bold red", "CANCELLED": "yellow", "VANISHED": "yellow", "PROCESSING": "cyan",
    "critical": "bold red", "warning": "yellow", "submitted": "green", "adopted": "green", "refused": "yellow",
    "dead": "bold red", "delivered": "green", "ok": "green",
}  # fmt: skip


def console() -> Console:
    """Return where tables go. rich leaves colours out for pipes and for NO_COLOR; pipes get whole, unwrapped rows."""
    return Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 400)


def fail(code: Exit, *lines: str) -> NoReturn:
    """Say what is wrong on stderr, and end."""
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201
    raise SystemExit(int(code))


def show_json(value: object) -> None:
    """Print one JSON document on one line."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)  # noqa: T201


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows as a table, or as one JSON array. empty: what to say instead of a table without rows."""
    if as_json:
        show_json(rows)
        return
    if not rows:
        console().print(empty, highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console().print(table)


def show_one(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: a field a line, or one JSON object."""
    if as_json:
        show_json(fields)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            table.add_row(name.replace("_", " "), _cell(value))
    console().print(table)


def heading(text: str) -> None:
    """Print the title of a part."""
    console().print(Text(f"\n{text}", style="bold"))


def lines(texts: Iterable[str]) -> None:
    """Print plain lines."""
    out = console()
    for text in texts:
        out.print(text, highlight=False, markup=False)


def ago(then: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago something was, as people say it: `42s`, `7m`, `3h 12m`, `5d`."""
    if then is None:
        return ""
    return span((now or datetime.now(UTC)) - then)  # noqa: TID251 - a terminal is the edge of the house


def span(length: timedelta) -> str:
    """Return a length of time as people say it."""
    seconds = int(max(0.0, length.total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 2 * 3600:
        return f"{seconds // 60}m"
    if seconds < 48 * 3600:
        return f"{seconds // 3600}h {seconds % 3600 // 60}m"
    return f"{seconds // 86400}d"


def _cell(value: object) -> Text:
    if isinstance(value, datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S")
    elif isinstance(value, list | tuple | dict):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = "" if value is None else str(value)
    return Text(text, style=_STATUS_STYLE.get(text, ""))
