"""What `segwatch check --online` says to a script when the platform answers in more than one way."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from emulator_fixtures import EXPORT_JOBS, SEGMENT_JOBS, emulating

from segwatch.cli.check import check

REFUSES, IS_AWAY, ANSWERS = {"status": 403, "body": "no"}, {"status": 503}, None


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
