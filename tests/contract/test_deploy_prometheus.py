"""The files under deploy/prometheus, read by the program that will read them."""

import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"


def promtool(*args: str) -> tuple[int, str]:
    done = subprocess.run(["promtool", *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.needs("promtool")
def test_the_scrape_example_is_a_valid_configuration():
    code, said = promtool("check", "config", str(FOLDER / "scrape.yaml"))
    assert code == 0, said
