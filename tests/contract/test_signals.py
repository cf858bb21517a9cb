"""How a command ends that is told to, whoever reads what it says: with real signals, in a process of its own."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHIN_S = 20.0
ENDINGS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
BY_NAME = [number.name for number, _ in ENDINGS]

HEAD = """
import asyncio, os, sys, time
from segwatch.cli import signals, streams
sys.argv = ["segwatch", os.environ["COMMAND"]]
streams._GRACE_S = signals._ONE_TELLING_S = 0.2  # nobody shall wait long for a test
signals.before_imports()
streams.own()
def begun():
    os.write(int(os.environ["BEGUN"]), b"x")
def main(work):
    try:
        try:
            signals.run(work)
        finally:
            sys.stdout.flush()
    except signals.Stopped as stopped:
        sys.exit(stopped.code)
"""
# each says much more than a pipe or a terminal holds
ROWS = b"row " * 500_000 + b"\n"
PLAIN = "def work():\n    begun()\n    streams.put('row ' * 500_000)\nmain(work)\n"
LOOP = "async def work():\n    begun()\n    streams.put('row ' * 500_000)\nmain(work)\n"
FOLLOWING = """
async def work():
    begun()
    try:
        while True:
            streams.say("43% of 300 MB " * 50)
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        streams.say("it goes on")
        raise
main(work)
"""
# as a bar does: its thread has the lock of the bar while it writes, and leaves it free between two pictures
BAR = """
import threading
lock, tick = threading.Lock(), threading.Event()
def draw():
    while not tick.wait(0.01):
        with lock:
            streams.say("43% " * 500)
async def work():
    threading.Thread(target=draw, daemon=True).start()
    begun()
    while True:
        with lock:
            pass
        await asyncio.sleep(0)
main(work)
"""
TIMED = """
from datetime import timedelta
from segwatch.cli.patience import Patience
async def work():
    begun()
    patience = Patience.of("200ms", wait=True)
    try:
        async with patience.limit():
            while True:
                streams.say("43% of 300 MB " * 50)
                await asyncio.sleep(0)
    except TimeoutError:
        streams.say("not ended after 200 ms " * 50_000)
        sys.exit(1)
main(work)
"""
# cancelled, it has something to end that takes longer than what counts as one telling
BUSY = """
busy = True
async def work():
    with signals.not_at_once_while(lambda: busy):
        try:
            begun()
            await asyncio.sleep(600)
        finally:
            streams.put("ending")
            await asyncio.sleep(0.5 if busy else 600)
            streams.put("ended")
main(work)
"""
STUCK = BUSY.replace("busy = True", "busy = False")
SERVING = """
async def work():
    stop = asyncio.Event()
    signals.on_told(stop.set)
    begun()
    await stop.wait()
    streams.put("served")
