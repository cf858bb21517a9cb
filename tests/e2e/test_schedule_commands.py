"""`segwatch schedules` and `segwatch segments` as people and scripts run them: each a process of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from house import ORG, SEGMENT, Ended, House

SAMPLE = Path(__file__).parents[1] / "fixtures/tutorials/newer/response-01-schedule-created.json"
SCHEDULES = "/data/core/ups/config/schedules"
NIGHTLY = "0 0 1 * * ?"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with House(tmp_path_factory.mktemp("schedules"), emulator=["--dialect", "seed"]) as one:
        one.write()
        yield one


async def answered(house: House, *args: str) -> Any:
    ended = await house.command(*args, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == 1
    return ended.json


def refused(ended: Ended, code: int, *words: str) -> None:
    assert (ended.code, ended.out) == (code, "")
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err


async def records(house: House) -> list[Any]:
    """Return the platform's own records, as its API gives them."""
    credentials = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b", "scope": "openid"}
    async with house.session.post(f"{house.platform.url}/ims/token/v3", data=credentials) as reply:
        token = (await reply.json())["access_token"]
    headers = {"Authorization": f"Bearer {token}", "x-api-key": "a", "x-gw-ims-org-id": ORG, "x-sandbox-name": "prod"}
    async with house.session.get(f"{house.platform.url}{SCHEDULES}", headers=headers) as reply:
        found: list[Any] = (await reply.json())["children"]
        return found


async def test_a_schedule_is_made_and_changed_as_the_tutorial_shows(house: House) -> None:
    assert await answered(house, "schedules", "list") == []
    assert "`segwatch schedules create` makes one" in (await house.command("schedules", "list")).out

    made = await answered(house, "schedules", "create", "{SCHEDULE_NAME}", "--cron", NIGHTLY)
    sample, (record,) = json.loads(SAMPLE.read_bytes()), await records(house)
    theirs = {"id", "imsOrgId", "createEpoch", "updateEpoch"}  # what no two platforms have in common
    assert record.keys() - sample.keys() == {"frequency"}  # only later documents know it
    assert {name: record[name] for name in sample.keys() - theirs - {"sandbox"}} == {
        name: sample[name] for name in sample.keys() - theirs - {"sandbox"}
    }
    assert record["sandbox"] | {"sandboxId": ""} == sample["sandbox"] | {"sandboxId": ""}
    assert (made["id"], made["org_id"], made["next_run"]) == (record["id"], ORG, None)

    enabled = await answered(house, "schedules", "enable", made["id"])
    assert (enabled["state"], enabled["cron"]) == ("active", NIGHTLY)
    assert datetime.fromisoformat(enabled["next_run"]).hour == 1
    moved = await answered(house, "schedules", "set", made["id"], "--cron", "0 15 10 * * ?")
    assert (moved["cron"], moved["frequency"], moved["segments"]) == ("0 15 10 * * ?", "daily", ["*"])
    (record,) = await records(house)
    assert (record["state"], record["schedule"]) == ("active", "0 15 10 * * ?")

    shown, (listed,) = (
        await answered(house, "schedules", "show", made["id"]),
        await answered(house, "schedules", "list"),
    )
    assert shown == listed
    wait = datetime.fromisoformat(shown["next_run"]) - datetime.now(UTC)
    assert timedelta() < wait <= timedelta(days=1)
    title, row = (await house.command("schedules", "list")).out.splitlines()
    assert title.split() == ["id", "name", "state", "cron", "next", "run", "(UTC)", "frequency", "segments"]
    assert f"{made['id']}  {{SCHEDULE_NAME}}  active  0 15 10 * * ?  " in row
    page = (await house.command("schedules", "show", made["id"])).out
    assert "next run" in page
    assert "10:15:00 UTC" in page

    second = await house.command("schedules", "create", "again", "--cron", NIGHTLY)
    refused(second, 1, "A schedule for batch segmentation exists already")
    disabled = await answered(house, "schedules", "disable", made["id"])
    assert (disabled["state"], disabled["next_run"]) == ("inactive", None)

    unsure = await house.command("schedules", "delete", made["id"])
    refused(unsure, 2, "write --yes")
    assert len(await records(house)) == 1
    assert await answered(house, "schedules", "delete", made["id"], "--yes") == {"id": made["id"], "deleted": True}
    assert await records(house) == []
    for command in (("show",), ("set", "--cron", NIGHTLY)):
        gone = await house.command("schedules", command[0], made["id"], *command[1:])
        refused(gone, 1, "404", f"No schedule with id '{made['id']}'")


