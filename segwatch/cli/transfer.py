"""How far a download came, on stderr: a bar on a terminal, a line for each tenth elsewhere."""

from types import TracebackType

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from segwatch.cli.output import Screen
from segwatch.cli.progress import tell
from segwatch.upstream.download import Progress as Reached

_LINES = 10
_WIDE = 60  # columns that have room for a bar and the speed


class Transfer:
    """Shows what `report` is told while the block runs."""

    def __init__(self) -> None:
        screen = Screen(stderr=True)
        self._bar = _columns(screen) if screen.is_terminal else None
        self._task = self._bar.add_task("asking which files there are", total=None) if self._bar else None
        self._lines = 0

    def __enter__(self) -> "Transfer":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def report(self, reached: Reached) -> None:
        """Show how far it came. Quick: the bar is drawn by a thread of its own."""
        text = f"{reached.files} of {reached.files_all} files"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=text, completed=reached.bytes, total=reached.bytes_all)
            return
        lines = reached.bytes * _LINES // reached.bytes_all if reached.bytes_all else 0
        if reached.files < reached.files_all:
            lines = min(lines, _LINES - 1)  # all bytes are here before the last file is checked
        if lines > self._lines:
            self._lines = lines
            share = f"{lines * 100 // _LINES}% of {decimal(reached.bytes_all)}"
            tell(f"{share}, {text}")


def _columns(screen: Screen) -> Progress:
    files, amount, left = TextColumn("{task.description}"), DownloadColumn(), TimeRemainingColumn()
    columns = (
        (files, BarColumn(), amount, TransferSpeedColumn(), left) if screen.width >= _WIDE else (files, amount, left)
    )
    return Progress(*columns, console=screen, transient=True)
