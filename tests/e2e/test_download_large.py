"""A batch larger than the memory that a download may take: 300 MB in 40 files, over connections that break."""

import filecmp
import signal
import sys
from pathlib import Path

from house import House, until

FILES, FILE_BYTES = 40, 7_864_320
ALL = FILES * FILE_BYTES
CONTENT = "/data/foundation/export/files/*?path=*"
RSS_MAX_KIB = 150 * 1024
# runs a command, and tells the most memory that it ever held, in KiB
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


async def ordered(house: House) -> tuple[str, Path]:
    """Return the id of a batch, and the folder in which the platform keeps its files."""
    batch = (await house.platform.json("POST", "/_emulator/batches", {"files": FILES, "bytes": FILE_BYTES}))["batch_id"]
    return batch, house.folder / "platform" / "batches" / batch


def assert_same(out: Path, origin: Path) -> None:
    names = sorted(path.name for path in origin.glob("*.parquet"))
    assert len(names) == FILES
    assert sorted(path.name for path in out.iterdir() if path.name[0] != ".") == names
    assert filecmp.cmpfiles(out, origin, names, shallow=False) == (names, [], [])


def there_bytes(out: Path) -> int:
    return sum(path.stat().st_size for path in out.glob("part-*")) if out.exists() else 0


async def test_300_mb_arrive_in_little_memory_over_connections_that_drop(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=["--data", str(tmp_path / "platform")]) as house:
        batch, origin = await ordered(house)
        house.write()
        await house.platform.fault(CONTENT, fault={"drop_after": 3_000_000}, times=3)
        out = tmp_path / "out"
        command = ("batch", "download", batch, "--out", str(out), "--json")
        process = await house.start(*command, wrapper=[sys.executable, "-c", MEASURE])
        assert await process.ended(within_s=90) == 0, process.text()
        *lines, peak_kib = process.text().splitlines()
        assert int(peak_kib) < RSS_MAX_KIB
        assert [line.split(",")[0] for line in lines] == [f"{n}0% of 314.6 MB" for n in range(1, 11)]
        assert_same(out, origin)
        faults = await house.platform.json("GET", "/_emulator/faults")
        assert faults["faults"] == []  # all three were used up
        # one answer a file, and one more for each that was dropped
        assert await house.platform.requests("GET /data/foundation/export/files/{id}", 206) == FILES + 3


async def test_a_download_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=["--data", str(tmp_path / "platform")]) as house:
        batch, origin = await ordered(house)
        house.write()
        out = tmp_path / "out"
        await house.platform.fault(CONTENT, fault={"slow_bytes_per_s": 40_000_000})
        process = await house.start("batch", "download", batch, "--out", str(out))

        async def half() -> bool:
            return there_bytes(out) > ALL / 2

        await until(half, "half of the batch", within_s=60)
        process.send(signal.SIGKILL)
        await process.ended()
        await house.platform.heal()
        there = there_bytes(out)
        assert there < ALL
        before = await house.platform.requests("GET /data/foundation/export/files/{id}", 206)
        ended = await house.command("batch", "download", batch, "--out", str(out), "--json", within_s=60)
        assert ended.code == 0, ended.err
        told = ended.json
        assert (told["files"], told["bytes"], told["resumed_bytes"]) == (FILES, ALL, there)
        assert await house.platform.requests("GET /data/foundation/export/files/{id}", 206) - before < FILES
        assert_same(out, origin)
        again = await house.command("batch", "download", batch, "--out", str(out), "--json")
        assert again.json["resumed_bytes"] == ALL
