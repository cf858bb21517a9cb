"""The bar has room for what matters on every terminal."""

import io

import pytest

from segwatch.cli import progress
from segwatch.cli.output import Screen

ID = "7f347f74-2c1a-4472-9466-c83835f0b8c1"


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_bar_percentage_elapsed_and_estimate_are_there_at_any_width(columns, monkeypatch):
    shown = io.StringIO()

    class Terminal(Screen):
        def __init__(self, *, stderr=False):
            super().__init__(stderr=stderr)
            self.file, self._force_terminal, self.width = shown, True, columns

    monkeypatch.setattr(progress, "Screen", Terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    with progress.Bar(f"prod segment_job {ID}") as bar:
        bar.update(31, total=100, phase="PROCESSING", rest="about 1 m 15 s left (median of 4)")
    whole, _, line = shown.getvalue().partition("\n") if columns < 120 else (ID, "", shown.getvalue())
    assert ID in whole, "an id that the bar shortens stands above it, for whoever must name it"
    for part in ("prod segment_job 7f347f74", "PROCESSING", "━━", "31%", "0:00:00", "about 1 m 15 s left"):
        assert part in line
    assert (ID in line, "median of 4" in line) == (columns == 120, columns == 120)
