"""What `segwatch notify preview` shows: on a terminal, in a pipe, as JSON; and that it sends nothing."""

import json
import sys

import pytest
from receiver import Receiver
from settings_files import file_with

from segwatch.cli import message_panel
from segwatch.cli.notify import try_
from segwatch.cli.preview import preview
from segwatch.jobs.events import EventType

HOUSE = """
[store]
url = "sqlite://{folder}/segwatch.db"
[[channels]]
name = "ops"
kind = "slack"
url = "{url}/hush-hush"
[[channels]]
name = "pager"
kind = "pagerduty"
base_url = "{url}"
routing_key = "hush-hush-hush-hush"
[[channels]]
name = "events"
kind = "webhook"
url = "{url}/hush-hush"
secret = "whsec_aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8="
[[channels]]
name = "team"
kind = "teams"
url = "{url}/hush-hush"
[[routes]]
match = {{ sandbox = "prod" }}
channels = ["ops", "pager", "events"]
[[routes]]
match = {{ sandbox = "prod" }}
group_by = ["sandbox"]
quiet_hours = {{ from = "00:00", to = "23:59", zone = "UTC" }}
channels = ["team"]
[[templates]]
name = "oncall"
channels = ["ops", "team"]
title = "PROD: {{{{ message.title }}}}"
fields = {{ "*" = "", Job = "#{{{{ event.job_id|default('several', true) }}}}" }}
"""
BROKEN = """
[[templates]]
name = "broken"
channels = ["pager"]
summary = "{{ event.details.gone }}"
"""


@pytest.fixture
async def receiver():
    async with Receiver() as opened:
        yield opened
        assert opened.got == [], "a preview sends nothing"


@pytest.fixture
def config(tmp_path, receiver):
    def of(more: str = "") -> str:
        return str(file_with(tmp_path, HOUSE.format(folder=tmp_path, url=receiver.origin) + more))

    return of


async def report(capsys, *args, **options):
    await preview(*args, as_json=True, **options)
    out, err = capsys.readouterr()
    assert err == ""
    assert "hush" not in out
    return json.loads(out)


async def test_each_channel_that_is_reached_is_shown_in_its_own_words(config, capsys):
    shown = await report(capsys, "job.failed", label=["sandbox=prod"], config=config())
    assert shown["event"] == "job.failed"
    by_name = {one["channel"]: one for one in shown["channels"]}
    assert list(by_name) == ["ops", "pager", "events", "team"]
    ops = by_name["ops"]
    assert (ops["told"], ops["template"], ops["fault"]) == ("at once", "oncall", None)
    assert ops["message"]["title"] == "PROD: Export 24115 failed in prod"
    assert ops["message"]["fields"] == {"Job": "#24115"}
    assert (by_name["pager"]["type"], by_name["pager"]["told"]) == ("alert.firing", "as an incident of its own")
    assert by_name["pager"]["message"]["title"] == "Export 24115 failed in prod"
    assert (by_name["events"]["message"], by_name["events"]["note"][:16]) == (None, "the event itself")
    team = by_name["team"]
    assert (team["type"], team["told"], team["template"]) == ("alert.firing", "in a group", "oncall")
    assert team["message"]["fields"] == {"Job": "#several"}
    assert "payload" not in ops


async def test_what_would_be_sent_is_shown_without_secrets(config, capsys):
    shown = await report(capsys, "job.failed", label=["sandbox=prod"], payload=True, config=config())
    payloads = {one["channel"]: one["payload"] for one in shown["channels"]}
    assert payloads["ops"]["body"]["blocks"][0]["text"]["text"] == "🔴 PROD: Export 24115 failed in prod"
    assert payloads["pager"]["body"]["routing_key"] == "**********"
    assert payloads["events"]["body"]["data"]["job_id"] == "24115"
    assert {one["media_type"] for one in payloads.values()} == {"application/json"}


async def test_one_channel_is_shown_though_no_route_leads_there(config, capsys):
    shown = await report(capsys, type_="job.succeeded", channel="team", config=config())
    (team,) = shown["channels"]
    assert (team["channel"], team["told"], team["message"]["title"]) == (
        "team",
        "at once",
        "PROD: Segment job 6f0c1b52-77aa-4a0e-9d13-0f2b7c6e1a01 succeeded in sample",
    )
    (pager,) = (await report(capsys, channel="pager", config=config()))["channels"]
    assert (pager["told"], pager["type"]) == ("as an incident of its own", "alert.firing")
    (pager,) = (await report(capsys, "job.queued", channel="pager", config=config()))["channels"]
    assert (pager["message"], pager["note"]) == (
        None,
        "nothing: it opens and closes no incident, and the channel knows nothing else",
    )


