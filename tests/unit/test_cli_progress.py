"""The bar has room for what matters on every terminal."""

import io
import re

import pytest

from segwatch.cli import progress, transfer
from segwatch.cli.output import Screen
from segwatch.upstream.download import Progress

ID = "7f347f74-2c1a-4472-9466-c83835f0b8c1"


@pytest.fixture
def terminal(monkeypatch):
    """Return what makes a terminal of so many columns, and what it is sent."""
    shown = io.StringIO()

    def of(columns):
        class Terminal(Screen):
            def __init__(self, *, stderr=False):
                super().__init__(stderr=stderr)
                self.file, self._force_terminal, self.width = shown, True, columns

        for module in (progress, transfer):
            monkeypatch.setattr(module, "Screen", Terminal)
        monkeypatch.setenv("NO_COLOR", "1")
        return shown

    return of


def last_line(text):
    """Return what stands in the last row, as it was drawn last."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).strip())[-1]


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_bar_percentage_elapsed_and_estimate_are_there_at_any_width(columns, terminal):
    shown = terminal(columns)
    with progress.Bar(f"prod segment_job {ID}") as bar:
        bar.update(31, total=100, phase="PROCESSING", rest="about 1 m 15 s left (median of 4)")
    whole, _, line = shown.getvalue().partition("\n") if columns < 120 else (ID, "", shown.getvalue())
    assert ID in whole, "an id that the bar shortens stands above it, for whoever must name it"
    for part in ("prod segment_job 7f347f74", "PROCESSING", "━━", "31%", "0:00:00", "about 1 m 15 s left"):
        assert part in line
    assert (ID in line, "median of 4" in line) == (columns == 120, columns == 120)


def test_a_narrow_terminal_shows_the_numbers_instead_of_title_and_bar(terminal):
    shown = terminal(40)
    with progress.Bar(f"prod segment_job {ID}") as bar:
        bar.update(31, total=100, phase="PROCESSING", rest="about 15s left (median of 4)")
    assert "".join(shown.getvalue().splitlines()[:2]).replace(" ", "") == f"prodsegment_job{ID}"
    assert last_line(shown.getvalue()).split() == ["PROCESSING", "31%", "0:00:00", "about", "15s", "left"]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_what_does_not_fit_beside_the_bar_is_cut_with_a_mark(columns, terminal):
    shown = terminal(columns)
    with progress.Bar(f"prod nightly-of-all-the-netherlands-and-belgium {ID}") as bar:
        bar.update(31, total=100, phase="exporting: " + "why it waits " * 20, rest="asking again: " + "no answer " * 20)
    line = last_line(shown.getvalue())
    assert len(line) <= columns
    assert re.fullmatch(r" *exporting.*… .* *31% 0:00:00 asking.*…", line), line


@pytest.mark.parametrize("columns", [40, 80])
def test_a_download_shows_all_of_its_numbers(columns, terminal):
    shown = terminal(columns)
    reached = Progress(files=12, files_all=100, bytes=12_500_000, bytes_all=300_000_000)
    bar = transfer.Transfer()
    bar.report(reached)
    transfer.Screen().print(bar._bar)
    drawn = last_line(shown.getvalue())
    assert len(drawn) <= columns
    assert "…" not in drawn
    assert drawn.startswith("12 of 100 files ")
    assert " 12.5/300.0 MB " in drawn
