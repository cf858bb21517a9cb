"""The pages about the local platform name all that it has."""

import inspect
import re
import tomllib
from datetime import time as time_of_day
from pathlib import Path

import pytest

from segwatch.cli.emulate import emulate
from segwatch.emulator import seed
from segwatch.emulator.control.scenario import load
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.server import EmulatorSettings, build_app

DOCS = Path(__file__).parents[2] / "docs"
PLATFORM = (DOCS / "reference/emulator.md").read_text(encoding="utf-8")
CONTROL = (DOCS / "reference/emulator-control.md").read_text(encoding="utf-8")
SCENARIOS = (DOCS / "reference/scenarios.md").read_text(encoding="utf-8")
ARCHITECTURE = (DOCS / "explanation/architecture.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"^```toml\n(.*?)^```", SCENARIOS, re.MULTILINE | re.DOTALL)[1]
BASES = ("/ims", "/data/core/ups", "/data/foundation/catalog", "/data/foundation/export", "/data/foundation/query")
ALIAS = "/data/foundation/catalog/datasets"


def routes():
    """Return (method, path) of all that is served, each path once."""
    app = build_app(EmulatorSettings())
    found = {(route.method, route.resource.canonical.rstrip("/")) for route in app.router.routes()}
    return sorted(one for one in found if not one[1].startswith(ALIAS))


def documented():
    """Return (method, path) of all that the pages name as served."""
    base, found = "", set()
    for line in PLATFORM.split("\n## Routes\n")[1].split("\n## ")[0].splitlines():
        first, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        base = first.strip("`") or base
        if base in BASES:
            for methods, path in re.findall(r"`([A-Z, ]+) (/[^`]+)`", cells[0]):
                found |= {(method, f"{base}{path}") for method in methods.split(", ")}
    return found


def test_every_route_of_the_platform_is_on_its_page():
    served = {one for one in routes() if one[1].startswith(BASES)}
    assert served == documented()
    journals = {path for _, path in routes() if "organizations" in path}
    assert len(journals) == 2
    assert "`/events/organizations`, `/organizations`" in PLATFORM


def test_every_call_of_the_control_api_is_on_its_page():
    served = {f"{method} {path}" for method, path in routes() if path.startswith("/_emulator")}
    assert served == set(re.findall(r"`((?:GET|POST|DELETE) /_emulator/[^`]+)`", CONTROL.split("\n```sh")[0]))


def test_every_option_and_no_other_is_on_the_page():
    rows = PLATFORM.split("\n## Options\n")[1].split("\n## ")[0]
    shown = re.findall(r"`(--[a-z-]+)", "".join(row.split(" | ")[0] for row in rows.splitlines() if row[:3] == "| `"))
    names = (name.replace("as_json", "json") for name in inspect.signature(emulate).parameters)
    assert sorted(shown) == sorted(f"--{name.replace('_', '-')}" for name in names)


@pytest.mark.parametrize("quirk", list(Quirk))
def test_every_quirk_is_on_the_page(quirk):
    assert f"`{quirk}`" in CONTROL.split("\n## Quirks\n")[1]


def test_the_seed_is_as_shown():
    shown = dict(re.findall(r"^\| `(a1b2c3d4-[\w-]+)` \| (.+) \|$", PLATFORM, re.MULTILINE))
    assert shown == {name: one["name"] for name, one in seed.definitions("prod").items()}
    for value in (seed.ORG, seed.DATASET_ID, seed.MERGE_POLICY_ID):
        assert f"`{value}`" in PLATFORM


def test_the_example_of_a_scenario_has_every_table_and_is_in_order(tmp_path):
    tables = re.findall(r"^\| `(\w+)` \| [^|]+ \| `POST ", SCENARIOS, re.MULTILINE)
    assert set(tomllib.loads(EXAMPLE)) - {"title", "begins"} == set(tables)
    path = tmp_path / "example.toml"
    path.write_text(EXAMPLE)
    scenario = load(str(path))
    assert scenario.begins == time_of_day(1, 50)
    assert [step.table for step in scenario.steps][-1] == "statuses"


def test_what_is_said_of_the_night_is_in_it():
    said = SCENARIOS.split("\n## night\n")[1]
    begins = {step.at_s for step in load("night").steps}
    for minutes, seconds in re.findall(r"\b(\d+):(\d\d)\b", re.sub(r"\b0\d:\d\d\b", "", said)):
        at_s = int(minutes) * 60 + int(seconds)
        assert at_s in begins or at_s == 600, f"{minutes}:{seconds}"  # then the schedules are due


def test_the_map_shows_every_room_of_the_emulator():
    there = Path(inspect.getfile(build_app)).parent
    assert {f"{path.name}/" for path in there.iterdir() if path.is_dir() and path.name[0] != "_"} <= set(
        re.findall(r"\b\w+/", ARCHITECTURE)
    )
    assert {path.name for path in there.glob("[a-z]*.py")} <= set(re.findall(r"\b\w+\.py\b", ARCHITECTURE))


def test_the_layers_of_the_emulator_are_those_of_the_contract():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one.get("containers") == ["segwatch.emulator"]]
    shown = re.search(r"^```\n(server  >.*?)^```", ARCHITECTURE, re.MULTILINE | re.DOTALL)[1]
    assert [re.split(r", *", layer.strip()) for layer in re.split(r"\s+>\s+", shown)] == [
        [name.strip() for name in layer.split("|")] for layer in layers
    ]
