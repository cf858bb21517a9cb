"""A wrong command line is told in a line or two, with what to write instead, and ends with 2."""

import subprocess
import sys

import pytest

from segwatch.cli.commands import main


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["jbs"], 'Did you mean "jobs"?'),
        (["jobs", "lst"], 'Did you mean "list"?'),
        (["jobs", "list", "--limt", "3"], "Did you mean --limit?"),
        (["jobs", "list", "--limit", "0"], "--limit"),
        (["jobs", "list", "--status", "DONE"], "SUCCEEDED"),
        (["jobs", "list", "--kind", "export"], "Known kinds: export_job, segment_job"),
        (["jobs", "show"], "JOB"),
        (["jobs", "list", "--no-json"], "--no-json"),
        (["events", "list", "--type", "job-failed"], "job.failed"),
        (["events", "list", "--since", "soon"], '--since is "soon"'),
        (["notify", "replay"], "write either ids or --dead"),
        (["notify", "test", "events", "--event", "job.exploded"], "job.exploded"),
        (["notify", "route", "job.failed", "--label", "severty=critical"], "Did you mean severity?"),
        (["notify", "route", "job.failed", "--label", "severity"], "no label and value"),
        (["notify", "route", "job.failed", "--label", "severity=crit"], "info, warning, critical"),
        (["notify", "route", "alert.firing"], "Write the type of what opens the alert"),
        (["notify", "digest", "--day", "today", "--since", "1h"], "write either --day or --since"),
        (["notify", "digest", "--since", "soon"], '--since is "soon"'),
        (["notify", "digest", "--send"], "add --channel NAME"),
        (["notify", "route", "job.fayled"], "Did you mean job.failed?"),
        (["notify", "route", "evt_1", "--label", "sandbox=prod"], "leave out --label"),
        (["silence", "add", "sandbox=prod"], "--for 2h or --until-resolved"),
        (["silence", "add", "--for", "2h"], "MATCHER"),
        (["silence", "add", "sandbx=prod", "--for", "2h"], "Did you mean sandbox?"),
        (["silence", "add", "sandbox!=prod", "--for", "2h"], "Ask for a value"),
        (["silence", "add", "sandbox=prod", "--for", "soon"], '--for is "soon"'),
        (["silence", "add", "sandbox=prod", "--for", "1h", "--start", "2020-01-01"], "not in the past"),
        (["emulate", "--port", "70000"], "--port"),
        (["emulate", "--speed", "0"], "--speed"),
        (["emulate", "--speed", "inf"], "Must be <= 1000000"),
        (["emulate", "--speed", "nan"], "--speed"),
        (["emulate", "--size", "9", "--profiles", "mine.ndjson"], "write one of them"),
        (["demo", "--for", "100ms"], "the story needs at least 1s"),
        (["demo", "--for", "soon"], '--for is "soon"'),
        (["evaluate", "--all", "--timeout", "1s"], "--wait"),
        (["query", "run", "SELECT 1", "--timeout", "1s"], "--wait"),
        (["pipeline", "run", "nightly", "--timeout", "1s"], "--wait"),
        (["export", "create", "--dataset", "d", "--all-profiles", "--timeout", "1s"], "--wait"),
        (["export", "create", "--dataset", "d", "--all-profiles", "--fields", ""], "--fields is empty"),
        (["export", "create", "--dataset", "d", "--all-profiles", "--event-fields", ""], "--event-fields is empty"),
        (["export", "create", "--dataset", "", "--all-profiles"], "--dataset is empty"),
        (["export", "create", "--dataset", "d", "--segment", "a:ups:"], "behind the last colon"),
        (["export", "create", "--dataset", "d", "--segment", "a", "--segment", "a:ups"], "more than once"),
        (
            ["export", "create", "--dataset", "d", "--segment", "a", "--events-ingested-after", "2026-01-01"],
            "--event-fields",
        ),
        (["profile", "get", "x", "--ns", ""], "--ns is empty"),
        (["run", "--config", "/nowhere/config.toml"], "/nowhere/config.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_says_what_is_wrong(args, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["segwatch", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize("args", [[], ["--help"], ["jobs"], ["jobs", "list", "--help"]], ids=" ".join)
def test_help_is_no_error(args, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["segwatch", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    out, err = capsys.readouterr()
    assert out.startswith("Usage: segwatch")
    assert err == ""


@pytest.mark.parametrize(
    "args", [["config", "schema"], ["completion", "bash"], ["jobs", "--help"], ["--version"]], ids=" ".join
)
def test_a_full_disk_under_the_output_is_told_in_a_line(args):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "segwatch", *args], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr
    assert "cannot be written" in ended.stderr


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", ">&- 2>&- <&-"])
def test_streams_that_the_caller_closed_are_no_error(closed):
    ended = subprocess.run(f"exec {sys.executable} -m segwatch config schema {closed}", shell=True, capture_output=True)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False), ended.stderr


def test_a_file_in_place_of_the_folder_of_a_download_is_told(tmp_path, monkeypatch, capsys):
    taken = tmp_path / "members"
    taken.touch()
    monkeypatch.setattr("sys.argv", ["segwatch", "batch", "download", "0f1e", "--out", str(taken)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (1, f"{taken} is a file: name a directory\n")
