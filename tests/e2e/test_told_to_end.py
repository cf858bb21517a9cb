"""Commands that are told to end: while they are still being imported, and with something at work."""

import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from house import DATASET, SEGMENT, House, Json, Running, until

# stands before the real one, so that a test finds every command in the middle of its imports
CYCLOPTS = """
import pathlib, sys
here = pathlib.Path(__file__).parent
(here / "importing").touch()
(here / "go").read_text()
sys.path.remove(str(here))
del sys.modules[__name__]
import cyclopts
"""
PLENTY = {"evaluations_per_day": 90, "evaluations_per_year": 99}
# as a shell starts what it puts into the background of a script
DEAF_TO_CTRL_C = ("/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh")


async def importing(house: House, folder: Path, *args: str) -> Running:
    """Return a command that is at its imports, and stays there until somebody writes to the FIFO `go`."""
    (folder / "cyclopts.py").write_text(CYCLOPTS)
    os.mkfifo(folder / "go")
    command = await house.start(*args, wrapper=["env", f"PYTHONPATH={folder}"])

    async def is_importing() -> bool:
        return (folder / "importing").exists()

    await until(is_importing, "the imports", within_s=20)
    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder beside the house's own."""
    made = tmp_path / "before"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("args", "number", "code"),
    [
        (["evaluate", SEGMENT, "--wait"], signal.SIGINT, 130),
        (["evaluate", SEGMENT, "--wait"], signal.SIGTERM, 143),
        (["run"], signal.SIGINT, 0),
        (["run"], signal.SIGTERM, 0),
    ],
    ids=["evaluate-SIGINT", "evaluate-SIGTERM", "run-SIGINT", "run-SIGTERM"],
)
async def test_during_its_imports_a_command_ends_at_once_and_quietly(
    house: House, folder: Path, args: Sequence[str], number: signal.Signals, code: int
) -> None:
    house.write()
    command = await importing(house, folder, *args)
    assert await command.stop(number) == code
    assert command.text() == ""


async def test_a_reload_that_is_asked_for_during_the_imports_comes_later(house: House, folder: Path) -> None:
    house.write()
    daemon = await importing(house, folder, "run")
    daemon.send(signal.SIGHUP)
    (folder / "go").write_text("")
    await daemon.until_logged("started", within_s=20)
    await daemon.until_logged("reloaded", within_s=20)
    assert await daemon.stop() == 0


async def begun(house: House, mark: Path, *, wrapper: Sequence[str] = ()) -> Running:
    """Return a run that is at its local command, which has written its process id to `mark`."""
    told = ["/bin/sh", "-c", f"echo $$ >> {mark}; sleep 600 & wait"]
    pipeline: Json = {"name": "nightly", "segments": [SEGMENT], "dataset": DATASET, "adopt_export": "never"}
    house.write(quota=PLENTY, pipelines=[pipeline | {"command": told}])
    driving = await house.start("pipeline", "run", "nightly", "--wait", wrapper=wrapper)

    await until(_is_whole(mark), "the command of the run", within_s=60)
    return driving


def _is_whole(mark: Path) -> Callable[[], Awaitable[bool]]:
    async def is_whole() -> bool:
        return text_of(mark).endswith("\n")

    return is_whole


def text_of(mark: Path) -> str:
    return mark.read_text() if mark.exists() else ""


def _is_gone(group: int) -> Callable[[], Awaitable[bool]]:
    """Return what tells whether nothing of a process group is left."""

    async def is_gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    return is_gone


@pytest.mark.parametrize(
    ("wrapper", "number", "code"),
    [((), signal.SIGHUP, 129), (DEAF_TO_CTRL_C, signal.SIGTERM, 143)],
    ids=["in-front-SIGHUP", "in-the-background-SIGTERM"],
)
async def test_the_end_of_a_driving_command_is_that_of_its_local_command_and_it_says_who_goes_on(
    tmp_path: Path, wrapper: Sequence[str], number: signal.Signals, code: int
) -> None:
    mark = tmp_path / "told"
    async with House(tmp_path, emulator=["--speed", "300", "--size", "500"]) as house:
        driving = await begun(house, mark, wrapper=wrapper)
        driving.send(number)
        assert await driving.stop(number) == code  # timeout(1) sends it twice
        await until(_is_gone(int(text_of(mark))), "the end of the local command")
        assert "has not ended; `segwatch run` goes on with it, or the same command" in driving.text()


@pytest.mark.parametrize(
    "args",
    [
        ["evaluate", SEGMENT, "--wait"],
        ["export", "create", "--dataset", DATASET, "--segment", SEGMENT, "--wait"],
        ["query", "run", "SELECT 1 AS one", "--wait"],
    ],
    ids=lambda args: args[0],
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
async def test_whoever_leaves_a_job_alone_is_told_that_it_goes_on(
    tmp_path: Path, args: Sequence[str], number: signal.Signals, code: int
) -> None:
    async with House(tmp_path, emulator=["--speed", "0.1", "--size", "500"]) as house:
        house.write(quota=PLENTY)
        waiting = await house.start(*args)
        await until(_says(waiting), "that it waits", within_s=30)
        assert await waiting.stop(number) == code
        assert "goes on" in waiting.text().splitlines()[-1]


def _says(process: Running) -> Callable[[], Awaitable[bool]]:
    async def says() -> bool:
        return bool(process.text())

    return says
