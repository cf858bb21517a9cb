"""What settings come to, from file, environment and secret files."""

import json
from dataclasses import fields
from datetime import time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from segwatch.config import ConfigError, Listen, find, format_duration, load, parse_duration, redacted, schema
from segwatch.config.pipelines import PipelineSection
from segwatch.jobs.retry import Action, Mode, Rule
from segwatch.pipelines.model import Plan

SANDBOX = {"name": "prod", "org_id": "0A1B2C3D4E5F60718293A4B5@AdobeOrg", "client_id": "abc"}
BASE = f"""
[[sandboxes]]
name = "prod"
org_id = "{SANDBOX["org_id"]}"
client_id = "abc"
client_secret = "hush-hush"
"""


@pytest.fixture
def settings(tmp_path):
    """Return the settings of a file with this text, under this environment."""

    def of(text="", **env):
        file = tmp_path / "config.toml"
        file.write_text(BASE + text, encoding="utf-8")
        return load(file, env)

    return of


def test_one_sandbox_is_enough(settings):
    got = settings()
    assert got.polling.interval == timedelta(seconds=15)
    assert got.polling.overdue_after.of("segment_job") == timedelta(minutes=150)
    assert got.retry.mode is Mode.AUTO
    assert got.http.listen == Listen(host="127.0.0.1", port=9469)
    assert got.store.url == "sqlite:///var/lib/segwatch/segwatch.db"
    assert got.channels == got.routes == ()


def test_quiet_hours_are_kept_to_the_second(settings):
    got = settings(
        """
        [[channels]]
        name = "ops"
        kind = "slack"
        url = "https://hooks.example.test/x"
        [[routes]]
        channels = ["ops"]
        quiet_hours = { from = "22:00:30", to = 22:00:00, zone = "UTC" }
        """
    )
    assert (got.routes[0].quiet.begin, got.routes[0].quiet.end) == (time(22, 0, 30), time(22))


def test_the_environment_wins_over_the_file_key_by_key(settings):
    got = settings(
        "[polling]\ninterval = '20s'\nidle_interval = '40s'\noverdue_after = {}",
        SEGWATCH_POLLING__INTERVAL="5s",
        SEGWATCH_POLLING__OVERDUE_AFTER__EXPORT_JOB="3h",
        SEGWATCH_RETRY__MAX_ATTEMPTS="7",
        SEGWATCH_STORE__URL="sqlite:////data/x.db",
    )
    assert (got.polling.interval, got.polling.idle_interval) == (timedelta(seconds=5), timedelta(seconds=40))
    assert got.polling.overdue_after.of("export_job") == timedelta(hours=3)
    assert got.polling.overdue_after.of("segment_job") == timedelta(minutes=150)
    assert got.retry.policy.max_attempts == 7
    assert got.store.url == "sqlite:///data/x.db"


def test_the_environment_alone_is_enough():
    env = {
        "SEGWATCH_SANDBOXES": json.dumps([SANDBOX | {"client_secret": "hush"}]),
        "SEGWATCH_CHANNELS": json.dumps([{"name": "log", "kind": "log"}]),
        "SEGWATCH_ROUTES": json.dumps([{"match": {}, "channels": ["log"]}]),
        "HOME": "/root",
    }
    assert [channel.kind for channel in load(None, env).channels] == ["log"]


def test_a_list_in_the_environment_replaces_the_list_of_the_file(settings):
    other = SANDBOX | {"name": "dev", "access_token": "x"}
    assert [one.name for one in settings(SEGWATCH_SANDBOXES=json.dumps([other])).sandboxes] == ["dev"]


def test_what_kubernetes_says_of_a_service_called_segwatch_is_no_setting(settings):
    settings(
        SEGWATCH_SERVICE_HOST="10.0.0.1",
        SEGWATCH_SERVICE_PORT_HTTP="9469",
        SEGWATCH_PORT="tcp://10.0.0.1:9469",
        SEGWATCH_PORT_9469_TCP_ADDR="10.0.0.1",
        SEGWATCH_METRICS_SERVICE_HOST="10.0.0.1",
        SEGWATCH_METRICS_PORT="tcp://10.0.0.1:9469",
        SEGWATCH_CONFIG="elsewhere.toml",
    )
    with pytest.raises(ConfigError, match="SEGWATCH_HTTP_PORT: is not a setting"):
        settings(SEGWATCH_HTTP_PORT="9469")