async def test_an_active_export_schedule_for_some_segments_is_made_at_once(house: House) -> None:
    options = ("--cron", "0 30 4 ? * SUN", "--segment", SEGMENT, "--segment", "x", "--type", "export", "--active")
    ended = await house.command("schedules", "create", "weekly", *options)
    assert (ended.code, ended.err) == (0, "")
    assert "weekly" in ended.out
    (record,) = await records(house)
    assert (record["type"], record["state"]) == ("export", "active")
    assert record["properties"] == {"segments": [SEGMENT, "x"]}
    ended = await house.command("schedules", "delete", record["id"], "--yes")
    assert (ended.code, ended.out) == (0, f"{record['id']} is deleted\n")


@pytest.mark.parametrize(
    ("command", "cron", "said"),
    [
        (("create", "n"), "0 0 25 * * ?", 'hours is "25": write 0 to 23'),
        (("create", "n"), "0 0 1 * * ? 2020", 'year is "2020": it never fires again'),
        (("set", "some-id"), "0 0 1 * * *", 'day of week is "*" beside day of month "*": write ?'),
    ],
)
async def test_a_wrong_cron_is_refused_before_anything_is_sent(
    house: House, command: tuple[str, str], cron: str, said: str
) -> None:
    before = await house.platform.requests("")
    ended = await house.command("schedules", *command, "--cron", cron)
    refused(ended, 2, f"--cron: {said}")
    assert len(ended.lines) == 1
    assert await house.platform.requests("") == before


async def test_segments_are_listed_and_shown(house: House) -> None:
    everything = await answered(house, "segments", "list")
    assert len(everything) == 10
    assert await answered(house, "segments", "list", "--limit", "3") == everything[:3]
    shown = await answered(house, "segments", "show", SEGMENT)
    assert shown in everything
    assert (shown["name"], shown["pql"]) == ("Lives in the Netherlands", 'homeAddress.country = "NL"')
    assert (shown["evaluated"], shown["sandbox"]) == (["batch"], "prod")
    title, *rows = (await house.command("segments", "list")).out.splitlines()
    assert title.split() == ["id", "name", "evaluated", "merge", "policy", "updated", "at", "(UTC)"]
    assert len(rows) == 10
    page = (await house.command("segments", "show", SEGMENT)).out
    assert 'homeAddress.country = "NL"' in page
    refused(await house.command("segments", "show", "gone"), 1, "404", "No segment definition with id 'gone'")


async def test_mistakes_of_the_command_line_end_with_2(house: House, tmp_path: Path) -> None:
    refused(await house.command("schedules", "show", "a b"), 2, "A schedule has the id 'a b'")
    refused(await house.command("schedules", "create", "n"), 2, "--cron")
    refused(await house.command("schedules", "create", " ", "--cron", NIGHTLY), 2, "A schedule needs a name")
    refused(await house.command("segments", "list", "--limit", "0"), 2, "--limit")
    refused(await house.command("segments", "list", "--sandbox", "dev"), 2, "--sandbox dev: the settings have prod")
    house.write(sandboxes=[house.sandbox("prod"), house.sandbox("dev")])
    several = await house.command("schedules", "list")
    house.write()
    refused(several, 2, "--sandbox is needed, since the settings have several: prod, dev")


async def test_a_platform_that_cannot_be_reached_ends_with_3(house: House) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and never listened on: whoever connects is refused
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        house.write(platform={"base_url": url, "ims_url": url})
        for command in (("schedules", "list"), ("segments", "show", SEGMENT)):
            refused(await house.command(*command), 3, "Check platform.base_url")
    house.write()


