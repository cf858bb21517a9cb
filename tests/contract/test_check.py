"""What `segwatch check --online` says to a script when the platform answers in more than one way."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from emulator_fixtures import EXPORT_JOBS, SEGMENT_JOBS, emulating

from segwatch.cli.check import check

REFUSES, IS_AWAY, ANSWERS = {"status": 403, "body": "no"}, {"status": 503}, None
PIPELINE = """
[[pipelines]]
name = "nightly"
segments = ["seg-1"]
dataset = "Segment Export"
"""


@asynccontextmanager
async def settings_for(folder: Path, **faults):
    """Yield a settings file for a platform that has these faults in its lists."""
    async with emulating() as platform:
        for path, fault in faults.items():
            if fault:
                await platform.control("faults", {"path": f"{path}*", "fault": fault})
        file = folder / "config.toml"
        file.write_text(f"""
platform = {{ base_url = "{platform.base_url}", ims_url = "{platform.base_url}" }}
[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "abc"
client_secret = "hush-hush"
""")
        yield str(file)


@pytest.mark.parametrize(
    ("segments", "exports", "code"),
    [
        pytest.param(ANSWERS, REFUSES, 1, id="refused"),
        pytest.param(IS_AWAY, ANSWERS, 3, id="away"),
        pytest.param(IS_AWAY, REFUSES, 1, id="away-and-refused"),
        pytest.param(REFUSES, IS_AWAY, 1, id="refused-and-away"),
    ],
)
async def test_a_refusal_needs_somebody_to_act_and_outranks_what_may_pass(tmp_path, segments, exports, code, capsys):
    async with settings_for(tmp_path, **{SEGMENT_JOBS: segments, EXPORT_JOBS: exports}) as config:
        with pytest.raises(SystemExit) as ended:
            await check(online=True, config=config)
    assert ended.value.code == code
    assert "is valid" in capsys.readouterr().out


async def test_a_platform_that_answers_is_no_failure(tmp_path, capsys):
    async with settings_for(tmp_path) as config:
        await check(online=True, config=config)
    assert capsys.readouterr().out.count("ok") == 2


def add(config, text):
    file = Path(config)
    file.write_text(file.read_text() + text)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (
            "command = ['/no/such']",
            'command[0] is "/no/such", which is not there. Write the path of an executable file.',
        ),
        ("command = ['{folder}/config.toml']", "which cannot be executed. Write the path of an executable file."),
        ("command = ['/bin']", "which cannot be executed. Write the path of an executable file."),
        (
            "download = '{folder}/config.toml/out'",
            "config.toml is no folder. Write a folder that segwatch may write to.",
        ),
        # whoever runs the tests: root too, of whom access(2) says that it may write there
        ("download = '/proc/nope'", 'download is "/proc/nope", which cannot be made, since nothing can be written to'),
    ],
)
async def test_what_a_pipeline_needs_of_this_machine_is_looked_for(tmp_path, setting, problem, capsys):
    async with settings_for(tmp_path) as config:
        add(config, PIPELINE + setting.format(folder=tmp_path))
        with pytest.raises(SystemExit) as ended:
            await check(config=config)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"{config}: pipelines[0]." in told
    assert problem in told


async def test_pipelines_are_counted_too(tmp_path, capsys):
    async with settings_for(tmp_path) as config:
        add(config, PIPELINE + f"command = ['/bin/sh']\ndownload = '{tmp_path}/out/deeper'")
        await check(config=config)
    assert "1 sandbox, no channels, no routes, 1 pipeline" in capsys.readouterr().out
