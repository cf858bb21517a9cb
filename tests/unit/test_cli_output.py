"""What commands print: to a pipe, to a terminal, to a program."""

import contextlib
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from segwatch.cli import output

AT = datetime(2026, 1, 5, 3, 14, 20, 120_000, tzinfo=UTC)
LONG = "Error writing profiles to output path, which is a long story that no screen of eighty columns can hold"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _no_wishes_about_colours(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")


def on_terminal(show, *args, **options):
    """Return what a terminal of 80 columns is sent."""
    with contextlib.redirect_stdout(Terminal()) as screen:
        show(*args, **options)
    return screen.getvalue()


def plain(text):
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()]


def test_a_pipe_gets_one_whole_row_a_line(capsys):
    output.show([{"at": AT, "error": LONG}, {"at": None, "error": ""}], as_json=False, empty="none")
    assert capsys.readouterr().out.splitlines() == [
        "at (UTC)             error",
        f"2026-01-05 03:14:20  {LONG}",
        "",
    ]


def test_a_terminal_gets_the_last_column_beneath_where_it_is_too_narrow():
    rows = [{"id": "24115", "status": "FAILED", "empty": "", "error": LONG}]
    text = on_terminal(output.show, rows, as_json=False, empty="none")
    assert "\x1b[1;31mFAILED\x1b[0m" in text
    title, row, *beneath = plain(text)
    assert title.split() == ["id", "status"]
    assert row.split() == ["24115", "FAILED"]
    assert all(line.startswith("    ") and len(line) <= 80 for line in beneath)
    assert " ".join(line.strip() for line in beneath) == LONG


def test_a_column_that_is_too_wide_folds():
    text = on_terminal(output.show, [{"id": "x" * 90, "status": "ok"}], as_json=False, empty="none")
    assert text.count("x") == 90
    assert max(map(len, plain(text))) <= 80


@pytest.mark.parametrize("columns", ["40", "80"])
def test_where_columns_would_vanish_each_row_is_a_field_a_line(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    rows = [
        {
            "id": "i" * 36,
            "state": "FAILED",
            "row_count": 7,
            "took_s": 0.5,
            "created_at": AT,
            "sql": LONG,
            "errors": LONG,
        },
        {"id": "j" * 36, "state": "SUCCESS", "row_count": 7, "took_s": "", "created_at": AT, "sql": "x", "errors": ""},
    ]
    shown = plain(on_terminal(output.show, rows, as_json=False, empty="none"))
    assert max(map(len, shown)) <= int(columns)
    text = "".join(line.replace(" ", "") for line in shown)
    for value in ("i" * 36, "FAILED", "0.5", "2026-01-0503:14:20", LONG.replace(" ", "")):
        assert value in text
    second = "".join(line.replace(" ", "") for line in shown[shown.index("") + 1 :])
    assert second == f"id{'j' * 36}stateSUCCESSrowcount7createdat(UTC)2026-01-0503:14:20sqlx"


def test_what_fits_stays_on_one_line():
    text = on_terminal(output.show, [{"id": "24115", "error": "short"}], as_json=False, empty="none")
    assert plain(text) == ["id     error", "24115  short"]


def test_a_long_id_stands_first_in_a_pipe_and_beneath_on_a_narrow_terminal(capsys):
    row = {"id": "i" * 36, "name": "n" * 30, "state": "active", "segments": "*"}

    def shown():
        output.show([output.beneath(row, "id")], as_json=False, empty="none")

    shown()
    assert capsys.readouterr().out.splitlines()[1].startswith(f"{row['id']}  {row['name']}")
    title, first, second = plain(on_terminal(shown))
    assert title.split() == ["name", "state", "segments"]
    assert (first.split(), second) == (["n" * 30, "active", "*"], f"    {row['id']}")


def test_with_no_color_a_terminal_is_sent_no_escape_at_all(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [{"status": "FAILED", "error": LONG}]
    sent = on_terminal(output.show, rows, as_json=False, empty="none") + on_terminal(output.heading, "A part")
    sent += on_terminal(output.show_one, rows[0], as_json=False) + on_terminal(output.line, "03:14", "x", style="red")
    assert "FAILED" in sent
    assert "\x1b" not in sent


def test_text_of_the_platform_cannot_steer_a_terminal():
    text = on_terminal(output.show, [{"error": "a\x1b[2Jb\nc"}], as_json=False, empty="none")
    text += on_terminal(output.show_one, {"error": "a\x1b[2Jb"}, as_json=False)
    assert text.count("a [2Jb") == 2


def test_what_goes_on_is_folded_beside_its_time():
    first, second, *_ = plain(on_terminal(output.line, "03:14:20", LONG))
    assert first.startswith("03:14:20  Error")
    assert second.startswith(" " * 10)


def test_an_empty_list_is_said_to_people_and_is_an_array_to_programs(capsys):
    output.show([], as_json=False, empty="no jobs match")
    output.show([], as_json=True, empty="no jobs match")
    assert capsys.readouterr().out == "no jobs match\n[]\n"


def test_times_are_rfc3339_in_json(capsys):
    output.show_json({"at": AT})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-05T03:14:20.120Z"}


def test_one_thing_is_shown_without_what_is_not_known(capsys):
    output.show_one({"status": "FAILED", "ended_at": AT, "batches": [], "dataset": "", "late": False}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "status    FAILED",
        "ended at  2026-01-05 03:14:20 UTC",
        "late      no",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ([], ""),
        (0, "0"),
        (True, "yes"),
        (["a", 2], "a, 2"),
        ({"a": 1}, '{"a": 1}'),
        (AT, "2026-01-05 03:14:20"),
        ("a\tb\x07", "a b "),
    ],
)
def test_a_cell_is_one_line(value, text):
    assert output.cell(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (8.97, "9s"), (119, "119s"), (120, "2m"), (7200, "2h 0m"), (172_800, "2d")],
)
def test_lengths_of_time_are_said_as_people_say_them(seconds, text):
    assert output.span(timedelta(seconds=seconds)) == text
    assert output.ago(AT, AT + timedelta(seconds=seconds)) == text


def test_nobody_knows_how_long_ago_never_was():
    assert output.ago(None) == ""


def test_a_failure_is_told_on_stderr_and_ends_with_its_code(capsys):
    with pytest.raises(SystemExit) as ended:
        output.fail(output.Exit.UNREACHABLE, "first", "second")
    assert ended.value.code == 3
    assert capsys.readouterr() == ("", "first\nsecond\n")
