"""Every command explains itself, and the reference page says what the commands say."""

import re
from pathlib import Path

import pytest

from segwatch.cli.completion import completion
from segwatch.cli.reference import commands, help_of, reference
from segwatch.emulator.lake import own_profiles

PAGE = Path(__file__).parents[2] / "docs/reference/commands.md"
WRITE_AGAIN = "import segwatch.cli.reference as r; open('docs/reference/commands.md', 'w').write(r.reference())"
GROUPS = {("segwatch",)} | {words[:2] for words in commands() if len(words) == 3}
COMMANDS = [words for words in commands() if words not in GROUPS]


def test_the_commands_have_the_names_that_others_script_against():
    assert {" ".join(words[1:]) for words in COMMANDS} == {
        "demo", "run", "check", "config show", "config schema", "jobs list", "jobs show", "jobs explain", "jobs retry",
        "jobs cancel",
        "evaluate", "export create", "export list", "export show", "export cancel", "completion",
        "events list", "events tail", "notify list", "notify test", "notify dead", "notify replay", "notify route",
        "notify preview", "notify digest",
        "emulate", "silence list", "silence add", "silence expire",
        "db check", "db backup", "db migrate",
        "pipeline list", "pipeline show", "pipeline run",
        "schedules list", "schedules show", "schedules create", "schedules enable", "schedules disable",
        "schedules set", "schedules delete", "segments list", "segments show",
        "datasets list", "datasets show", "datasets create", "batch files", "batch download", "profile get",
        "query run", "query list", "query show", "query cancel",
    }  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does_in_one_line_and_gives_an_example(words):
    page = help_of(words).splitlines()
    assert page[0].startswith(f"Usage: {' '.join(words)}")
    assert page[2].endswith(".")
    assert page[3] == ""
    assert any(line.startswith(f"Example: {' '.join(words)}") for line in page)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_has_a_natural_name_and_a_meaning(words):
    page = help_of(words)
    entries = re.findall(r"^│ {1,2}(--\S+|[A-Z]+)( [A-Z.]+)? {2,}(.*?) +│$", page, flags=re.MULTILINE)
    for name, _, meaning in entries:
        assert re.fullmatch("--[a-z]+(-[a-z]+)*|[A-Z]+", name)
        assert meaning[0].isupper() or meaning.startswith("current")
    assert len(entries) == len(re.findall(r"^│ {1,2}[-A-Z]", page, flags=re.MULTILINE))
    assert not re.search("--(no|as|empty)-(?!profiles)", page)


def test_the_reference_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == reference(), f'write it again: python -c "{WRITE_AGAIN}"'


@pytest.mark.parametrize("suffix", sorted(own_profiles.READERS))
def test_every_form_of_own_profiles_is_named_where_people_look(suffix):
    option = help_of(("segwatch", "emulate")).partition("--profiles")[2].partition("--data")[0]
    page = (PAGE.parent / "emulator.md").read_text(encoding="utf-8")
    assert suffix in option
    assert f"`{suffix}`" in next(line for line in page.splitlines() if line.startswith("| `--profiles"))


def test_fish_offers_files_only_where_one_is_named(capsys):
    completion("fish")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "complete -c segwatch -f"
    offering = [line for line in lines if line.startswith("complete") and " -F" in line]
    options = {found[1] for line in offering if (found := re.search(r" -l (\S+) -r -F", line))}
    assert options == {"config", "out", "data", "profiles", "scenario"}
    assert [line for line in offering if " -l " not in line] == [
        "complete -c segwatch -n '__fish_segwatch_using_command db backup' -F"
    ]
    assert len([line for line in lines if " -l config " in line]) == len([x for x in offering if " -l config " in x])
