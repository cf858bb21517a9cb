"""Documents lead where they say, and show commands that exist."""

import re
import shlex
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

import pytest
from cyclopts import CycloptsError, MissingArgumentError

from segwatch.cli.commands import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part in ("node_modules", "build", "dist") for part in page.relative_to(ROOT).parts
    )
)

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
# behind assignments, sudo or kubectl exec; a folder or an image of that name is no command
_CALL = re.compile(r"(?:(?:[A-Z_]+=\S+|sudo|env|kubectl .* --) +)*(?:\S*/)?segwatch +(.+)")
_SHELL_ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>"}


def prose(page):
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return found


def links():
    for page in PAGES:
        for target in _LINK.findall(_CODE.sub("", prose(page))):
            if not re.match(r"[a-z]+:", target):
                yield pytest.param(page, target, id=f"{page.relative_to(ROOT)}:{target}")


def commands():
    """Yield the arguments of every `segwatch ...` in shell blocks and in the prose."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = [block.replace("\\\n", " ") for _, kind, block in _FENCE.findall(text) if kind == "sh"]
        lines = [line for block in blocks for line in block.splitlines()]
        lines += [code for code in _CODE.findall(prose(page)) if code.startswith("segwatch ")]
        for line in lines:
            if (call := _CALL.match(line)) is None:
                continue
            words = shlex.split(re.sub(r"\$\([^)]*\)", "SOME", call[1]), comments=True)
            called = list(takewhile(lambda word: word not in _SHELL_ENDS, words))
            if called:
                yield pytest.param(called, id=f"{page.relative_to(ROOT)}:{' '.join(called)}")


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_a_link_leads_somewhere(page, target):
    path, _, anchor = unquote(target).partition("#")
    there = (page.parent / path).resolve() if path else page
    assert there.exists()
    if anchor:
        assert anchor in anchors(there)


@pytest.mark.parametrize("words", list(commands()))
def test_a_command_that_is_shown_exists(words):
    try:
        app.parse_args(words, exit_on_error=False, print_error=False)
    except MissingArgumentError:
        pass  # prose names `jobs retry` without saying which
    except CycloptsError as error:
        pytest.fail(f"segwatch {' '.join(words)}: {error}")


def test_commands_are_found_and_wrong_ones_noticed():
    shown = {" ".join(param.values[0]) for param in commands()}
    assert {"check --online", "run", "jobs explain 24115", "jobs list"} <= shown
    with pytest.raises(CycloptsError):
        app.parse_args(["jobs", "no-such-command"], exit_on_error=False, print_error=False)


def test_the_index_names_every_page():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert pages - {"README.md"} <= set(_LINK.findall(index))


def test_the_index_of_decisions_is_the_folder_without_a_gap():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8").partition("**Decisions**")[2]
    # no ordered list: one counts on by itself, so a page that is missing would shift all numbers behind it
    listed = [
        (int(number), path) for number, path in re.findall(r"^- ADR (\d+): \[.+\]\((adr/.+\.md)\)", index, re.MULTILINE)
    ]
    pages = sorted((ROOT / "docs/adr").glob("*.md"))
    assert listed == [(number, f"adr/{page.name}") for number, page in enumerate(pages, start=1)]
    for number, page in enumerate(pages, start=1):
        assert page.name.startswith(f"{number:04}-")
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. ")


def test_the_map_of_the_house_shows_its_rooms():
    text = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    there = {path.name for path in (ROOT / "segwatch").rglob("*.py")}
    named = set(re.findall(r"\b(\w+\.py)\b", text))
    rooms = ("jobs", "alerts", "deliveries", "kinds", "upstream", "store", "notifiers", "telemetry", "daemon", "web")
    wanted = {path.name for room in rooms for path in (ROOT / "segwatch" / room).glob("[a-z]*.py")}
    assert named <= there
    assert wanted <= named