def test_a_secret_file_is_read_without_the_line_break_at_its_end(settings, tmp_path):
    (tmp_path / "token").write_bytes(b"t0ken\r\n")
    http = settings("[http]\ntoken_file = 'token'").http
    assert http.token.get_secret_value() == "t0ken"
    assert http.token_file == tmp_path / "token"  # relative to the settings file


def test_a_secret_in_the_environment_takes_the_place_of_a_file_and_the_reverse(settings, tmp_path):
    (tmp_path / "token").write_text("from-file")
    named = settings("[http]\ntoken_file = 'token'", SEGWATCH_HTTP__TOKEN="from-env").http
    assert named.token.get_secret_value() == "from-env"
    file = str(tmp_path / "token")
    assert settings("[http]\ntoken = 'x'", SEGWATCH_HTTP__TOKEN_FILE=file).http.token.get_secret_value() == "from-file"
    with pytest.raises(ConfigError, match="are both given"):
        settings(SEGWATCH_HTTP__TOKEN="x", SEGWATCH_HTTP__TOKEN_FILE=file)


def test_systemd_credentials_count_where_the_settings_say_nothing(settings, tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "channels.ops.url").write_text("https://hooks.example.test/x\n")
    (folder / "http.token").write_text("from-systemd\n")
    (folder / "unrelated").write_text("x")
    text = "[http]\ntoken = 'from-file'\n[[channels]]\nname = 'ops'\nkind = 'slack'"
    got = settings(text, CREDENTIALS_DIRECTORY=str(folder))
    assert got.channels[0].url.get_secret_value() == "https://hooks.example.test/x"
    assert got.http.token.get_secret_value() == "from-file"
    (folder / "sandboxes.prd.client_secret").write_text("x")
    with pytest.raises(ConfigError, match=r"Did you mean sandboxes\.prod\.client_secret\?"):
        settings(text, CREDENTIALS_DIRECTORY=str(folder))


def test_the_folder_of_credentials_may_be_missing(settings):
    settings(CREDENTIALS_DIRECTORY="/nowhere/at/all")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1:8787", "[::1]:8787", "localhost:8787"])
def test_http_is_for_loopback(settings, host):
    assert settings(f"[platform]\nbase_url = 'http://{host}/'").platform.base_url == f"http://{host}"


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:0", Listen(host="127.0.0.1", port=0)),
        ("[::1]:9469", Listen(host="::1", port=9469)),
        ("0.0.0.0:9469", Listen(host="0.0.0.0", port=9469)),
        ("metrics-1.example.test:9469", Listen(host="metrics-1.example.test", port=9469)),
    ],
)
def test_an_address_is_read_and_written(settings, text, listen):
    got = settings(f"[http]\nlisten = '{text}'").http.listen
    assert (got, str(got)) == (listen, text)


def test_a_match_takes_one_or_many_and_numbers_for_ids(settings):
    env = {"SEGWATCH_CHANNELS": '[{"name": "log", "kind": "log"}]'}
    wanted = {"type": ["job.failed"], "status": "FAILED", "job_id": 24115, "late": True}
    env["SEGWATCH_ROUTES"] = json.dumps([{"match": wanted, "channels": ["log"]}, {"channels": ["log"]}])
    first, second = settings("", **env).routes
    assert first.match.wanted == {
        "type": ("job.failed",),
        "status": ("FAILED",),
        "job_id": ("24115",),
        "late": ("true",),
    }
    assert second.match.wanted == {}


def test_retry_rules_arrive_in_the_form_that_decides(settings):
    policy = settings("[[retry.rules]]\ncode = '90'\naction = 'never'").retry.policy
    assert policy.rules == (Rule(code="90", action=Action.NEVER),)


