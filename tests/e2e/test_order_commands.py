"""Evaluations and exports by command, as processes: what they print, how they exit, and that no job is doubled."""

import asyncio
import fcntl
import json
import os
import pty
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from house import DATASET, EXPORTS, ORG, OTHER_SEGMENT, SEGMENT, SEGMENT_JOBS, Ended, House, Json, an_export, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLENTY = {"evaluations_per_day": 90, "evaluations_per_year": 99}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A platform, settings, and neither a daemon nor a store."""
    folder = tmp_path_factory.mktemp("alone")
    async with House(folder, emulator=["--speed", "300", "--evaluations-per-day", "99"]) as house:
        house.write(quota=PLENTY)
        yield house


async def command(house: House, *args: str) -> Ended:
    return await house.command(*args, within_s=60)


async def made(house: House, kind: str) -> list[Json]:
    return [one for one in (await house.platform.ledger())["submissions"] if one["kind"] == kind]


async def export(house: House, *args: str, segment: str = SEGMENT) -> Ended:
    return await command(house, 
        "export", "create", "--dataset", DATASET, "--segment", segment, *args
    )  # fmt: skip


async def test_an_evaluation_is_followed_to_its_end_without_a_daemon(alone: House) -> None:
    before = len(await made(alone, "segment_job"))
    ended = await command(alone, "evaluate", SEGMENT, OTHER_SEGMENT, "--wait", "--json")
    assert ended.code == 0, ended.err
    job = ended.json
    assert (job["status"], job["adopted"], job["segments"]) == ("SUCCEEDED", False, [SEGMENT, OTHER_SEGMENT])
    assert all(job["members"][segment] > 0 for segment in (SEGMENT, OTHER_SEGMENT))
    assert job["evaluations_left"] == 90 - 1 - before
    assert "SUCCEEDED" in ended.lines[-1]
    (new,) = (await made(alone, "segment_job"))[before:]
    assert new["id"] == job["id"]
    table = await command(alone, "evaluate", SEGMENT, "--anew")
    assert table.code == 0
    assert [line.split()[0] for line in table.out.splitlines()] == [
        "id",
        "status",
        "segments",
        "created",
        "adopted",
        "evaluations",
    ]


async def test_all_segments_are_evaluated_by_a_word_and_not_by_mistake(alone: House) -> None:
    nothing = await command(alone, "evaluate")
    assert (nothing.code, len(nothing.lines)) == (2, 1)
    both = await command(alone, "evaluate", SEGMENT, "--all")
    assert both.code == 2
    ended = await command(alone, "evaluate", "--all", "--json")
    assert ended.json["segments"] == ["*"]


async def test_an_evaluation_that_runs_and_covers_the_segments_is_followed(alone: House) -> None:
    (theirs,) = await alone.platform.place("segment_job", ["PROCESSING", 9000], body=[{"segmentId": OTHER_SEGMENT}])
    before = len(await made(alone, "segment_job"))
    ended = await command(alone, "evaluate", OTHER_SEGMENT, "--json")
    assert (ended.json["id"], ended.json["adopted"]) == (theirs, True)
    assert len(await made(alone, "segment_job")) == before
    await alone.platform.set_status("segment_job", theirs, "FAILED")


async def test_an_export_writes_what_its_filters_say(alone: House) -> None:
    options = (
        "--fields", "person.name,personalEmail.address", "--merge-policy", "9c9c9c9c-aaaa-4bbb-8ccc-dddddddddddd:1",
        "--qualified-from", "2026-01-01", "--ingested-after", "2025-01-01T02:00:00+01:00", "--empty-profiles",
        "--per-segment",
    )  # fmt: skip
    segment = f"{SEGMENT}:ups:realized,existing"
    dry = await export(alone, *options, "--dry-run", "--json", segment=segment)
    body = {
        "fields": "person.name,personalEmail.address",
        "mergePolicy": {"id": "9c9c9c9c-aaaa-4bbb-8ccc-dddddddddddd", "version": 1},
        "filter": {
            "segments": [{"segmentId": SEGMENT, "segmentNs": "ups", "status": ["realized", "existing"]}],
            "segmentQualificationTime": {"startTime": "2026-01-01T00:00:00Z"},
            "fromIngestTimestamp": "2025-01-01T02:00:00+01:00",
            "emptyProfiles": True,
        },
        "destination": {"datasetId": DATASET, "segmentPerBatch": True},
        "schema": {"name": "_xdm.context.profile"},
    }
    assert (dry.code, dry.json) == (0, body)
    before = len(await made(alone, "export_job"))
    ended = await export(alone, *options, "--wait", "--json", segment=segment)
    assert (ended.code, ended.json["status"], len(ended.json["batches"])) == (0, "SUCCEEDED", 1), ended.err
    (new,) = (await made(alone, "export_job"))[before:]
    assert new["body"]["filter"]["segments"] == body["filter"]["segments"]
    shown = await command(alone, "export", "show", ended.json["id"], "--json")
    assert shown.json["per_segment"] is True
    assert shown.json["batches"] == ended.json["batches"]
    listed = await command(alone, "export", "list", "--status", "succeeded", "--json")
    assert ended.json["id"] in [one["id"] for one in listed.json]
    table = await command(alone, "export", "list", "--limit", "1")
    assert table.out.split()[:4] == ["id", "status", "age", "took"]


async def test_a_dataset_goes_by_its_name(alone: House) -> None:
    listed = await alone.platform.json("GET", "/_emulator/state")
    name = next(one["name"] for one in listed["datasets"] if one.get("name"))
    named = await command(alone, "export", "create", "--dataset", name, "--segment", SEGMENT, "--dry-run", "--json")
    assert named.json["destination"]["datasetId"] == DATASET
    unknown = await command(alone, "export", "create", "--dataset", "no such", "--segment", SEGMENT)
    assert (unknown.code, len(unknown.lines)) == (1, 1)
    assert "`segwatch datasets create 'no such'`" in unknown.err


async def test_an_equal_export_that_runs_is_refused_with_what_to_do(alone: House) -> None:
    fields = ("--fields", "personalEmail.address")
    first = await export(alone, *fields, "--json")
    assert first.code == 0, first.err
    await alone.platform.set_status("export_job", first.json["id"], "PROCESSING")
    before = len(await made(alone, "export_job"))
    second = await export(alone, *fields)
    assert (second.code, len(second.lines)) == (1, 1)
    for word in (first.json["id"], "does the same", "export show", "--force"):
        assert word in second.err
    assert len(await made(alone, "export_job")) == before
    forced = await export(alone, *fields, "--force", "--json")
    assert forced.code == 0
    await alone.platform.set_status("export_job", forced.json["id"], "PROCESSING")
    cancelled = await command(alone, "export", "cancel", forced.json["id"], "--json")
    assert cancelled.json == {"id": forced.json["id"], "asked": True}


async def test_a_lost_answer_is_found_and_not_sent_again(alone: House) -> None:
    await alone.platform.fault(EXPORTS, method="POST", fault={"accept_then_reset": True}, times=1)
    before = len(await made(alone, "export_job"))
    ended = await export(alone, "--fields", "lost.answer", "--json")
    (new,) = (await made(alone, "export_job"))[before:]
    assert (ended.code, ended.json["id"]) == (0, str(new["id"])), ended.err
    assert "looking for what became of it" in ended.err


async def test_an_answer_that_never_comes_is_told_as_undecided(alone: House) -> None:
    await alone.platform.fault(EXPORTS, method="POST", fault={"reset": True}, times=1)
    before = len(await made(alone, "export_job"))
    ended = await export(alone, "--fields", "never.sent")
    assert ended.code == 1
    assert "cannot be known" in ended.err
    again = await export(alone, "--fields", "never.sent")
    assert again.code == 1
    assert "--force" in again.err
    assert len(await made(alone, "export_job")) == before


@pytest.mark.parametrize("fault", [{"status": 503, "body": "x"}, {"reset": True}], ids=["503", "reset"])
@pytest.mark.parametrize("kind", ["segment_job", "export_job"])
async def test_a_job_that_is_ordered_is_told_though_it_cannot_be_read_back(
    alone: House, kind: str, fault: Json
) -> None:
    path = f"{SEGMENT_JOBS if kind == 'segment_job' else EXPORTS}/*"
    await alone.platform.fault(path, method="GET", fault=fault, times=9)
    before = len(await made(alone, kind))
    if kind == "segment_job":
        ended = await command(alone, "evaluate", SEGMENT, "--anew", "--json")
    else:
        ended = await export(alone, "--fields", f"not.read{len(fault)}", "--json")
    (new,) = (await made(alone, kind))[before:]
    await alone.platform.call("DELETE", "/_emulator/faults")
    assert (ended.code, ended.json["id"], ended.json["status"]) == (0, str(new["id"]), "not known yet"), ended.err
    assert (str(new["id"]) in ended.err, "ry again" in ended.err) == (True, False)


async def test_a_failed_export_ends_the_wait_with_its_error(alone: House) -> None:
    await alone.platform.outcomes("FAILED", errors=[{"code": "0090000009", "msg": "No room."}])
    ended = await export(alone, "--fields", "will.fail", "--wait", "--json")
    assert (ended.code, ended.json["errors"]) == (1, ["0090000009 No room."])


async def test_an_export_that_has_ended_is_not_said_to_be_cancelled(alone: House) -> None:
    done = (await export(alone, "--wait", "--json")).json
    assert done["status"] == "SUCCEEDED"
    asked = await command(alone, "export", "cancel", done["id"])
    assert (asked.code, asked.out, len(asked.lines)) == (1, "", 1)
    assert f"export {done['id']} had ended already: it is SUCCEEDED" in asked.err


async def test_whoever_waits_for_a_job_may_give_up_and_it_goes_on(alone: House) -> None:
    await alone.platform.quirk()
    (theirs,) = await alone.platform.place("segment_job", ["PROCESSING", 9000], body=[{"segmentId": OTHER_SEGMENT}])
    ended = await command(alone, "evaluate", OTHER_SEGMENT, "--wait", "--timeout", "3s")
    assert (ended.code, ended.lines[-1].endswith("it goes on")) == (1, True)
    await alone.platform.set_status("segment_job", theirs, "FAILED")


async def test_whoever_waits_no_longer_for_a_lost_answer_is_told_how_the_order_stands(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.write(quota=PLENTY, retry={"settle_window": "10m"})
        await house.platform.fault(SEGMENT_JOBS, method="POST", fault={"status": 503, "body": "x"}, times=1)
        ended = await command(house, "evaluate", SEGMENT, "--wait", "--timeout", "3s")
        assert ended.code == 1, ended.err
        for word in ("503", "not known yet whether the evaluation was taken (order cmd-", "a running daemon finds out"):
            assert word in ended.err
        assert await made(house, "segment_job") == []


async def test_a_wait_ends_in_time_though_the_platform_does_not_answer(alone: House) -> None:
    await alone.platform.quirk()
    await alone.platform.fault(f"{SEGMENT_JOBS}/*", method="GET", fault={"status": 503, "body": "x"}, times=99)
    began = asyncio.get_running_loop().time()
    ended = await command(alone, "evaluate", SEGMENT, "--anew", "--wait", "--timeout", "4s")
    await alone.platform.call("DELETE", "/_emulator/faults")
    assert (ended.code, ended.lines[-1].endswith("it goes on")) == (1, True)
    assert asyncio.get_running_loop().time() - began < 12  # less than the pause behind a failed call


async def test_what_the_platform_declined_may_be_tried_again(alone: House) -> None:
    await alone.platform.fault(EXPORTS, method="POST", fault={"status": 503, "body": "x"}, times=1)
    ended = await export(alone, "--fields", "was.declined")
    assert (ended.code, "nothing was taken, and it may be tried again" in ended.err) == (3, True), ended.err


async def test_evaluations_that_the_platform_counts_as_used_up_are_not_advised_to_be_tried_again(
    tmp_path: Path,
) -> None:
    async with House(tmp_path, emulator=["--speed", "300", "--evaluations-per-day", "1"]) as house:
        house.write(quota=PLENTY)
        assert (await command(house, "evaluate", SEGMENT)).code == 0
        ended = await command(house, "evaluate", OTHER_SEGMENT)
        assert (ended.code, "00:00 UTC" in ended.err, "ry again" in ended.err) == (1, True, False), ended.err


async def test_a_refusal_of_the_platform_is_told_and_nothing_is_there(alone: House) -> None:
    refusal = {"status": 400, "body": '{"status":400,"title":"Dataset is not enabled"}'}
    await alone.platform.fault(EXPORTS, method="POST", fault=refusal, times=1)
    ended = await export(alone, "--fields", "is.refused")
    assert (ended.code, len(ended.lines)) == (1, 1)
    assert "Dataset is not enabled" in ended.err


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--dataset", DATASET), "--all-profiles"),
        (("--dataset", DATASET, "--segment", SEGMENT, "--all-profiles"), "--all-profiles"),
        (("--dataset", DATASET, "--segment", f"{SEGMENT}:ups:gone"), "realized"),
        (("--dataset", DATASET, "--segment", SEGMENT, "--qualified-from", "yesterday"), "2026-01-05"),
        (("--dataset", DATASET, "--segment", SEGMENT, "--merge-policy", "a:b"), "ID:VERSION"),
        (("--dataset", DATASET, "--segment", SEGMENT, "--timeout", "long"), "--timeout"),
        (("--dataset", DATASET, "--segment", SEGMENT, "--sandbox", "staging"), "prod"),
    ],
)
async def test_what_cannot_be_meant_is_a_usage_error(alone: House, args: tuple[str, ...], word: str) -> None:
    ended = await command(alone, "export", "create", *args)
    assert (ended.code, len(ended.lines)) == (2, 1), ended.err
    assert word in ended.err


# killed at any moment


async def test_a_command_that_is_killed_again_and_again_orders_one_export(alone: House) -> None:
    """The last one runs to its end: it follows what one of the killed ones has brought about, or orders the first."""
    luck = random.Random(4)
    fields = ("--fields", "killed.often")
    before = len(await made(alone, "export_job"))
    for _ in range(8):
        process = await alone.start("export", "create", "--dataset", DATASET, "--segment", SEGMENT, *fields)
        try:
            async with asyncio.timeout(luck.uniform(0.3, 2.0)):
                await process.child.wait()
        except TimeoutError:
            await process.kill()
        for one in (await made(alone, "export_job"))[before:]:
            await alone.platform.set_status("export_job", str(one["id"]), "PROCESSING")
    last = await export(alone, *fields, "--json")
    new = (await made(alone, "export_job"))[before:]
    assert len(new) <= 1
    assert (last.code == 0) != ("does the same" in last.err or "cannot be known" in last.err or "--force" in last.err)
    check = await command(alone, "db", "check", "--json")
    assert check.code == 0, check.out


async def test_equal_commands_at_the_same_time_order_one_evaluation(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.write(quota=PLENTY)
        await house.platform.fault(SEGMENT_JOBS, method="POST", fault={"delay_s": 1}, times=1)
        ended = await asyncio.gather(*(command(house, "evaluate", SEGMENT, "--json") for _ in range(3)))
        assert [one.code for one in ended] == [0, 0, 0], [one.err for one in ended]
        assert len(await made(house, "segment_job")) == 1
        assert sorted(one.json["adopted"] for one in ended) == [False, True, True]


# beside a daemon


async def test_the_last_evaluation_is_spent_only_with_a_persons_word(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=["--speed", "300", "--evaluations-per-day", "9"]) as house:
        daemon = await house.daemon(quota={"evaluations_per_day": 2, "evaluations_per_year": 50})
        await house.watching(daemon)
        await house.platform.call("POST", "/_emulator/outcomes", {"kind": "segment_job", "next": ["SUCCEEDED"]})
        first = await command(house, "evaluate", SEGMENT, "--json")
        assert (first.code, first.json["evaluations_left"]) == (0, 1), first.err
        refused = await command(house, "evaluate", OTHER_SEGMENT)
        assert (refused.code, len(refused.lines)) == (1, 1)
        assert "1 of 2 evaluations is left today (resets at 00:00 UTC), and it is the last; --force" in refused.err
        forced = await command(house, "evaluate", OTHER_SEGMENT, "--force", "--json")
        assert (forced.code, forced.json["evaluations_left"]) == (0, 0), forced.err
        assert len(await made(house, "segment_job")) == 2


async def test_a_job_is_cancelled_by_its_id_alone(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=["--speed", "300"]) as house:
        daemon = await house.daemon()
        await house.watching(daemon)
        (job,) = await house.platform.place("segment_job", ["PROCESSING", 90000])
        await house.inbox.until("job.processing", job_id=job)
        asked = await command(house, "jobs", "cancel", job, "--json")
        assert asked.json == {"id": job, "asked": True}

        async def is_over() -> bool:
            return (await house.platform.jobs())[job]["status"] in ("CANCELLING", "CANCELLED")

        await until(is_over, "the job is cancelled")
        await house.inbox.until("job.cancelled", job_id=job)
        again = await command(house, "jobs", "cancel", job)
        assert (again.code, len(again.lines)) == (1, 1)


# what surrounds them


async def test_without_a_platform_nothing_is_ordered_and_the_exit_code_says_so(tmp_path: Path, alone: House) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        config = tmp_path / "away.toml"
        config.write_text(
            f'platform = {{base_url = "{url}", ims_url = "{url}"}}\nstore = {{url = "sqlite://{tmp_path}/s.db"}}\n'
            f'sandboxes = [{{name = "prod", org_id = "{ORG}", client_id = "x", access_token = "y"}}]\n'
        )
        for args in (("evaluate", SEGMENT), ("export", "list"), ("export", "show", "1"), ("export", "cancel", "1")):
            ended = await command(alone, *args, "--config", str(config))
            assert (ended.code, len(ended.lines)) == (3, 1), ended.err
            assert "platform.base_url" in ended.err


async def test_a_store_that_cannot_be_made_lets_nothing_be_ordered(tmp_path: Path, alone: House) -> None:
    settings = alone.config.read_text().replace(str(alone.store), "/proc/no/such/segwatch.db")
    config = tmp_path / "no-store.toml"
    config.write_text(settings)
    before = len(await made(alone, "export_job"))
    ended = await export(alone, "--fields", "no.store", "--config", str(config))
    assert (ended.code, len(ended.lines)) == (1, 1)
    assert len(await made(alone, "export_job")) == before


@pytest.mark.needs("bash")
async def test_bash_completes_the_commands(alone: House, tmp_path: Path) -> None:
    script = await command(alone, "completion", "bash")
    path = tmp_path / "segwatch.bash"
    path.write_text(script.out)
    asked = (
        f"source {path}; complete -p segwatch; COMP_WORDS=(segwatch export cr); COMP_CWORD=2;"
        ' _segwatch; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    shell = await asyncio.create_subprocess_exec("bash", "--norc", "-c", asked, stdout=asyncio.subprocess.PIPE)
    out, _ = await shell.communicate()
    assert shell.returncode == 0
    assert "-F _segwatch segwatch" in out.decode()
    assert out.decode().split()[-1] == "create"
    for other in ("zsh", "fish"):
        assert "segwatch" in (await command(alone, "completion", other)).out


async def test_json_is_one_document_on_stdout_whatever_is_said_beside_it(alone: House) -> None:
    body = an_export()
    ended = await export(alone, "--fields", "one.document", "--wait", "--json")
    assert json.loads(ended.out)["dataset"] == body["destination"]["datasetId"]
    assert len(ended.out.splitlines()) == 1


def on_a_terminal(house: House, *args: str, until_said: bytes = b"", **env: str) -> tuple[int, bytes]:
    """Return how a command ends whose every stream is a terminal, and what it shows; Ctrl-C once it shows so much."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "segwatch", *args], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"SEGWATCH_CONFIG": str(house.config), "TERM": "xterm-256color"} | env,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # which is how a terminal ends
        while piece := os.read(ours, 65536):
            shown += piece
            if until_said and until_said in shown:
                until_said = b""
                child.send_signal(signal.SIGINT)
    os.close(ours)
    return child.wait(), shown


async def test_a_terminal_gets_a_bar_and_ctrl_c_leaves_the_job_running(tmp_path: Path) -> None:
    async with House(tmp_path, emulator=["--speed", "60"]) as house:
        house.write(quota=PLENTY)
        code, shown = await asyncio.to_thread(
            on_a_terminal, house, "evaluate", SEGMENT, "--wait", until_said=b"PROCESSING", NO_COLOR="1"
        )
        assert (code, b"goes on" in shown, "━".encode() in shown) == (130, True, True)
        assert re.search(rb"\x1b\[[0-9;]*m", shown) is None
        (job,) = await made(house, "segment_job")
        assert (await house.platform.jobs())[job["id"]]["status"] not in ("CANCELLING", "CANCELLED")
