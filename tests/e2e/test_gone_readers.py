"""Commands whose words nobody takes any more: the work goes on, and the exit code tells how it ended."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import forkserver
import pytest
import pytest_asyncio
from house import DATASET, SEGMENT, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A platform, settings, and no daemon; runs of the pipeline fail at their check."""
    folder = tmp_path_factory.mktemp("gone")
    async with House(folder, emulator=["--speed", "300", "--size", "500", "--evaluations-per-day", "99"]) as one:
        nightly = {"name": "nightly", "segments": [SEGMENT], "dataset": DATASET, "adopt_export": "never"}
        one.write(
            quota={"evaluations_per_day": 90, "evaluations_per_year": 99},
            pipelines=[nightly | {"min_profiles": 10**9}],
        )
        yield one


async def ended(house: House, args: list[str], *, out: int, err: int) -> int:
    """Run a command whose output goes to these descriptors, and return its exit code."""
    around = os.environ | {"SEGWATCH_CONFIG": str(house.config), "PYTHONWARNINGS": "default"}
    child = forkserver.fork(args, env=around, cwd=ROOT, out=out, err=err)
    async with asyncio.timeout(60):
        return await child.wait()


@pytest.fixture
def gone() -> Iterator[int]:
    """Return the end of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.fixture
def full() -> Iterator[int]:
    """Return a file on a disk that is full."""
    file = os.open("/dev/full", os.O_WRONLY)
    yield file
    os.close(file)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[int]:
    """Return a file that takes everything: `tmp_path / "kept"`."""
    file = os.open(tmp_path / "kept", os.O_WRONLY | os.O_CREAT)
    yield file
    os.close(file)


@pytest.fixture(params=["gone", "full"])
def nowhere(request: pytest.FixtureRequest) -> int:
    """Return where nothing can be written: to a reader that is gone, and on a disk that is full."""
    return int(request.getfixturevalue(request.param))


@pytest_asyncio.fixture(loop_scope="module", params=["evaluate", "export", "query", "pipeline"])
async def failing(house: House, request: pytest.FixtureRequest) -> list[str]:
    """Return a command that works for a while, and whose work fails."""
    match request.param:
        case "evaluate":
            await house.platform.json("POST", "/_emulator/outcomes", {"kind": "segment_job", "next": ["FAILED"]})
            return ["evaluate", SEGMENT, "--wait", "--anew"]
        case "export":
            await house.platform.outcomes("FAILED")
            return ["export", "create", "--dataset", DATASET, "--segment", SEGMENT, "--wait", "--force"]
        case "query":
            return ["query", "run", "SELECT nothing FROM nowhere", "--wait"]
        case _:
            return ["pipeline", "run", "nightly", "--wait"]


async def test_progress_that_nobody_takes_ends_no_work(
    house: House, failing: list[str], nowhere: int, kept: int, tmp_path: Path
) -> None:
    assert await ended(house, failing, out=kept, err=nowhere) == 1
    assert "failed" in (tmp_path / "kept").read_text().lower()


async def test_a_result_that_nobody_reads_leaves_its_exit_code(house: House, failing: list[str], gone: int) -> None:
    for more in ([], ["--json"]):
        assert await ended(house, [*failing, *more], out=gone, err=gone) == 1
        if failing[0] in ("evaluate", "export"):
            return  # only one was told to fail


async def test_a_download_is_done_though_its_progress_cannot_be_written(
    house: House, nowhere: int, kept: int, tmp_path: Path
) -> None:
    order = {"files": 12, "bytes": 100_000}
    batch = str((await house.platform.json("POST", "/_emulator/batches", order))["batch_id"])
    into = tmp_path / "members"
    assert await ended(house, ["batch", "download", batch, "--out", str(into)], out=kept, err=nowhere) == 0
    assert len([path for path in into.iterdir() if path.suffix == ".parquet"]) == 12
    assert "files" in (tmp_path / "kept").read_text()


async def test_what_goes_wrong_has_its_exit_code_though_nobody_hears_of_it(
    house: House, nowhere: int, gone: int
) -> None:
    assert await ended(house, ["bogus"], out=gone, err=nowhere) == 2
    assert await ended(house, ["jobs", "show", "24999"], out=gone, err=nowhere) == 1


async def test_a_list_is_quiet_about_a_reader_that_has_seen_enough(
    house: House, gone: int, kept: int, tmp_path: Path
) -> None:
    for args in (["segments", "list"], ["segments", "list", "--json"], ["config", "schema"], ["--help"]):
        assert await ended(house, args, out=gone, err=kept) == 0
    assert (tmp_path / "kept").read_text() == ""


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["lines", "json"])
async def test_who_would_go_on_for_ever_ends_with_its_reader(
    house: House, gone: int, kept: int, more: list[str]
) -> None:
    await house.command("pipeline", "run", "nightly", "--wait", within_s=60)  # so that there is an event to print
    assert await ended(house, ["events", "tail", *more], out=gone, err=kept) == 0
