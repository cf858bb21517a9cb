"""Starts segwatch commands as real processes without paying for their imports each time.

One process imports all of segwatch, and forks for every command that a test asks for: the child has its own session,
environment, output and exit code, and dies by `kill -9`, like one that was started the usual way. What must be true of
the interpreter's own start (the installed script, memory from nothing) starts a process with `exec` instead.

Run as a script, this file is the server; imported, it is the client. Both talk over one datagram socket: the client
sends {argv, env, cwd} with three descriptors (output, errors, and where to write the exit code), and gets the pid.
"""

import asyncio
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_ROOT = Path(__file__).parents[2]
_LARGEST = 1 << 17  # an environment and a command line
_START_S = 60.0


class Child:
    """A forked command; as much of `asyncio.subprocess.Process` as the tests use."""

    def __init__(self, pid: int, exit_code: int) -> None:
        """exit_code: a pipe that will hold the exit code as text; owned from here on."""
        self.pid = pid
        self._pipe = exit_code
        self._code: int | None = None
        os.set_blocking(exit_code, False)

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None:
            with contextlib.suppress(BlockingIOError):
                self._code = int(
                    os.read(self._pipe, 16) or -signal.SIGKILL
                )  # nothing: the server died, and all with it
                os.close(self._pipe)
        return self._code

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Return the exit code once there is one."""
        loop = asyncio.get_running_loop()
        while (code := self.returncode) is None:
            readable = asyncio.Event()
            loop.add_reader(self._pipe, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(self._pipe)
        return code


@functools.cache
def _server() -> socket.socket:
    """Start the server of this test process. It ends, and ends its children, when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_START_S)
    around = {name: value for name, value in os.environ.items() if not name.startswith("SEGWATCH_")}
    with theirs:
        server = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd=_ROOT,
            env=around | {"PYTHONWARNINGS": "default"}, start_new_session=True,
        )  # fmt: skip
    atexit.register(server.wait)
    atexit.register(ours.close)  # which goes first, and tells it to end
    return ours


def fork(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, out: int, err: int) -> Child:
    """Start `segwatch` with these arguments; OSError when the server is gone.

    out, err: descriptors for its output; its input is empty.
    """
    code, sink = os.pipe()
    try:
        order = json.dumps({"argv": list(argv), "env": dict(env), "cwd": str(cwd)}).encode()
        socket.send_fds(_server(), [order], [out, err, sink])
    finally:
        os.close(sink)
    return Child(int(_server().recv(32)), code)


def _serve(door: socket.socket) -> bool:
    """Fork for every order. Returns True in a child, which goes on as the command; False when the client is gone."""
    bell, clapper = os.pipe()
    for end in (bell, clapper):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(clapper)
    sinks: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([door, bell], [], [])
        if bell in ready:
            os.read(bell, 4096)
            _report_ended(sinks)
        if door not in ready:
            continue
        order, handed, _, _ = socket.recv_fds(door, _LARGEST, 3)
        if not order:
            for pid in sinks:
                os.kill(pid, signal.SIGKILL)
            return False
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            door.detach()
            _become(**json.loads(order), handed=handed)
            return True
        out, err, sinks[pid] = handed
        os.close(out)
        os.close(err)
        door.send(str(pid).encode())


def _report_ended(sinks: dict[int, int]) -> None:
    for pid in list(sinks):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            sink = sinks.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # nobody asks any more
                os.write(sink, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(sink)


def _become(argv: list[str], env: dict[str, str], cwd: str, handed: list[int]) -> None:
    """Make this process what a new one would be: of its own session, and with nothing open but what was handed over."""
    os.setsid()
    os.dup2(handed[0], 1)
    os.dup2(handed[1], 2)
    os.closerange(3, max(handed) + 256)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv[:] = ["segwatch", *argv]


def _import_all() -> None:
    segwatch = importlib.import_module("segwatch")
    for module in pkgutil.walk_packages(segwatch.__path__, "segwatch."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _run() -> NoReturn:
    """Be `python -m segwatch` to its end, but leave out the interpreter's own: it ends with the process.

    The interpreter would take apart, object by object, all that was imported: ten times the work of a small command.
    """
    try:
        runpy.run_module("segwatch", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        gc.unfreeze()
        raise
    else:
        code = None
    if code is None or isinstance(code, int):
        threading._shutdown()
        atexit._run_exitfuncs()
        gc.collect()  # what was left open is complained of
        with contextlib.suppress(OSError, ValueError):  # a reader who is gone: the interpreter has words and a code
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code or 0)
    gc.unfreeze()
    sys.exit(code)


if __name__ == "__main__":
    sys.path[0] = str(_ROOT)
    _import_all()
    gc.collect()
    gc.freeze()  # the children's collector leaves alone what they share, and so does not copy it
    if _serve(socket.socket(fileno=int(sys.argv[1]))):
        _run()
    gc.unfreeze()