main(work)
"""
FILL = "while not stop.is_set():\n        streams.say('log ' * 9999)\n        await asyncio.sleep(0)\n    await stop"
IDLE = "async def work():\n    begun()\n    await asyncio.sleep(600)\nmain(work)\n"


@contextmanager
def begun(
    script: str, *, command: str = "evaluate", out: int = subprocess.DEVNULL, err: int | None = None, wrapper: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a script, and yield it once it is at its work. wrapper: of the shell, before it."""
    here, theirs = os.pipe()
    around = os.environ | {"COMMAND": command, "BEGUN": str(theirs), "PYTHONWARNINGS": "default"}
    child = subprocess.Popen(
        ["/bin/sh", "-c", f'{wrapper} exec "$@"', "sh", sys.executable, "-c", HEAD + script],
        stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=around, cwd=ROOT, pass_fds=(theirs,),
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        assert os.read(here, 1) == b"x"
        yield child
    finally:
        os.close(here)
        child.kill()
        child.wait()


@pytest.fixture(params=["pipe", "terminal"])
def standstill(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Return both ends of a pipe and of a terminal that nobody reads: the reader's and the writer's."""
    read, write = os.pipe() if request.param == "pipe" else pty.openpty()
    yield read, write
    os.close(read)
    os.close(write)


def _is_full(write: int) -> Callable[[], bool]:
    return lambda: not select.select([], [write], [], 0)[1]


def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    for _ in range(int(WITHIN_S / 0.01)):
        if condition():
            return
        select.select([], [], [], 0.01)
    raise AssertionError("it has not come to that")


@pytest.mark.parametrize(("number", "code"), ENDINGS, ids=BY_NAME)
def test_each_signal_has_its_exit_code(number, code):
    with begun(IDLE) as child:
        child.send_signal(number)
        assert child.wait(WITHIN_S) == code


@pytest.mark.parametrize("script", [PLAIN, LOOP], ids=["plain", "loop"])
def test_a_signal_ends_a_command_whose_result_nobody_takes(standstill, script):
    with begun(script, out=standstill[1]) as child:
        until(_is_full(standstill[1]))
        child.send_signal(signal.SIGTERM)
        assert child.wait(WITHIN_S) == 143


@pytest.mark.parametrize("script", [FOLLOWING, BAR], ids=["lines", "bar"])
def test_a_signal_ends_a_command_whose_progress_nobody_takes(standstill, script):
    with begun(script, err=standstill[1]) as child:
        until(_is_full(standstill[1]))
        child.send_signal(signal.SIGINT)
        assert child.wait(WITHIN_S) == 130


def test_the_time_is_up_also_while_nobody_takes_the_progress():
    read, write = os.pipe()
    with begun(TIMED, err=write) as child, open(read, "rb"):
        os.close(write)
        assert child.wait(WITHIN_S) == 1


def test_last_words_come_to_a_reader_that_reads_on():
    read, write = os.pipe()
    with begun(FOLLOWING, err=write) as child, open(read, "rb") as heard:
        os.close(write)
        assert heard.read(4096)
        child.send_signal(signal.SIGTERM)
        assert heard.read().splitlines()[-1] == b"it goes on"
        assert child.wait(WITHIN_S) == 143


@pytest.mark.parametrize("script", [PLAIN, LOOP], ids=["plain", "loop"])
def test_a_slow_reader_gets_every_byte(standstill, script):
    read, write = standstill
    with begun(script, out=write) as child:
        until(_is_full(write))
        heard = b""
        while len(heard) < len(ROWS):
            heard += os.read(read, 65536).replace(b"\r", b"")
        assert heard == ROWS
        assert child.wait(WITHIN_S) == 0


@pytest.mark.parametrize(("script", "says"), [(BUSY, b"ended"), (STUCK, b"")], ids=["something-to-end", "stuck"])
def test_a_second_signal_ends_at_once_unless_something_must_be_ended_first(script, says):
    read, write = os.pipe()
    with begun(script, out=write) as child, open(read, "rb") as heard:
        os.close(write)
        child.send_signal(signal.SIGTERM)
        assert heard.readline() == b"ending\n"

        def is_over() -> bool:
            if select.select([heard], [], [], 0)[0]:
                return True
            child.send_signal(signal.SIGTERM)
            return False

        until(is_over)
        assert child.wait(WITHIN_S) == 143
        assert heard.read().strip() == says


@pytest.mark.parametrize("number", [number for number, _ in ENDINGS], ids=BY_NAME)
@pytest.mark.parametrize("command", ["evaluate", "emulate"])
def test_a_signal_that_was_ignored_at_the_start_stays_so(number, command):
    other, code = next(one for one in ENDINGS if one[0] is not number)
    script = SERVING if command == "emulate" else IDLE
    with begun(script, command=command, wrapper=f"trap '' {number.name.removeprefix('SIG')};") as child:
        child.send_signal(number)
        child.send_signal(other)
        assert child.wait(WITHIN_S) == (0 if command == "emulate" else code)


def test_the_end_of_a_terminal_is_no_end_of_the_daemon():
    with begun(SERVING, command="run") as child:
        child.send_signal(signal.SIGHUP)  # blocked until the daemon has something to do by it
        child.send_signal(signal.SIGTERM)
        assert child.wait(WITHIN_S) == 0


def test_who_serves_ends_with_0_though_its_log_stands_still(standstill):
    with begun(SERVING.replace("await stop", FILL), command="emulate", err=standstill[1]) as child:
        until(_is_full(standstill[1]))
        child.send_signal(signal.SIGHUP)
        assert child.wait(WITHIN_S) == 0
