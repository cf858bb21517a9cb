"""Every command as people and scripts run it: a process of its own, beside a running daemon and without one."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from house import Daemon, Ended, House, Running, an_export, until
from receiver import Answer

WRITE_ERROR = {"code": "0090000009", "msg": "Error writing profiles to output path", "callStack": ""}
SCHEMA_ERROR = {"code": "0080000001", "msg": "The dataset's schema has no union view", "callStack": ""}
RULES = [{"code": "0080000001", "action": "never"}, {"code": "0090000009", "action": "retry"}]
ROOT = Path(__file__).parents[2]
SCRIPT = (["NEW", 0.3], ["PROCESSING", 0.3])

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, kw_only=True)
class Night:
    """What happened before the tests look: one export failed and recovered, one failed for good, a pager was deaf."""

    house: House
    daemon: Daemon
    failed: str
    refused: str
    new: str

    async def run(self, *args: str) -> Ended:
        return await self.house.command(*args)

    async def json(self, *args: str, code: int = 0) -> object:
        ended = await self.run(*args, "--json")
        assert (ended.code, ended.err) == (code, "")
        assert len(ended.out.splitlines()) == 1
        return ended.json


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def night(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Night]:
    async with House(tmp_path_factory.mktemp("night"), emulator=["--speed", "20"]) as house:
        house.inbox.answer("pager", then=Answer(status=404))
        daemon = await house.daemon(
            retry={"rules": RULES},
            channels=[house.channel("events"), house.channel("pager")],
            routes=[
                {"match": {}, "channels": ["events"]},
                {"match": {"type": "job.failed"}, "channels": ["pager"]},
            ],
        )
        await house.swept(daemon, times=1)
        script = [[word, seconds * 20] for word, seconds in SCRIPT]
        fails = [*script, ["FAILED", 0]]
        await house.platform.outcomes("SUCCEEDED")
        (failed,) = await house.platform.place("export_job", *fails, body=an_export(), errors=[WRITE_ERROR])
        other = an_export(fields="identities.id")
        (refused,) = await house.platform.place("export_job", *fails, body=other, errors=[SCHEMA_ERROR])
        await house.platform.place("segment_job", *script, ["SUCCEEDED", 0])
        submitted = await house.inbox.until("export.retry_submitted", job_id=failed)
        new = submitted.data["new_job_id"]
        await house.platform.set_status("export_job", new, "SUCCEEDED")
        await house.inbox.until("export.recovered")
        await house.inbox.until("export.retry_refused", job_id=refused)
        # two failures, and the recovery that closes one of them
        await daemon.until_metric(3, "segwatch_dead_letters", channel="pager")
        yield Night(house=house, daemon=daemon, failed=failed, refused=refused, new=new)


async def test_jobs_are_listed_and_shown(night: Night) -> None:
    everything, failed, active, two, one = await asyncio.gather(
        night.json("jobs", "list"),
        night.json("jobs", "list", "--status", "failed", "--kind", "export_job", "--sandbox", "prod"),
        night.json("jobs", "list", "--active"),
        night.json("jobs", "list", "--limit", "2"),
        night.json("jobs", "show", night.failed),
    )
    assert {night.failed, night.refused, night.new} < {job["id"] for job in everything}
    assert {job["id"] for job in failed} == {night.failed, night.refused}
    assert active == []
    assert [job["id"] for job in two] == [job["id"] for job in everything[:2]]
    assert (one["status"], one["errors"][0]["code"], one["attempt"]) == ("FAILED", "0090000009", 1)
    assert one["created_at"].endswith("Z")

    table, shown, none = await asyncio.gather(
        night.run("jobs", "list", "--limit", "3"),
        night.run("jobs", "show", f"prod/export_job/{night.failed}"),
        night.run("jobs", "list", "--sandbox", "elsewhere"),
    )
    assert table.out.splitlines()[0].split() == ["sandbox", "kind", "id", "status", "age", "took", "try", "error"]
    assert len(table.out.splitlines()) == 4
    assert re.search(r"^errors +Error writing profiles to output path \(0090000009\)$", shown.out, re.MULTILINE)
    assert re.search(r"^created at +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$", shown.out, re.MULTILINE)
    assert (none.code, none.out) == (0, "no jobs match\n")


async def test_explain_says_which_rule_decided_and_how_it_went_on(night: Night) -> None:
    retried, refused, told = await asyncio.gather(
        night.run("jobs", "explain", night.failed),
        night.run("jobs", "explain", night.refused),
        night.json("jobs", "explain", night.failed),
    )
    assert f"attempt 2 of 3 was submitted as job {night.new}" in retried.out
    assert 'rule: retry.rules[1] (code = "0090000009", action = "retry") matches 0090000009 Error' in retried.out
    assert re.search(rf"^2 +{night.new} +SUCCEEDED", retried.out, re.MULTILINE)
    assert re.search(r"^job\.failed +pager +dead +1 +routes\[1\] +http_404", retried.out, re.MULTILINE)
    why = "refused (never): a rule, or the platform itself, says never."
    recovered = await night.json("jobs", "explain", night.new)
    assert [
        (one["event"], one["channel"], one["route"]) for one in recovered["deliveries"] if one["channel"] == "pager"
    ] == [("export.recovered", "pager", "told the opening")]
    (closing,) = [one for one in recovered["events"] if one["type"] == "export.recovered"]
    route = await night.run("notify", "route", closing["data"]["event_id"])
    assert "told: events; but also pager, told of what this ends and so of its end" in route.out
    assert f"{why} `segwatch jobs retry {night.refused}` submits it" in refused.out
    assert "rule: retry.rules[0]" in refused.out
    assert [event["type"] for event in told["events"]][-2:] == ["export.retry_scheduled", "export.retry_submitted"]
    assert [job["job"] for job in told["chain"]] == [night.failed, night.new]
    assert (told["rule"]["action"], told["policy"]["max_attempts"], told["retry"]["step"]) == ("retry", 3, "submitted")
    assert told["polls"]["looks"] > 0
    assert {one["stage"] for one in told["deliveries"]} == {"delivered", "dead"}


async def test_a_person_may_retry_what_the_policy_refused_but_nothing_twice(night: Night) -> None:
    answered, unknown, not_failed = await asyncio.gather(
        night.run("jobs", "retry", night.failed),
        night.run("jobs", "retry", "99999"),
        night.run("jobs", "retry", night.new),
    )
    assert (answered.code, answered.err) == (
        1, f"prod/export_job/{night.failed} is answered by job {night.new}; retry that one if it failed too\n",
    )  # fmt: skip
    assert (unknown.code, not_failed.code) == (1, 1)
    assert "`segwatch jobs list` shows those that are" in unknown.err
    assert "only a failed or cancelled export" in not_failed.err

    wish = await night.json("jobs", "retry", night.refused)
    assert (wish["step"], wish["manual"]) == ("scheduled", True)
    made = await night.house.inbox.until("export.retry_submitted", job_id=night.refused)
    explained = await night.run("jobs", "explain", night.refused)
    assert f"was submitted as job {made.data['new_job_id']}: somebody asked for it" in explained.out


async def test_events_are_listed_by_type_and_followed(night: Night) -> None:
    failed, table, recent = await asyncio.gather(
        night.json("events", "list", "--type", "job.failed", "--type", "export.recovered", "--job", night.failed),
        night.run("events", "list", "--limit", "2"),
        night.json("events", "list", "--since", "1h", "--sandbox", "prod", "--limit", "1000"),
    )
    assert [event["type"] for event in failed] == ["job.failed"]
    assert failed[0]["data"]["event_id"].startswith("evt_")
    assert table.out.splitlines()[0].split() == ["at", "(UTC)", "severity", "event", "what"]
    assert len(table.out.splitlines()) == 3
    assert [event["position"] for event in recent] == sorted(event["position"] for event in recent)

    for options in ((), ("--json",)):
        tail = await night.house.start("events", "tail", "--limit", "1", *options)

        async def lines(tail: Running = tail) -> list[str]:
            return tail.out.read_text().splitlines()

        await until(lines, "the newest event", within_s=20)  # a command starts meanwhile
        (job,) = await night.house.platform.place("segment_job", ["PROCESSING", 0], ["SUCCEEDED", 0])

        async def said(job=job, lines=lines) -> list[str]:
            return [line for line in await lines() if job in line and "succeeded" in line]

        (line,) = await until(said, "the new job's end")
        assert not options or json.loads(line)["data"]["job_id"] == job
        assert await tail.stop(signal.SIGINT) in (0, 130)
        assert tail.text() == ""


async def test_channels_are_listed_tested_and_what_was_given_up_is_sent_again(night: Night) -> None:
    listed, accepted, refused, unknown, dead = await asyncio.gather(
        night.json("notify", "list"),
        night.json("notify", "test", "events", "--event", "export.recovered"),
        night.run("notify", "test", "pager"),
        night.run("notify", "test", "nobody"),
        night.json("notify", "dead", "--channel", "pager"),
    )
    assert [(row["channel"], row["condition"], row["dead"]) for row in listed] == [
        ("events", "healthy", 0),
        ("pager", "failing", 3),
    ]
    assert (accepted["accepted"], accepted["reason"]) == (True, "")
    assert (refused.code, refused.out) == (1, "pager: not accepted: http_404\n")
    assert (unknown.code, unknown.err) == (2, "no channel is named nobody; configured: events, pager\n")
    assert {row["job"] for row in dead} == {night.failed, night.refused, night.new}

    night.house.inbox.answer("pager")
    letter = next(row["id"] for row in dead if row["job"] == night.failed)
    elsewhere = await night.run("notify", "replay", letter, "--channel", "events")
    assert (elsewhere.code, elsewhere.out) == (2, "")
    assert elsewhere.err.startswith(f"{letter} is a notification to pager, not to events; leave out --channel")
    assert (await night.json("notify", "replay", letter))["replayed"] == 1
    got = await night.house.inbox.until("job.failed", channel="pager", job_id=night.failed)
    assert got.webhook_id == letter
    all_dead = await night.run("notify", "replay", "--dead", "--channel", "pager")
    assert all_dead.out == "the running daemon will send 2 notifications again\n"
    await night.house.inbox.until("job.failed", channel="pager", job_id=night.refused)
    await night.house.inbox.until("export.recovered", channel="pager", job_id=night.new)
    again = await night.json("notify", "replay", got.data["event_id"], "--channel", "pager")
    assert again == {"replayed": 1, "left_out": 0, "ids": [letter]}
    await night.daemon.until_metric(0, "segwatch_dead_letters", channel="pager")

    none, nothing, missing = await asyncio.gather(
        night.run("notify", "dead"), night.run("notify", "replay", "--dead"), night.run("notify", "replay", "evt_none")
    )
    assert (none.out, nothing.out) == ("no dead letters\n", "nothing to send again\n")
    assert (missing.code, "no event has the id evt_none" in missing.err) == (1, True)


async def test_the_store_is_checked_and_copied_but_not_migrated_beside_the_daemon(night: Night) -> None:
    copy = night.house.folder / "copy.db"
    checked, backed_up, migrated = await asyncio.gather(
        night.json("db", "check"), night.json("db", "backup", str(copy)), night.run("db", "migrate")
    )
    assert (checked["ok"], checked["problems"]) == (True, [])
    assert backed_up["bytes"] == copy.stat().st_size
    assert migrated.code == 1
    assert "is in use by another segwatch daemon" in migrated.err
    again = await night.run("db", "backup", str(copy))
    assert (again.code, "exists. Name a new file" in again.err) == (1, True)


async def test_settings_are_shown_without_secrets_and_checked(night: Night) -> None:
    shown, pretty, schema, valid, online, table = await asyncio.gather(
        night.json("config", "show"),
        night.run("config", "show"),
        night.json("config", "schema"),
        night.json("check"),
        night.json("check", "--online"),
        night.run("check", "--online"),
    )
    assert shown == pretty.json
    assert set(shown["sandboxes"][0]["client_secret"]) == {"*"}
    assert "sandboxes" in schema["properties"]
    assert (valid["valid"], valid["sandboxes"], valid["channels"]) == (True, ["prod"], ["events", "pager"])
    assert {(row["asked_for"], row["result"]) for row in online["online"]} == {
        ("export_job", "ok"),
        ("segment_job", "ok"),
    }
    assert table.out.splitlines()[0] == f"{night.house.config} is valid: 1 sandbox, 2 channels, 2 routes, no pipelines"
    assert re.search("^prod +segment_job +ok$", table.out, re.MULTILINE)


async def test_a_refusal_and_silence_of_the_platform_have_their_own_exit_codes(night: Night, tmp_path: Path) -> None:
    fault = await night.house.platform.fault("/data/core/ups/export/jobs*", fault={"status": 403, "body": "no"})
    refused = await night.run("check", "--online")
    await night.house.platform.call("DELETE", f"/_emulator/faults/{fault}")
    assert refused.code == 1
    assert re.search("^prod +export_job +refused, HTTP 403 +Sandbox prod", refused.out, re.MULTILINE)

    away = tmp_path / "away.toml"
    text = night.house.config.read_text()
    away.write_text(text.replace(night.house.platform.url, "http://127.0.0.1:9"))
    silent = await night.run("check", "--online", "--config", str(away), "--json")
    assert silent.code == 3
    assert {row["result"] for row in silent.json["online"]} == {"unreachable"}
    assert all("Check platform.base_url" in row["what_to_do"] for row in silent.json["online"])


async def test_wrong_settings_are_a_line_each_and_exit_2(night: Night, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[polling]\ninterval = "15"\nintervall = "1s"\n[store]\nurl = "sqlite:///x.db"\n')
    checked, as_json, listed = await asyncio.gather(
        night.run("check", "--config", str(wrong)),
        night.run("check", "--config", str(wrong), "--json"),
        night.run("jobs", "list", "--config", str(wrong)),
    )
    assert {ended.code for ended in (checked, as_json, listed)} == {2}
    assert checked.out == ""
    assert len(checked.lines) >= 3
    assert all(line.startswith(str(wrong)) for line in checked.lines)
    assert (as_json.json["valid"], as_json.json["problems"]) == (False, checked.lines)
    assert listed.lines == checked.lines


async def test_a_wrong_command_line_is_exit_2(night: Night) -> None:
    wrong = await asyncio.gather(
        night.run("jbs"), night.run("jobs", "list", "--no-json"), night.run("demo", "--for", "100ms")
    )
    assert [(ended.code, ended.out) for ended in wrong] == [(2, "")] * 3
    assert 'Unknown command "jbs". Did you mean "jobs"?' in wrong[0].err


async def test_segwatch_alone_helps(night: Night) -> None:
    alone, helped, version = await asyncio.gather(night.run(), night.run("--help"), night.run("--version"))
    assert (alone.code, alone.out) == (0, helped.out)
    assert "\x1b" not in helped.out
    assert version.out.strip()


async def test_a_reader_that_goes_away_is_no_error(night: Night) -> None:
    for args in (["jobs", "list"], ["config", "schema"], ["events", "list", "--json"], ["--help"]):
        read, write = os.pipe()
        os.close(read)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "segwatch",
            *args,
            stdout=write,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"SEGWATCH_CONFIG": str(night.house.config)},
            cwd=ROOT,
        )
        os.close(write)
        _, err = await child.communicate()
        assert (child.returncode, err) == (0, b"")


async def test_a_store_that_is_not_there_says_who_makes_it(night: Night, tmp_path: Path) -> None:
    config = tmp_path / "new.toml"
    config.write_text(night.house.config.read_text().replace(str(night.house.store), f"{tmp_path}/new.db"))
    listed = await night.run("jobs", "list", "--config", str(config))
    assert (listed.code, "`segwatch run` creates it" in listed.err) == (1, True)
    migrated = await night.json("db", "migrate", "--config", str(config))
    assert migrated["ok"]
    assert await night.json("jobs", "list", "--config", str(config)) == []


async def test_a_taken_port_is_said_in_one_line(night: Night) -> None:
    port = night.house.platform.url.rpartition(":")[2]
    ended = await night.run("emulate", "--port", port)
    assert (ended.code, len(ended.lines)) == (2, 1)
    assert f"cannot listen on 127.0.0.1:{port}" in ended.err
