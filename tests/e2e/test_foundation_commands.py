"""The commands for datasets, batches, profiles and queries, each as a process of its own against a local platform."""

import json
import os
import pty
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from house import DATASET, House, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAM = "sam@example.org"
FILES = "/data/foundation/export/files/*"
NEVER = "/tmp/segwatch-never-made"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with House(tmp_path_factory.mktemp("foundation"), emulator=["--speed", "1000"]) as one:
        one.write()
        made = (await one.platform.json("POST", "/_emulator/evaluations", {}))["id"]

        async def evaluated() -> bool:
            return (await one.platform.jobs())[made]["status"] == "SUCCEEDED"

        await until(evaluated, "an evaluation", within_s=30)
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def batch(house: House) -> str:
    return str((await house.platform.json("POST", "/_emulator/batches", {"files": 3, "bytes": 100_000}))["batch_id"])


async def test_datasets_are_made_once_listed_and_shown(house: House) -> None:
    made = (await house.command("datasets", "create", "Nightly NL", "--description", "at night", "--json")).json
    assert made["created"] is True
    again = (await house.command("datasets", "create", "Nightly NL", "--reuse", "--json")).json
    assert again == made | {"created": False}
    listed = await house.command("datasets", "list")
    assert listed.code == 0
    assert listed.out.splitlines()[0].split() == ["id", "name", "table", "updated", "(UTC)", "last", "batch"]
    assert f"{made['id']}  Nightly NL      nightly_nl" in listed.out
    rows = (await house.command("datasets", "list", "--name", "Nightly NL", "--json")).json
    assert [row["id"] for row in rows] == [made["id"]]
    shown = (await house.command("datasets", "show", made["id"], "--json")).json
    assert (shown["name"], shown["description"], shown["holds_profiles"]) == ("Nightly NL", "at night", True)
    assert shown == rows[0]
    for_people = await house.command("datasets", "show", DATASET)
    assert "holds profiles" in for_people.out
    assert len((await house.command("datasets", "list", "--limit", "1", "--json")).json) == 1


async def test_the_files_of_a_batch_are_listed_and_brought_to_disk(house: House, batch: str, tmp_path: Path) -> None:
    listed = (await house.command("batch", "files", batch, "--json")).json
    assert [row["part"] for row in listed] == [f"part-0000{n}.snappy.parquet" for n in range(3)]
    assert {row["length"] for row in listed} == {100_000}
    table = await house.command("batch", "files", batch)
    assert table.out.splitlines()[0].split() == ["file", "part", "length"]
    out = tmp_path / "members"
    ended = await house.command("batch", "download", batch, "--out", str(out))
    assert ended.code == 0
    assert "300.0 kB" in ended.out
    assert ended.lines[-1] == "100% of 300.0 kB, 3 of 3 files"
    again = await house.command("batch", "download", batch, "--out", str(out), "--json")
    told = again.json
    assert told.pop("took_s") >= 0
    assert told == {"batch": batch, "folder": str(out), "files": 3, "bytes": 300_000, "resumed_bytes": 300_000}


async def test_a_download_says_what_to_do_about_what_is_in_its_way(house: House, batch: str, tmp_path: Path) -> None:
    (tmp_path / "part-00000.snappy.parquet").write_text("mine")
    ended = await house.command("batch", "download", batch, "--out", str(tmp_path))
    assert ended.code == 1
    assert ended.lines == [
        f"{tmp_path}/part-00000.snappy.parquet is there already, and is not of this download: "
        "--force replaces it; or choose another --out"
    ]
    assert (await house.command("batch", "download", batch, "--out", str(tmp_path), "--force")).code == 0
    (tmp_path / "file").touch()
    ended = await house.command("batch", "download", batch, "--out", str(tmp_path / "file"))
    assert (ended.code, ended.lines) == (1, [f"{tmp_path}/file is a file: name a directory"])
    ended = await house.command("batch", "download", batch, "--out", str(tmp_path), "--parallel", "17")
    assert ended.code == 2


async def test_a_download_that_the_platform_does_not_let_through_ends_with_3(
    house: House, batch: str, tmp_path: Path
) -> None:
    await house.platform.fault(f"{FILES}?path=*", fault={"drop_after": 0})
    try:
        ended = await house.command("batch", "download", batch, "--out", str(tmp_path / "out"), within_s=60)
    finally:
        await house.platform.heal()
    assert ended.code == 3
    assert f"0 of 3 files are complete in {tmp_path}/out" in ended.lines[-1]
    assert "The same command goes on with what is there" in ended.lines[-1]


async def test_a_download_on_a_terminal_draws_a_bar_on_stderr_and_ends_by_ctrl_c(
    house: House, batch: str, tmp_path: Path
) -> None:
    await house.platform.fault(f"{FILES}?path=*", fault={"slow_bytes_per_s": 50_000})
    out, (ours, theirs) = tmp_path / "out", pty.openpty()
    os.set_blocking(ours, False)
    try:
        on_terminal = ["sh", "-c", f'exec "$@" 2>{os.ttyname(theirs)}', "sh"]
        process = await house.start("batch", "download", batch, "--out", str(out), wrapper=on_terminal)
        drawn = ""

        async def begun() -> bool:
            nonlocal drawn
            drawn += _read(ours)
            return "0 of 3 files" in drawn and "kB" in drawn and any(out.glob("*.part"))

        await until(begun, "a bar", within_s=20)
        process.send(signal.SIGINT)
        assert await process.ended() == 130
        assert "What came is kept" in _read(ours)
        assert process.out.read_text() == ""
    finally:
        os.close(theirs)
        os.close(ours)
        await house.platform.heal()
    assert (await house.command("batch", "download", batch, "--out", str(out))).code == 0


