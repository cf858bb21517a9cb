"""The disk fails under the store: it says so, loses nothing that it told, and goes on when the disk is back."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from house import Daemon, House, an_export, until


@dataclass
class Disk:
    """Where the store lies, and how its disk is made to fail and to work again."""

    folder: Path
    fail: Callable[[Daemon], None]
    mend: Callable[[Daemon], None]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Disk]:
    """A small file system of its own, filled to the last byte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a file system can be mounted by root only: {mounted.stderr.decode().strip()}")

    def fail(daemon: Daemon) -> None:
        with (folder / "filler").open("wb", buffering=0) as filler:
            for size in (65536, 512, 1):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    yield Disk(folder, fail, lambda daemon: (folder / "filler").unlink())
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def limited_files(tmp_path: Path) -> Disk:
    """No file of the daemon may grow any more, as under a quota; needs no root."""

    def limit(daemon: Daemon, size: int) -> None:
        hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, hard))

    return Disk(tmp_path, lambda daemon: limit(daemon, 0), lambda daemon: limit(daemon, resource.RLIM_INFINITY))


@pytest.fixture
def frozen_file(tmp_path: Path) -> Iterator[Disk]:
    """The files can be read and not written, as after a file system turned read-only."""
    probe = tmp_path / "probe"
    probe.touch()

    def chattr(sign: str, *paths: Path) -> int:
        return subprocess.run(["chattr", f"{sign}i", *paths], capture_output=True).returncode

    if chattr("+", probe):
        pytest.skip("the file system knows no immutable files, or we are not root")
    chattr("-", probe)

    def files() -> list[Path]:
        return [path for path in tmp_path.glob("segwatch.db*") if path.suffix != ".db-shm"]

    yield Disk(tmp_path, lambda daemon: chattr("+", *files()) and None, lambda daemon: chattr("-", *files()) and None)
    chattr("-", *files())


@pytest.mark.parametrize("kind", ["full_disk", "limited_files", "frozen_file"])
async def test_a_disk_that_fails_makes_it_unready_and_loses_nothing(
    house: House, kind: str, request: pytest.FixtureRequest
) -> None:
    disk: Disk = request.getfixturevalue(kind)
    house.store = disk.folder / "segwatch.db"
    daemon = await house.daemon()
    await house.watching(daemon)
    running = await house.platform.place("segment_job", ["PROCESSING", 600], ["SUCCEEDED", 0], count=3)
    (export,) = await house.platform.place("export_job", ["PROCESSING", 600], ["FAILED", 0], body=an_export())
    await house.inbox.until_each("job.processing", [*running, export])
    told = len(house.inbox.letters())

    disk.fail(daemon)

    async def unready() -> bool:
        return not await daemon.is_ready()

    await until(unready, "it is not ready")
    assert await daemon.is_healthy()
    assert str(house.store) in (await daemon.call("GET", "/-/ready"))[1]
    for job in running:
        await house.platform.set_status("segment_job", job, "SUCCEEDED")
    await house.platform.set_status("export_job", export, "FAILED")
    (unseen,) = await house.platform.place("segment_job", ["PROCESSING", 0], ["SUCCEEDED", 0])
    assert await daemon.metric("segwatch_up", sandbox="prod") == 1  # no fault of the platform's
    polled = await house.platform.requests("GET")

    async def polls() -> bool:
        return await house.platform.requests("GET") >= polled + 2

    await until(polls, "it looks on")
    assert await daemon.reload() == (200, "reloaded\n")
    assert len(house.inbox.letters()) == told
    assert await house.platform.submissions() == []

    disk.mend(daemon)

    await until(daemon.is_ready, "it is ready again")
    await house.inbox.until_each("job.succeeded", [*running, unseen], within_s=20)
    await house.inbox.until("job.failed", job_id=export)
    submitted = await house.inbox.until("export.retry_submitted", job_id=export)
    await house.platform.set_status("export_job", submitted.data["new_job_id"], "SUCCEEDED")
    await house.inbox.until("export.recovered")
    assert len(await house.platform.submissions()) == 1
    if kind != "limited_files":  # there the log could not grow either
        (line,) = daemon.process.logged("store_unavailable")
        assert line["level"] == "error"
        assert str(house.store) in line["error"]
        assert daemon.process.logged("store_available")
    assert await daemon.stop() == 0
    assert (await house.command("db", "check")).code == 0


async def test_it_starts_on_a_read_only_disk_says_why_it_is_not_ready_and_goes_on_when_it_can(
    house: House, frozen_file: Disk
) -> None:
    first = await house.daemon()
    await house.watching(first)
    frozen_file.fail(first)
    assert await first.stop() == 0

    process = await house.run_daemon()
    waiting = house.seen(process, (await process.until_logged("listening", within_s=20))["url"])
    line = await process.until_logged("store_unavailable")
    assert str(house.store) in line["error"]
    assert "no restart is needed" in line["hint"]
    status, why = await waiting.call("GET", "/-/ready")
    assert (status, str(house.store) in why) == (503, True)
    assert await waiting.is_healthy()
    assert (await waiting.call("GET", "/metrics"))[0] == 200
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 1], ["SUCCEEDED", 0])

    frozen_file.mend(waiting)
    await process.until_logged("started", within_s=20)
    await until(waiting.is_ready, "readiness")
    await house.inbox.until("job.succeeded", job_id=job)
    assert await waiting.stop() == 0


async def test_it_ends_when_told_to_while_it_waits_for_the_disk(house: House, frozen_file: Disk) -> None:
    first = await house.daemon()
    frozen_file.fail(first)
    assert await first.stop() == 0
    process = await house.run_daemon()
    await process.until_logged("store_unavailable", within_s=20)
    assert await process.stop() == 0
    frozen_file.mend(first)


async def test_a_store_whose_file_is_removed_makes_it_unready_and_nothing_is_announced_or_submitted(
    house: House,
) -> None:
    daemon = await house.daemon()
    await house.watching(daemon)
    (export,) = await house.platform.place("export_job", ["PROCESSING", 600], ["FAILED", 0], body=an_export())
    await house.inbox.until("job.processing", job_id=export)
    told = len(house.inbox.letters())
    for file in house.store.parent.glob("segwatch.db*"):
        if file.suffix != ".lock":
            file.unlink()

    async def unready() -> bool:
        return not await daemon.is_ready()

    await until(unready, "it is not ready")
    line = await daemon.process.until_logged("store_unavailable")
    assert f"{house.store} was removed" in line["error"]
    assert await daemon.is_healthy()
    await house.platform.set_status("export_job", export, "FAILED")
    polled = await house.platform.requests("GET")

    async def polls() -> bool:
        return await house.platform.requests("GET") >= polled + 3

    await until(polls, "it looks on")
    assert len(house.inbox.letters()) == told
    assert await house.platform.submissions() == []
    assert not house.store.exists()
    assert await daemon.stop() == 0
