"""What all tests share: nothing may be skipped in CI, and a missing program is named."""

import itertools
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aioresponses.core
import hypothesis
import pytest
import structlog
from aiohttp import ClientResponse
from examples import examples

# how long an example takes says more about the machine than about what is tested
hypothesis.settings.register_profile("segwatch", deadline=None, max_examples=examples(50))
hypothesis.settings.load_profile("segwatch")


# Hundreds of processes import the same modules, and every worker collects all tests: what one has compiled serves all,
# also where Python was told to keep nothing.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    """Let each worker of a whole run begin its collection at another module: none compiles what another has compiled.

    `pytest_collection_modifyitems` brings the tests back into one order.
    """
    about = getattr(config, "workerinput", None)
    if about and config.args == config.getini("testpaths"):
        modules = sorted(map(str, Path(__file__).parent.rglob("test_*.py")))
        number = int(about["workerid"].removeprefix("gw"))
        first = len(modules) * number // about["workercount"]
        config.args = modules[first:] + modules[:first]


class _ClientResponse(ClientResponse):
    """aioresponses 0.7.9 leaves out an argument that aiohttp 3.14 demands (its issue 289)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture(autouse=True)
def _aioresponses_fits_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioresponses.core, "ClientResponse", _ClientResponse)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Undo what the test lets `logs.configure` do to the process."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.configure(**before)
    root.handlers = handlers
    root.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, tests that need a program which is not here; put those that wait among those that work."""
    items[:] = _spread(sorted(items, key=lambda item: item.path))
    for item in items:
        for mark in item.iter_markers("needs"):
            missing = [program for program in mark.args if shutil.which(program) is None]
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"not on PATH: {', '.join(missing)}"))


def _spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with the end-to-end modules spread evenly among the others, the longest of them first.

    Workers take the tests in stretches. End-to-end tests mostly wait for other processes: side by side with each other
    they wait for one processor while the rest of the machine idles, and one that begins last keeps everybody waiting.
    """
    modules = [list(found) for _, found in itertools.groupby(items, key=lambda item: item.path)]
    waiting = [module for module in modules if "e2e" in module[0].path.parts]
    waiting.sort(key=lambda module: module[0].path.name != "test_kill.py")
    working = [module for module in modules if module not in waiting]
    share, spread = len(working) / max(1, len(waiting)), []
    for number, module in enumerate(waiting):
        spread += [module, *working[round(number * share) : round((number + 1) * share)]]
    return list(itertools.chain.from_iterable(spread if waiting else working))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail in CI when a test was skipped: CI has every program that a test needs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