def test_settings_cannot_be_changed(settings):
    got = settings()
    with pytest.raises(ValidationError):
        got.polling.interval = timedelta(0)
    with pytest.raises(ValidationError):
        got.polling = None


def test_nothing_that_shows_settings_shows_a_secret(settings):
    got = settings(
        "[http]\ntoken = 'hush-token'\n[[channels]]\nname = 'ops'\nkind = 'webhook'\nurl = 'https://hush.test/hush'\n"
        "secret = 'hushhush'"
    )
    assert "hush" not in repr(got) + str(got) + json.dumps(redacted(got)) + got.model_dump_json()


def test_redacted_settings_read_as_a_user_writes_them(settings):
    shown = redacted(settings("[polling]\ninterval = '90s'"))
    assert shown["polling"]["interval"] == "90s"
    assert shown["http"] == {"listen": "127.0.0.1:9469", "token": "(not set)", "token_file": None}
    assert shown["sandboxes"][0]["client_secret"] == "**********"
    assert shown["sandboxes"][0]["access_token"] == "(not set)"


def test_the_schema_describes_every_setting():
    got = schema()
    tables = [got, *(table for table in got["$defs"].values() if "properties" in table)]
    for table in tables:
        for key, field in table["properties"].items():
            assert "description" in field or "$ref" in field, key
    assert got["$defs"]["Polling"]["properties"]["interval"]["default"] == "15s"
    assert got["$defs"]["Polling"]["properties"]["interval"]["pattern"]
    assert got["$defs"]["Http"]["properties"]["listen"]["default"] == "127.0.0.1:9469"
    assert got["$defs"]["Polling"]["properties"]["concurrency"]["minimum"] == 1
    assert got["$defs"]["SlackChannel"]["required"] == ["name", "kind"]  # not the url: url_file will do


def test_the_file_is_found_where_the_user_says(tmp_path):
    system = tmp_path / "config.toml"
    assert find(Path("a.toml"), {"SEGWATCH_CONFIG": "b.toml"}, system=system) == Path("a.toml")
    assert find(None, {"SEGWATCH_CONFIG": "b.toml"}, system=system) == Path("b.toml")
    assert find(None, {"SEGWATCH_CONFIG": ""}, system=system) is None
    system.touch()
    assert find(None, {}, system=system) == system


@given(st.integers(1, 87600), st.sampled_from(["ms", "s", "m", "h"]))
def test_a_duration_survives_being_written_and_read(number, unit):
    span = parse_duration(f"{number}{unit}")
    assert parse_duration(format_duration(span)) == span


@given(st.integers(1, 10**10).map(lambda ms: timedelta(milliseconds=ms)))
def test_every_span_can_be_written(span):
    assert parse_duration(format_duration(span)) == span


@given(st.text(max_size=8))
def test_whatever_is_no_duration_is_refused(text):
    try:
        span = parse_duration(text)
    except ValueError:
        return
    assert format_duration(span)[-1] in "smhd"


def test_a_run_is_told_all_that_a_pipeline_says():
    said = {
        "name": "nightly", "after": "schedule", "schedule": "s1", "segments": ["seg-1"], "segment_ns": "AAM",
        "statuses": ["exited"], "dataset": "d", "fields": ["a.b"], "event_fields": ["c.d"], "merge_policy": "m",
        "segment_per_batch": True, "adopt_export": "any", "adopt_within": "5s", "min_profiles": 7, "download": "/data",
        "channels": ["ops"], "command": ["/bin/load"], "command_timeout": "7s", "step_deadline": "9s",
        "spend_last_evaluation": True,
    }  # fmt: skip
    assert said.keys() == PipelineSection.model_fields.keys() - {"sandbox"}
    plan = PipelineSection(**said).plan
    same = {one.name for one in fields(Plan) if getattr(plan, one.name) == getattr(Plan(), one.name)}
    assert same == {"has_command"}, "which only runs of an older version have"
    assert (plan.command, plan.channels) == (("/bin/load",), ("ops",))
    assert "/bin/" not in repr(plan)
