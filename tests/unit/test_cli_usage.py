"""A wrong command line is told in a line or two, with what to write instead, and ends with 2."""

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
