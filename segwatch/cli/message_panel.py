"""A message as a person would read it, on a terminal or in a pipe."""

import json
import sys

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from segwatch.cli.output import Screen, aligned, cell, style_of
from segwatch.cli.streams import put
from segwatch.deliveries.message import Message
from segwatch.deliveries.presentation import footer_of, headline_of
from segwatch.notifiers.base import Body

_WIDEST = 100  # a line of prose that is longer is hard to read


def show_message(heading: str, message: Message) -> None:
    """Print the message under a heading: in a panel on a terminal, else in lines that begin with two blanks."""
    footer = " · ".join(footer_of(message))
    if sys.stdout.isatty():
        return _show_panel(heading, message, footer)
    said = [headline_of(message), *(line for part in message.said for line in _lines(part))]
    fields = [[name, " | ".join(value.splitlines())] for name, value in message.fields]
    links = [f"{name}: {url}" for name, url in message.links]
    parts = [said, [f"- {one}" for one in message.lines], aligned(fields) if fields else [], links, [footer]]
    put(cell(heading))
    for line in (line for part in parts for line in part):
        put(f"  {cell(line)}")
    return None


def show_note(heading: str, note: str) -> None:
    """Print a heading, and what there is to say in place of a message."""
    if sys.stdout.isatty():
        screen = Screen()
        return screen.print(_boxed(screen, heading, Text(note, style="dim")))
    put(cell(heading))
    return put(f"  {cell(note)}")


def show_payload(body: Body) -> None:
    """Print what would be sent: JSON laid out, other text as it is; a terminal is not steered by either."""
    is_text = isinstance(body.content, str)
    text = body.content if is_text else json.dumps(body.content, ensure_ascii=False, indent=2)
    put(body.media_type)
    shown = "\n".join("".join(map(_harmless, line)) for line in text.splitlines())
    screen = Screen()
    if not sys.stdout.isatty() or is_text or screen.color_system is None:
        return put(shown)
    return screen.print(Syntax(shown, "json", background_color="default", word_wrap=True))


def _show_panel(heading: str, message: Message, footer: str) -> None:
    parts: list[RenderableType] = [
        Text(cell(headline_of(message)), style=f"bold {style_of(message.severity.value)}".rstrip()),
        Text(""),
        *(Text(cell(line)) for part in message.said for line in _lines(part)),
    ]
    if message.items:
        parts += [Text(""), _grid([("•", one) for one in message.lines])]
    if message.fields:
        parts += [Text(""), _grid(list(message.fields))]
    if message.links:
        parts += [Text(""), _grid(list(message.links))]
    screen = Screen()
    screen.print(_boxed(screen, heading, Group(*parts, Text(""), Text(cell(footer), style="dim"))))


def _boxed(screen: Screen, heading: str, inside: RenderableType) -> Panel:
    width = min(screen.width, _WIDEST)
    return Panel(inside, title=Text(cell(heading)), title_align="left", box=box.ROUNDED, width=width, padding=(0, 1))


def _grid(rows: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(cell(name)), Text("\n".join(map(cell, value.splitlines()))))
    return grid


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _harmless(rune: str) -> str:
    return rune if rune.isprintable() or rune == "\t" else json.dumps(rune)[1:-1]
