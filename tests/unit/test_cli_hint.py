"""The demo's hint can be pasted as it stands."""

import sys

import pytest

from segwatch.cli import stage


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder to stand in, with a `segwatch` in .venv/bin, and nothing else on the PATH."""
    program = tmp_path / "my checkout" / ".venv" / "bin" / "segwatch"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(program.parents[2])
    monkeypatch.setenv("PATH", "/nowhere")
    return program


@pytest.mark.parametrize("started_as", [".venv/bin/segwatch", "./.venv/bin/segwatch", "FULL"])
def test_a_program_that_is_not_on_the_path_is_named_by_its_own(checkout, monkeypatch, started_as):
    monkeypatch.setattr("sys.argv", [started_as.replace("FULL", str(checkout)), "demo"])
    assert stage.program() == ".venv/bin/segwatch"


def test_from_elsewhere_it_is_named_in_full(checkout, tmp_path, monkeypatch):
    (tmp_path / "else" / "where").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "else" / "where")
    monkeypatch.setattr("sys.argv", [str(checkout), "demo"])
    assert stage.program() == f"'{checkout}'"  # in quotes: there is a blank in it


def test_a_program_on_the_path_is_called_by_its_name(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout.parent))
    monkeypatch.setattr("sys.argv", [str(checkout), "demo"])
    assert stage.program() == "segwatch"


def test_a_module_is_run_by_the_same_python(checkout, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/segwatch/__main__.py", "demo"])
    monkeypatch.setattr(sys, "executable", "/opt/python/bin/python3")
    assert stage.program() == "/opt/python/bin/python3 -m segwatch"
