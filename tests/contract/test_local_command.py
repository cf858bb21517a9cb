"""The local command at the end of a run: what it is told, and how it can end."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from segwatch.daemon import local_command
from segwatch.pipelines.seen import CommandEnded, Trouble


async def ran(script, *, told=b"{}", timeout_s=20.0, more=None):
    return await local_command.run([sys.executable, "-c", script], told, more or {}, timeout_s=timeout_s)


async def test_it_gets_the_result_and_is_told_whose_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGWATCH_SANDBOXES", "a secret")
    file = tmp_path / "got.json"
    script = (
        "import json, os, sys; told = json.load(sys.stdin); told['env'] = [n for n in os.environ if 'SEGWATCH' in n];"
        f"json.dump(told, open({str(file)!r}, 'w'))"
    )
    ended = await ran(script, told=b'{"run": "r1"}', more={"SEGWATCH_RUN_ID": "r1"})
    assert ended == CommandEnded(code=0, tail="")
    assert json.loads(file.read_text()) == {"run": "r1", "env": ["SEGWATCH_RUN_ID"]}


async def test_it_need_not_read_what_it_is_told():
    assert await ran("", told=b"x" * 5_000_000) == CommandEnded(code=0, tail="")


async def test_its_last_words_are_kept_however_much_it_says():
    script = "import sys; [sys.stderr.write('line %d\\n' % n) for n in range(200000)]; sys.exit(3)"
    assert await ran(script) == CommandEnded(code=3, tail="line 199999")


async def test_it_is_ended_with_its_children_when_it_takes_too_long():
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    ended = await ran(child, timeout_s=0.5)
    assert isinstance(ended, Trouble)
    assert "longer than 0.5 s" in ended.why


async def test_what_it_leaves_behind_does_not_hold_it_up(tmp_path):
    """As `nohup agent &` does, it keeps stdin and stderr open."""
    born = tmp_path / "pid"
    script = (
        "import subprocess, sys; left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"open({str(born)!r}, 'w').write(str(left.pid)); sys.stderr.write('left it\\n')"
    )
    assert await ran(script, told=b"x" * 1_000_000) == CommandEnded(code=0, tail="left it")
    os.kill(int(born.read_text()), signal.SIGKILL)  # it goes on until then


async def test_what_does_not_listen_is_ended_too(tmp_path):
    born = tmp_path / "pid"
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    script = (
        f"import subprocess, sys, time; left = subprocess.Popen([sys.executable, '-c', {deaf!r}], stdout=-1);"
        f"left.stdout.readline(); open({str(born)!r}, 'w').write(str(left.pid)); time.sleep(600)"
    )
    assert isinstance(await ran(script, timeout_s=3.0), Trouble)
    state = Path(f"/proc/{born.read_text()}/status")
    async with asyncio.timeout(10):
        while state.exists() and "State:\tZ" not in state.read_text():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("path", ["/no/such/program", "/"])
async def test_one_that_cannot_be_started_is_said(path):
    ended = await local_command.run([path], b"", {}, timeout_s=1.0)
    assert isinstance(ended, Trouble)
    assert ended.why.startswith(f"{path} cannot be started: ")


async def test_a_disk_that_takes_no_result_is_said(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    ended = await ran("")
    assert isinstance(ended, Trouble)
    assert "cannot be told the result: No such file or directory" in ended.why
