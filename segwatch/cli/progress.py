"""A bar on stderr, for those who wait."""

import re
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from segwatch.cli.output import Screen, cell
from segwatch.cli.streams import say

_WIDE = 115  # columns that show all of it
_NARROW = 50  # columns that have no room for a bar beside the numbers
_BAR = 1 + 4  # what a bar needs at least, with its blank
_NUMBERS = 1 + 4 + 1 + 7 + 2  # the percentage, the time elapsed, and the blanks around them and the phase
_WORDS = 24  # what the phase and the rest need at least
_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


class Bar:
    """What goes on, as a bar on a terminal; elsewhere one line for each change of `phase`.

    total: how much there is to do, None while nobody knows: the bar then only shows that something goes on.
    """

    def __init__(self, title: str, *, total: float | None = None) -> None:
        self._title = title
        self._phase = ""
        self._shown: Progress | None = None
        screen = Screen(stderr=True)
        self._is_wide = screen.width >= _WIDE
        if screen.is_terminal:
            has_bar = screen.width >= _NARROW
            room = screen.width - _NUMBERS - (_BAR if has_bar else 0)
            shown = cell(title if self._is_wide else _UUID.sub(r"\1…", title))
            if len(shown) > room - _WORDS:
                shown = ""
            self._room = room - len(shown)
            self._shown = _columns(screen, bar_width=(24 if self._is_wide else 8) if has_bar else 0)
            if shown != title:
                screen.print(Text(cell(title)))  # whole, for whoever must name it
            self._task = self._shown.add_task(shown, total=total, phase="", rest="")
            self._shown.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def update(self, done: float, *, total: float | None = None, phase: str = "", rest: str = "") -> None:
        """Show how far it came. done: of `total`. phase: what it is at.

        rest: how long it may go on; what stands there in brackets is left out where there is little room.
        """
        if self._shown is not None:
            rest = rest if self._is_wide else rest.partition(" (")[0]
            rest = _cut(cell(rest), max(self._room - len(phase), self._room // 2))
            short = _cut(cell(phase), self._room - len(rest))
            self._shown.update(self._task, completed=done, total=total, phase=short, rest=rest)
        elif phase != self._phase:
            tell(f"{self._title} {phase}{f', {rest}' if rest else ''}")
        self._phase = phase

    def close(self) -> None:
        """Leave the bar as it stands, and let go of the terminal."""
        if self._shown is not None:
            self._shown.stop()


def tell(text: str) -> None:
    """Say something that is no result: on stderr."""
    say(cell(text))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _columns(screen: Console, *, bar_width: int) -> Progress:
    """Return what shows the title, if any, and the phase, a bar if it has a width, the numbers, and the rest.

    Only the bar gives way where there is no room for all.
    """
    bar = [BarColumn(bar_width=bar_width)] if bar_width else []
    return Progress(
        TextColumn("{task.description}", markup=False), TextColumn("{task.fields[phase]}", markup=False),
        *bar, TaskProgressColumn(), TimeElapsedColumn(Column(no_wrap=True)),
        TextColumn("{task.fields[rest]}", markup=False), console=screen, transient=False,
    )  # fmt: skip