def _read(fd: int) -> str:
    try:
        return os.read(fd, 1 << 20).decode()
    except BlockingIOError:
        return ""


async def test_a_profile_tells_its_identities_and_its_segments_by_name(house: House) -> None:
    told = (await house.command("profile", "get", SAM, "--ns", "email", "--json")).json
    assert told["identities"]["email"] == [SAM]
    (nl,) = [one for one in told["memberships"] if one["segment"] == "a1b2c3d4-0001-4000-8000-000000000001"]
    definitions = (await house.platform.json("GET", "/_emulator/state"))["definitions"]
    assert nl["name"] == next(one["name"] for one in definitions if one["id"] == nl["segment"])
    assert (nl["namespace"], nl["status"], nl["member"]) == ("ups", "realized", True)
    assert nl["since"].endswith("Z")
    page = await house.command("profile", "get", SAM, "--ns", "email")
    assert f"email {SAM}" in page.out
    assert "\nSegments\nnamespace  segment" in page.out
    raw = await house.command("profile", "get", SAM, "--ns", "email", "--raw", "--fields", "person.name,loyalty.tier")
    assert set(json.loads(raw.out)) == {"person", "loyalty"}
    assert raw.out.count("\n") > 3
    unknown = await house.command("profile", "get", "nobody@example.org", "--ns", "email")
    assert (unknown.code, unknown.lines) == (1, ["no profile is known by email nobody@example.org"])
    without = await house.command("profile", "get", SAM)
    assert without.code == 1
    assert "--ns" in without.err
    assert (await house.command("profile", "get", SAM, "--fields", "a")).code == 2


async def test_a_query_is_run_shown_listed_and_ended(house: House) -> None:
    done = await house.command("query", "run", "SELECT 1 AS one UNION ALL SELECT 2", "--wait", "--json", within_s=60)
    assert (done.code, done.json["state"], done.json["row_count"]) == (0, "SUCCESS", 2)
    shown = await house.command("query", "show", done.json["id"])
    assert "SUCCESS" in shown.out
    wrong = await house.command("query", "run", "SELECT FROM", "--wait", within_s=60)
    assert wrong.code == 1
    assert "FAILED" in wrong.out
    late = await house.command("query", "cancel", done.json["id"])
    assert (late.code, "had ended already" in late.err) == (1, True)
    begun = (await house.command("query", "run", "SELECT 3", "--json")).json
    listed = (await house.command("query", "list", "--limit", "2", "--json")).json
    assert listed[0]["id"] == begun["id"]
    assert len(listed) == 2
    assert (await house.command("query", "list")).out.startswith("id ")


async def test_a_query_that_takes_too_long_runs_on_and_can_be_ended(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=["--speed", "0.1"]) as slow:
        slow.write()
        late = await slow.command("query", "run", "SELECT 4", "--wait", "--timeout", "1s")
        assert late.code == 1
        assert "has not ended within 1s; `segwatch query show` follows it" in late.err
        (row,) = (await slow.command("query", "list", "--json")).json
        begun = (await slow.command("query", "run", "SELECT 5", "--json")).json
        ended = await slow.command("query", "cancel", begun["id"], "--json")
        assert ended.json == {"id": begun["id"], "asked": True}
        assert row["sql"] == "SELECT 4"


@pytest.mark.parametrize(
    "command",
    [("datasets", "show", "0" * 24), ("batch", "download", "0" * 32, "--out", NEVER), ("query", "cancel", "no-such")],
    ids=" ".join,
)
async def test_what_is_unknown_ends_with_1(house: House, command: tuple[str, ...]) -> None:
    ended = await house.command(*command)
    assert (ended.code, ended.out) == (1, "")
    assert "404" in ended.err
    assert not os.path.exists(NEVER)  # noqa: ASYNC240


async def test_an_id_that_is_none_ends_with_2(house: House) -> None:
    ended = await house.command("batch", "files", "a b")
    assert (ended.code, ended.lines) == (2, ["A batch has the id 'a b': write it as the platform shows it"])


async def test_a_platform_that_is_away_ends_with_3_and_two_sandboxes_need_a_name(house: House) -> None:
    nowhere = "http://127.0.0.1:9"  # the discard port: nobody listens
    two = [house.sandbox("prod"), house.sandbox("dev")]
    try:
        house.write(platform={"base_url": nowhere, "ims_url": nowhere}, sandboxes=two)
        ended = await house.command("datasets", "list")
        assert (ended.code, ended.out) == (2, "")
        assert "--sandbox is needed, since the settings have several: prod, dev" in ended.err
        for command in (("profile", "get", "a"), ("batch", "download", "a", "--out", NEVER)):
            ended = await house.command(*command, "--sandbox", "dev", within_s=60)
            assert (ended.code, ended.out) == (3, "")
            assert "Check platform.base_url" in ended.err
    finally:
        house.write()
