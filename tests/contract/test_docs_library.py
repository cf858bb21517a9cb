"""docs/reference/library.md does what it says: its blocks, one after another, against a local platform."""

import ast
import codeop
import inspect
import re
from pathlib import Path

import pytest
from emulator_fixtures import ORG, emulating

from segwatch.jobs.model import Status
from segwatch.upstream import (
    batches,
    datasets,
    definitions,
    download,
    export_jobs,
    files,
    profiles,
    queries,
    schedules,
    segment_jobs,
)

PAGE = (Path(__file__).parents[2] / "docs/reference/library.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
RESOURCES = (
    batches, datasets, definitions, download, export_jobs, files, profiles, queries, schedules, segment_jobs,
)  # fmt: skip
SETTINGS = """
platform = {{ base_url = "{url}", ims_url = "{url}" }}
[[sandboxes]]
name = "prod"
org_id = "{org}"
client_id = "an-id"
client_secret = "a-secret-of-the-test"
requests_per_second = 100
burst = 100
"""


async def pasted(block, names):
    """Feed a block to Python as `python -m asyncio` takes it: line by line, each statement when it is complete."""
    take = codeop.CommandCompiler()
    take.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    typed = []
    for line in [*block.splitlines(), ""]:  # whoever pastes it presses Enter
        typed.append(line)
        code = take("\n".join(typed), "<stdin>", "single")
        if code is not None:
            typed.clear()
            if (waiting := eval(code, names)) is not None:
                await waiting
    assert not typed, "Python waits for more"


async def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    async with emulating(speed=2_000, prepared=True, data=tmp_path / "platform") as platform:
        (tmp_path / "config.toml").write_text(SETTINGS.format(url=platform.base_url, org=ORG))
        monkeypatch.chdir(tmp_path)
        names = {}
        try:
            for block in BLOCKS:
                await pasted(block, names)
        finally:
            if "session" in names:
                await names["session"].close()
    assert names["job"].status is names["export"].status is Status.SUCCEEDED
    assert set(names["job"].metrics.members) == set(names["segments"])
    assert names["export"].metrics.exported == names["job"].metrics.members[names["segments"][0]] > 0
    assert names["batch"].records_written == names["export"].metrics.exported
    assert names["is_new"]
    assert names["sam"].identities["email"] == ("sam@example.org",)
    assert names["query"].state is queries.QueryState.SUCCESS
    parts = [path for path in (tmp_path / "audience").iterdir() if path.suffix == ".parquet"]
    assert (len(parts), sum(path.stat().st_size for path in parts)) == (names["done"].files, names["done"].bytes)


@pytest.mark.parametrize("module", RESOURCES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_call_of_a_resource_is_in_an_example(module):
    short = module.__name__.rpartition(".")[2]
    calls = {
        name
        for name, one in vars(module).items()
        if inspect.isfunction(one) and one.__module__ == module.__name__ and not name.startswith("_")
        and "client" in inspect.signature(one).parameters
    }  # fmt: skip
    assert calls
    assert {name for name in calls if f"{short}.{name}(" not in "".join(BLOCKS)} == set()