async def test_what_only_closes_is_news_to_those_who_heard_of_the_beginning(config, capsys):
    shown = await report(capsys, "export.recovered", label=["sandbox=prod"], config=config())
    told = {one["channel"]: (one["type"], one["note"][:17]) for one in shown["channels"]}
    assert told["ops"] == ("export.recovered", "")
    assert told["pager"] == ("", "nothing by itself")
    assert told["team"] == ("alert.noted", "")  # a group tells the story too


async def test_a_message_about_alerts_is_shown_to_whom_such_messages_are_for(config, capsys):
    shown = await report(capsys, "alert.resolved", config=config())
    assert [one["channel"] for one in shown["channels"]] == ["pager", "team"]


@pytest.mark.parametrize("type_", EventType)
async def test_every_type_can_be_shown(config, capsys, type_):
    shown = await report(capsys, type_.value, channel="ops", payload=True, config=config())
    assert shown["channels"][0]["fault"] is None


async def test_a_template_that_fails_is_told_with_its_line_and_ends_with_1(config, capsys):
    with pytest.raises(SystemExit) as ended:
        await preview("job.failed", label=["sandbox=prod"], channel="pager", config=config(BROKEN))
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert (
        "template broken fails, so these are the standard words: summary, line 1: event.details.gone is not there."
        in out
    )
    assert "Write event.details.gone|default" in out
    assert "pager (pagerduty), as an incident of its own\n  🔴 Export 24115 failed in prod\n" in out
    assert err == ""
    with pytest.raises(SystemExit):
        await preview("job.failed", channel="pager", as_json=True, config=config(BROKEN))
    (pager,) = json.loads(capsys.readouterr().out)["channels"]
    assert pager["fault"]["template"] == "broken"
    assert (pager["fault"]["part"], pager["fault"]["line"]) == ("summary", 1)


async def test_a_pipe_gets_plain_lines(config, capsys):
    await preview("job.failed", label=["sandbox=prod"], channel="ops", payload=True, config=config())
    out = capsys.readouterr().out
    first, second, *rest = out.splitlines()
    assert first == "ops (slack), at once, by template oncall"
    assert second == "  🔴 PROD: Export 24115 failed in prod"
    assert "  Job  #24115" in rest
    assert "application/json" in rest
    assert json.loads(out[out.index("\n{") :])["blocks"]
    assert "\x1b" not in out


class Terminal:
    """What is written, by something that calls itself a terminal."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize("no_color", ["1", ""])
async def test_a_terminal_gets_a_panel_that_fits(config, monkeypatch, no_color):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    await preview("job.failed", label=["sandbox=prod"], config=config(), payload=True)
    assert ("\x1b" in terminal.text) is not bool(no_color)
    if no_color:
        panels = [line for line in terminal.text.splitlines() if line[:1] in "╭│╰"]
        assert panels[0].startswith("╭─ ops (slack), at once, by template oncall ─")
        assert {len(line) + line.count("🔴") for line in panels if line} == {80}


async def test_no_route_is_said(config, capsys):
    await preview("job.failed", config=config())
    assert "no route sends job.failed anywhere; name a channel with --channel" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "options", "said"),
    [
        (("job.failed",), {"type_": "job.failed"}, "either an event or --type"),
        (("evt_1",), {"label": ["sandbox=prod"]}, "leave out --label"),
        (("job.fayled",), {}, "Did you mean job.failed?"),
        ((), {"channel": "opz"}, "no channel is named opz; configured: ops, pager, events, team"),
        ((), {"label": ["sandbx=prod"]}, "Did you mean sandbox?"),
    ],
)
async def test_a_wrong_command_line_says_what_to_write(config, capsys, args, options, said):
    with pytest.raises(SystemExit) as ended:
        await preview(*args, config=config(), **options)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_payload_steers_no_terminal(capsys):
    message_panel.show_payload(message_panel.Body(media_type="application/json", content={"a": "b\x9b31m\u202e\nü"}))
    out = capsys.readouterr().out
    assert "b\\u009b31m\\u202e\\nü" in out


async def test_a_test_of_a_channel_says_that_its_template_fails(tmp_path, capsys):
    async with Receiver() as receiver:
        broken = BROKEN.replace('"pager"', '"ops"').replace("broken", "worse")
        house = HOUSE.format(folder=tmp_path, url=receiver.origin)
        file = file_with(tmp_path, house[: house.index("[[templates]]")] + broken)
        await try_("ops", config=str(file))
        assert len(receiver.got) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "ops: accepted"
    assert said[1].startswith(
        "template worse fails, so it was told in the standard words: summary, line 1: event.details.gone"
    )
