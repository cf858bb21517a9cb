"""How far a download came, on stderr: a bar on a terminal, a line for each tenth elsewhere."""

import os
import sys
from types import TracebackType

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from segwatch.upstream.download import Progress as Reached

_LINES = 10


class Transfer:
    """Shows what `report` is told while the block runs."""

    def __init__(self) -> None:
        self._bar = _bar() if sys.stderr.isatty() else None
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
        if lines > self._lines:
            self._lines = lines
            share = f"{lines * 100 // _LINES}% of {decimal(reached.bytes_all)}"
            print(f"{share}, {text}", file=sys.stderr, flush=True)  # noqa: T201


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, color_system=None if os.environ.get("NO_COLOR") else "auto"),
        transient=True,
    )