async def asked(house: House, answer: str, *args: str) -> tuple[int, str]:
    """Run a command whose stdin is a terminal at which somebody answers; return its exit code and its stderr.

    answer: "^C" for an interrupt once the question is there.
    """
    terminal, stdin = os.openpty()
    if answer != "^C":
        os.write(terminal, f"{answer}\n".encode())
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "segwatch", *args, "--config", str(house.config),
            stdin=stdin, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(20):
            said = b""
            if answer == "^C":
                assert child.stderr is not None
                said = await child.stderr.readuntil(b"[y/N] ")
                child.send_signal(signal.SIGINT)
            _, rest = await child.communicate()
            said += rest
    finally:
        os.close(terminal)
        os.close(stdin)
    assert child.returncode is not None
    return child.returncode, said.decode()


async def test_a_lost_answer_says_to_look_first_and_a_deletion_asks(house: House) -> None:
    await house.platform.fault(SCHEDULES, method="POST", fault={"accept_then_reset": True}, times=1)
    ended = await house.command("schedules", "create", "nightly", "--cron", NIGHTLY)
    refused(ended, 3, "whether it was made is not known", "look before you try again")
    (made,) = await records(house)
    question = f"Delete the schedule nightly (inactive, {NIGHTLY})? [y/N] "
    assert await asked(house, "no", "schedules", "delete", made["id"]) == (1, f"{question}nothing was deleted\n")
    code, said = await asked(house, "^C", "schedules", "delete", made["id"])
    assert (code, said.startswith(question), "Traceback" in said) == (130, True, False)
    assert await records(house) == [made]
    assert await asked(house, "yes", "schedules", "delete", made["id"]) == (0, question)
    assert await records(house) == []


async def test_a_deletion_whose_answer_was_lost_is_no_failure(house: House) -> None:
    made = await answered(house, "schedules", "create", "nightly", "--cron", NIGHTLY)
    await house.platform.fault(f"{SCHEDULES}/*", method="DELETE", fault={"accept_then_reset": True}, times=1)
    ended = await house.command("schedules", "delete", made["id"], "--yes", "--json")
    told = ended.json if ended.out else {}
    assert (ended.code, told.get("deleted")) == (0, True), ended.err
    assert await records(house) == []


async def test_a_row_that_cannot_be_read_is_told_and_hides_no_other(house: House) -> None:
    made = await answered(house, "schedules", "create", "nightly", "--cron", NIGHTLY)
    rewrite = {"children": [{"name": "no id"}, {"id": made["id"], "schedule": "* * * * *"}]}
    await house.platform.fault(SCHEDULES, method="GET", fault={"rewrite": rewrite}, times=1)
    ended = await house.command("schedules", "list", "--json")
    assert (ended.code, len(ended.lines)) == (0, 1)
    assert "1 row is left out" in ended.err
    (row,) = ended.json
    assert (row["id"], row["cron"], row["next_run"], row["frequency"]) == (made["id"], "* * * * *", None, "")
    await answered(house, "schedules", "delete", made["id"], "--yes")


@pytest.mark.parametrize("change", [("enable",), ("disable",), ("set", "--cron", NIGHTLY), ("delete", "--yes")])
async def test_a_change_whose_answer_was_lost_says_what_tells_whether_it_took_effect(
    house: House, change: tuple[str, ...]
) -> None:
    made = await answered(house, "schedules", "create", "nightly", "--cron", NIGHTLY)
    method = "DELETE" if change[0] == "delete" else "PATCH"
    await house.platform.fault(f"{SCHEDULES}/*", method=method, fault={"reset": True}, times=9)
    ended = await house.command("schedules", change[0], made["id"], *change[1:])
    await house.platform.call("DELETE", "/_emulator/faults")
    refused(ended, 3, "whether it took effect is not known", f"`segwatch schedules show {made['id']}` tells")
    await answered(house, "schedules", "delete", made["id"], "--yes")
